"""How a recall came to its answer: what each lane brought at which rank, how it was scored, why it was left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.query import Understood
from memory.store_calls import Hits, LaneHits

LANES = ("semantic", "keyword", "facts")
"""In the order in which they are asked; those that not every recipe has come last."""
BELOW_SCORE = "min_scores"
OVER_LIMIT = "limit"
OVER_BUDGET = "max_tokens"


def describe_query(understood: Understood) -> dict[str, Any]:
    """What was read out of the query."""
    return {
        "embedded_query": understood.bare,
        "keyword_query": understood.query,
        "speakers_named": list(understood.speakers),
        "periods_named": [[period.start.isoformat(), period.end.isoformat()] for period in understood.periods],
        "asks": [name for name in ("asks_when", "first_person", "addressed", "several") if getattr(understood, name)],
    }


def describe_lanes(lanes: Sequence[LaneHits]) -> list[dict[str, Any]]:
    """What each lane brought, best first."""
    return [
        {"lane": name, "ids": list(lane.ids), "scores": list(lane.scores)}
        for name, lane in zip(LANES, lanes, strict=False)
    ]


def describe_units(
    hits: Hits,
    lanes: Sequence[LaneHits],
    columns: Mapping[str, NDArray[np.float64] | None],
    order: Sequence[int],
    kept: Sequence[int],
    chosen: Sequence[int],
    limit: int | None,
) -> list[dict[str, Any]]:
    """Every candidate, best first: its scores, its rank in each lane (None: came by another), and why it was dropped.

    columns: scores by name, each of the candidates' number, or None where that step was not run; `kept` are those that
    reach the bounds, and `chosen` those that are returned, both in rank order.
    """
    ranks = {
        name: {unit: rank for rank, unit in enumerate(lane.ids, start=1)}
        for name, lane in zip(LANES, lanes, strict=False)
    }
    within, returned = frozenset(kept), frozenset(chosen)
    full_at = kept.index(chosen[-1]) if limit is not None and len(chosen) == limit > 0 else len(kept)
    cut = frozenset(kept[full_at + 1 :])

    def why_dropped(place: int) -> str | None:
        if place in returned:
            return None
        if place not in within:
            return BELOW_SCORE
        return OVER_LIMIT if limit == 0 or place in cut else OVER_BUDGET

    return [
        {
            "id": hits.ids[place],
            **{name: _shown(column, place) for name, column in columns.items()},
            "lane_ranks": {name: known.get(hits.ids[place]) for name, known in ranks.items()},
            "returned": place in returned,
            "dropped": why_dropped(place),
        }
        for place in order
    ]


def _shown(column: NDArray[np.float64] | None, place: int) -> float | None:
    return None if column is None or np.isnan(column[place]) else float(column[place])
