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
from memory.store_calls import Call, Hit, Lane, LaneHits, ScoreUnits, SearchLanes


@dataclass(frozen=True, slots=True)
class MinScores:
    """Results below any of these are left out; None: no bound."""

    semantic: float | None = None
    keyword: float | None = None
    final: float | None = None


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


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every unit that a lane brought, scored in all lanes, and what each lane brought."""

    hits: tuple[Hit, ...]
    lanes: tuple[LaneHits, ...]


@dataclass(frozen=True, slots=True)
class FindCandidates:
    """Procedure: trip 1 asks the lanes in one batch, trip 2 scores their union in both lanes and brings it whole."""

    dense: NDArray[np.float32]
    lexical: str
    limit: int
    where: Filter

    def steps(self) -> Generator[Call[Any], Any, Candidates]:
        """The candidates; none where the bank holds nothing that matches."""
        lanes: tuple[LaneHits, ...] = yield SearchLanes(
            (Lane(self.limit, dense=self.dense), Lane(self.limit, lexical=self.lexical)), self.where
        )
        union = tuple(dict.fromkeys(unit for lane in lanes for unit in lane.ids))
        if not union:
            return Candidates((), lanes)
        hits: tuple[Hit, ...] = yield ScoreUnits(union, self.dense, self.lexical, self.where)
        return Candidates(hits, lanes)


def plan_candidates(
    query: RecallQuery, understood: Understood, dense: NDArray[np.float32], recipe: Recipe = HYBRID
) -> FindCandidates:
    """What to ask the store, given the embedded query: float32, (dim,), L2-normalised."""
    types = AnyOf("type", tuple(kind.value for kind in query.types)) if query.types else None
    return FindCandidates(dense, understood.lexical, recipe.candidates[query.budget], every(query.where, types))


def answer(
    query: RecallQuery, understood: Understood, candidates: Candidates, recipe: Recipe = HYBRID
) -> RecallAnswer:
    """Fuse, order, filter by score and pack. Equal candidates give equal answers; ties go by id."""
    hits = sorted(candidates.hits, key=lambda hit: hit.id)
    semantic = np.array([hit.semantic for hit in hits], dtype=np.float64)
    keyword = np.array([hit.keyword for hit in hits], dtype=np.float64)
    fused = fuse([(recipe.semantic_weight, semantic), (recipe.keyword_weight, keyword)]) if hits else semantic
    final = final_score(fused)
    order = np.argsort(-fused, kind="stable")
    ranked = [
        Ranked(hits[i].id, hits[i].payload, float(final[i]), hits[i].semantic, keyword_score(hits[i].keyword))
        for i in order
    ]
    kept = [result for result in ranked if _passes(result, query.min_scores)]
    chosen = pack([int(result.payload.get("text_tokens", 0)) for result in kept], query.max_tokens, query.limit)
    results = tuple(kept[i] for i in chosen)
    return RecallAnswer(results, _trace(query, understood, candidates, ranked, results) if query.trace else None)


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
) -> dict[str, Any]:
    returned = {result.id for result in results}
    return {
        "recipe": HYBRID.name,
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
