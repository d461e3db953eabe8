"""Recall as a plan: what to ask the store, and how its candidates become an answer. Pure; two trips at most."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.filters import TRUE, AnyOf, Filter, every
from memory.fusion import final_score, fuse, keyword_score
from memory.packing import pack
from memory.query import Understood
from memory.recipes import HYBRID, Budget, Recipe
from memory.records import UnitType
from memory.store_calls import Call, CompleteHits, Hits, Lane, LaneHits, SearchLanes


@dataclass(frozen=True, slots=True)
class MinScores:
    """Results below any of these are left out; None: no bound."""

    semantic: float | None = None
    keyword: float | None = None
    final: float | None = None


NO_BOUNDS = MinScores()


@dataclass(frozen=True, slots=True)
class RecallQuery:
    """What a caller asks of a bank. `where` narrows by tags and the like; no types: all of them."""

    query: str
    types: tuple[UnitType, ...] = ()
    budget: Budget = "mid"
    max_tokens: int = 4096
    limit: int | None = None
    where: Filter = TRUE
    query_timestamp: datetime | None = None
    min_scores: MinScores = field(default_factory=MinScores)
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """One result: the unit as stored (memory.encoding) and its scores as shown."""

    id: str
    payload: Mapping[str, Any]
    final: float
    semantic: float
    keyword: float


@dataclass(frozen=True, slots=True)
class RecallAnswer:
    """Results best first, and with `trace` how they came about."""

    results: tuple[Ranked, ...]
    trace: Mapping[str, Any] | None = None


_ATTEMPTS = 5
"""How often the trips are made where a replace keeps coming between them."""
NOTHING = Hits((), (), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every unit that a lane brought, scored in all lanes; and, where asked for, what each lane brought."""

    hits: Hits
    lanes: tuple[LaneHits, ...] = ()


@dataclass(frozen=True, slots=True)
class FindCandidates:
    """Procedure: trip 1 asks the lanes in one batch, trip 2 scores their union in both and brings it whole.

    Where units went between the trips, a replace took them: both are made again, so that its new ones are found.
    """

    dense: NDArray[np.float32]
    lexical: str
    limit: int
    where: Filter
    trace: bool = False

    def steps(self) -> Generator[Call[Any], Any, Candidates]:
        """The candidates; none where the bank holds nothing that matches."""
        lanes: tuple[LaneHits, ...] = ()
        hits = NOTHING
        for _ in range(_ATTEMPTS):
            lanes = yield SearchLanes(
                (Lane(self.limit, dense=self.dense), Lane(self.limit, lexical=self.lexical)), self.where
            )
            semantic, keyword = (dict(zip(lane.ids, lane.scores, strict=True)) for lane in lanes)
            if not semantic and not keyword:
                return Candidates(NOTHING, lanes if self.trace else ())
            # A keyword lane with fewer hits than it may bring has all units with a word in common: the rest score 0.
            unworded = tuple(unit for unit in semantic if unit not in keyword) if len(keyword) >= self.limit else ()
            unseen = tuple(unit for unit in keyword if unit not in semantic)
            hits = yield CompleteHits(semantic, keyword, self.dense, self.lexical, unseen, unworded)
            if len(hits.ids) == len(semantic.keys() | keyword.keys()):
                break
        return Candidates(hits, lanes if self.trace else ())


def plan_candidates(
    query: RecallQuery, understood: Understood, dense: NDArray[np.float32], recipe: Recipe = HYBRID
) -> FindCandidates:
    """What to ask the store, given the embedded query: float32, (dim,), L2-normalised."""
    types = AnyOf("type", tuple(kind.value for kind in query.types)) if query.types else None
    limit = recipe.candidates[query.budget]
    return FindCandidates(dense, understood.lexical, limit, every(query.where, types), query.trace)


def answer(query: RecallQuery, understood: Understood, candidates: Candidates, recipe: Recipe = HYBRID) -> RecallAnswer:
    """Fuse, order, filter by score and pack. Equal candidates give equal answers; ties go by id."""
    hits = candidates.hits
    fused = fuse([(recipe.semantic_weight, hits.semantic), (recipe.keyword_weight, hits.keyword)])
    final = final_score(fused).tolist()
    semantic, keyword = hits.semantic.tolist(), keyword_score(hits.keyword).tolist()
    ranked = [
        Ranked(hits.ids[i], hits.payloads[i], final[i], semantic[i], keyword[i])
        for i in np.argsort(-fused, kind="stable").tolist()
    ]
    bounds = query.min_scores
    kept = ranked if bounds == NO_BOUNDS else [result for result in ranked if _passes(result, bounds)]
    chosen = pack([result.payload["text_tokens"] for result in kept], query.max_tokens, query.limit)
    results = tuple(kept[i] for i in chosen)
    return RecallAnswer(
        results, _trace(query, understood, candidates, ranked, results, recipe) if query.trace else None
    )


def _passes(result: Ranked, bounds: MinScores) -> bool:
    return all(
        bound is None or value >= bound
        for bound, value in (
            (bounds.semantic, result.semantic),
            (bounds.keyword, result.keyword),
            (bounds.final, result.final),
        )
    )


def _trace(
    query: RecallQuery,
    understood: Understood,
    candidates: Candidates,
    ranked: list[Ranked],
    results: tuple[Ranked, ...],
    recipe: Recipe,
) -> dict[str, Any]:
    returned = {result.id for result in results}
    return {
        "recipe": recipe.name,
        "budget": query.budget,
        "embedded_query": understood.dense,
        "keyword_query": understood.lexical,
        "speakers_named": list(understood.speakers),
        "lanes": [
            {"lane": name, "ids": list(lane.ids), "scores": list(lane.scores)}
            for name, lane in zip(("semantic", "keyword"), candidates.lanes, strict=True)
        ],
        "ranked": [
            {"id": r.id, "final": r.final, "semantic": r.semantic, "keyword": r.keyword, "returned": r.id in returned}
            for r in ranked
        ],
    }
