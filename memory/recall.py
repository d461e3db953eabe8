"""Recall as a plan: what to ask the store, and how its candidates become an answer. Pure; two trips at most."""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory.encoding import instant_to_text
from memory.filters import EVIDENCE, REFLECTED, TRUE, All, AnyOf, Empty, Filter, every
from memory.fusion import final_score, fuse, keyword_score
from memory.late import Columns, match_tokens, z_rows
from memory.neighbours import Near, around, most_in
from memory.packing import pack
from memory.periods import Period
from memory.query import Understood
from memory.ranking import rank
from memory.recall_trace import describe_lanes, describe_query, describe_units
from memory.recipes import DEFAULT, Budget, Recipe
from memory.records import Embedding, UnitKind, UnitType
from memory.reranking import Reranked
from memory.store_calls import Call, CompleteHits, Hits, Lane, LaneHits, SearchLanes


@dataclass(frozen=True, slots=True)
class MinScores:
    """Results below any of these are left out; None: no bound."""

    semantic: float | None = None
    keyword: float | None = None
    final: float | None = None
    reranker: float | None = None
    """Of those that a cross-encoder has scored."""


@dataclass(frozen=True, slots=True)
class RecallQuery:
    """What a caller asks of a bank. `where` narrows by tags and the like; no types: all but stored reflections.

    asked_of: days that what is looked for happened in; it ranks higher and filters nothing. recipe: a name of
    memory.recipes.RECIPES; None: the bank's.
    """

    query: str
    types: tuple[UnitType, ...] = ()
    budget: Budget = "mid"
    max_tokens: int = 4096
    limit: int | None = None
    where: Filter = TRUE
    query_timestamp: datetime | None = None
    min_scores: MinScores = field(default_factory=MinScores)
    asked_of: Period | None = None
    trace: bool = False
    recipe: str | None = None
    as_of: datetime | None = None
    """What the bank held then, instead of what it holds now."""
    min_seq: int | None = None
    """What the bank had acknowledged, and the answer is to rest on at least."""


class Ranked(NamedTuple):
    """One result: the unit as stored (memory.encoding) and its scores as shown."""

    id: str
    payload: Mapping[str, Any]
    final: float
    semantic: float
    keyword: float
    facts: tuple["FoundFact", ...] = ()
    """What was extracted from it, holds today and is near to the query: one result with both texts."""
    reranker: float | None = None
    """A cross-encoder's score, where one was asked for it."""
    bank: str = ""
    """The bank it comes from, where several were asked."""


class FoundFact(NamedTuple):
    """A fact as stored, and its cosine to the query."""

    id: str
    payload: Mapping[str, Any]
    semantic: float


@dataclass(frozen=True, slots=True)
class RecallAnswer:
    """Results best first, and with `trace` how they came about."""

    results: tuple[Ranked, ...]
    trace: Mapping[str, Any] | None = None
    incomplete: bool = False
    """Whether something of what the bank held at the time asked for is gone."""
    reranked: bool | None = None
    """Whether a cross-encoder had its say; None: there is none, or it was not to be asked."""
    stale: bool = False
    """Whether the store did not show `min_seq` in time."""


_FACT: Filter = AnyOf("kind", (UnitKind.FACT.value,))
HOLDING: Filter = All((_FACT, Empty("superseded_by")))
"""Facts that no later one has closed."""
FACT_SHARE = 5
"""One fact is looked for where so many units are."""
_ATTEMPTS = 5
"""How often the trips are made where a replace keeps coming between them."""
NOTHING = Hits((), (), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every unit that a lane brought, scored in all lanes; facts; and, where asked for, what each lane brought."""

    hits: Hits
    lanes: tuple[LaneHits, ...] = ()
    facts: Hits = NOTHING
    matches: Columns | None = None
    """How well each of the query's tokens is met by each unit, as memory.late.match_tokens; None: not asked."""
    twins: NDArray[np.intp] | None = None
    """For each unit the number of the first that says the same: they score as the best of them. None: not asked."""
    incomplete: bool = False
    """Whether the bank has lost something of what it held at the time it is asked for."""


@dataclass(frozen=True, slots=True)
class Rerank:
    """Compare the query's packed token vectors with those of the `units` best by the lanes' weights, not of all.

    What a comparison costs grows with how many units there are and how long they are; those far down gained nothing.
    """

    tokens: bytes
    units: int
    weights: tuple[float, float]

    def matches(self, hits: Hits) -> Columns:
        """As memory.late.match_tokens: NaN for units that are not compared or have no token vectors."""
        if len(hits.ids) > self.units:
            fused = fuse(list(zip(self.weights, (hits.semantic, hits.keyword), strict=True)))
            best = frozenset(np.argsort(-fused, kind="stable")[: self.units].tolist())
            return match_tokens(
                self.tokens, [packed if place in best else b"" for place, packed in enumerate(hits.tokens)]
            )
        return match_tokens(self.tokens, hits.tokens)


@dataclass(frozen=True, slots=True)
class FindCandidates:
    """Procedure: trip 1 asks the lanes in one batch, trip 2 scores their union in both and brings it whole.

    A lane of its own brings the nearest facts, which are not ranked.

    The best `seeds` of each lane bring what stands up to `reach` beside them in their document, if it matches, too.
    Where units went between the trips, a replace took them: both are made again, so that its new ones are found.
    Token vectors are compared here, beside the engine where it is embedded: what leaves is a number for each pair.
    """

    dense: NDArray[np.float32]
    lexical: str
    limit: int
    where: Filter
    seeds: int = 0
    reach: int = 0
    trace: bool = False
    rerank: Rerank | None = None
    """None: units are not compared token by token."""
    facts: Filter = HOLDING
    """Which facts are looked for."""
    now: datetime | None = None
    """Units whose time was over by then are left out; None: none are."""
    told: Filter = EVIDENCE
    """Among which units is looked; facts come beside them."""
    space: str = ""
    """What `dense` and the query's token vectors are vectors of."""

    def steps(self) -> Generator[Call[Any], Any, Candidates]:
        """The candidates; none where the bank holds nothing that matches."""
        lanes: tuple[LaneHits, ...] = ()
        hits = NOTHING
        for _ in range(_ATTEMPTS):
            asked = (
                Lane(self.limit, dense=self.dense, where=self.told, space=self.space),
                Lane(self.limit, lexical=self.lexical, where=self.told),
                Lane(self.limit // FACT_SHARE, dense=self.dense, where=self.facts, space=self.space),
            )
            lanes = yield SearchLanes(asked, self.where, self.seeds)
            semantic, keyword, facts = (dict(zip(lane.ids, lane.scores, strict=True)) for lane in lanes)
            if not semantic and not keyword:
                return Candidates(NOTHING, lanes if self.trace else ())
            # A keyword lane with fewer hits than it may bring has all units with a word in common: the rest score 0.
            cut = len(keyword) >= self.limit
            unworded = tuple(unit for unit in semantic if unit not in keyword) if cut else ()
            unseen = tuple(unit for unit in keyword if unit not in semantic)
            near = self._near(lanes[:2], with_words=cut)  # facts bring no evidence, or they would change its order
            hits = yield CompleteHits(
                *(semantic | facts, keyword, self.dense, self.lexical, unseen, unworded, near),
                self.rerank is not None,
                self.space,
            )
            if (semantic.keys() | facts.keys() | keyword.keys()) <= set(hits.ids):
                break
        lanes = lanes if self.trace else ()
        hits = self._unexpired(hits)
        is_fact = np.fromiter((payload["kind"] == UnitKind.FACT for payload in hits.payloads), np.bool_)
        evidence, found = (_those(hits, ~is_fact), _those(hits, is_fact)) if is_fact.any() else (hits, NOTHING)
        matches = self.rerank.matches(evidence) if self.rerank else None
        return Candidates(replace(evidence, tokens=()), lanes, replace(found, tokens=()), matches)

    def _unexpired(self, hits: Hits) -> Hits:
        """Here and not by a filter: they are few until they are swept, and the engine would look at every payload."""
        if self.now is None or not any("expires_at" in payload for payload in hits.payloads):
            return hits
        now = instant_to_text(self.now)
        ends = (payload.get("expires_at") for payload in hits.payloads)
        return _those(hits, np.fromiter((end is None or end > now for end in ends), np.bool_))

    def _near(self, lanes: tuple[LaneHits, ...], *, with_words: bool) -> Near | None:
        spans = around((place for lane in lanes for place in lane.places), self.reach)
        return Near(spans, every(self.where, EVIDENCE), most_in(spans), with_words) if spans else None


def _those(hits: Hits, chosen: NDArray[np.bool_]) -> Hits:
    kept = np.flatnonzero(chosen).tolist()
    return Hits(
        tuple(hits.ids[i] for i in kept),
        tuple(hits.payloads[i] for i in kept),
        hits.semantic[chosen],
        hits.keyword[chosen],
        tuple(hits.tokens[i] for i in kept) if hits.tokens else (),
    )


def plan_candidates(
    query: RecallQuery,
    understood: Understood,
    embedded: Embedding,
    recipe: Recipe = DEFAULT,
    now: datetime | None = None,
) -> FindCandidates:
    """What to ask the store, given the embedded query, and what time it is."""
    types = AnyOf("type", tuple(kind.value for kind in query.types)) if query.types else None
    limit = recipe.candidates[query.budget]
    where = every(query.where, types)
    weights = (recipe.semantic_weight, recipe.keyword_weight)
    rerank = Rerank(embedded.tokens, recipe.late_units, weights) if recipe.late and embedded.tokens else None
    told = REFLECTED if UnitType.REFLECTION in query.types else EVIDENCE
    lanes = recipe.seeds, recipe.reach, query.trace, rerank
    return FindCandidates(
        embedded.dense, understood.query, limit, where, *lanes, now=now, told=told, space=embedded.space
    )


@dataclass(frozen=True, slots=True)
class FindAnswer:
    """Procedure: candidates, ranked and packed where they are found, so that only results travel."""

    query: RecallQuery
    understood: Understood
    embedded: Embedding
    recipe: Recipe = DEFAULT
    now: datetime | None = None

    def steps(self) -> Generator[Call[Any], Any, RecallAnswer]:
        """The answer; empty where the bank holds nothing that matches."""
        find = plan_candidates(self.query, self.understood, self.embedded, self.recipe, self.now)
        return answer(self.query, self.understood, (yield from find.steps()), self.recipe)


def answer(
    query: RecallQuery,
    understood: Understood,
    candidates: Candidates,
    recipe: Recipe = DEFAULT,
    reranked: Reranked | None = None,
) -> RecallAnswer:
    """Rank, order, filter by score and pack. Equal candidates give equal answers; ties go by id.

    Facts take what the results leave of the budget, in the order of their results.
    """
    hits = candidates.hits
    scores = rank(hits, understood, recipe, candidates.matches)
    if candidates.twins is not None:
        scores = _as_the_best(scores, candidates.twins)
    if reranked is not None:
        scores = reranked.reorder(scores)
    crossed = reranked.column(len(scores)) if reranked is not None else None
    final, semantic, keyword = final_score(scores), hits.semantic, keyword_score(hits.keyword)
    order = np.argsort(-scores, kind="stable")
    bounds = query.min_scores
    kept = order[
        _reach(final[order], bounds.final)
        & _reach(semantic[order], bounds.semantic)
        & _reach(keyword[order], bounds.keyword)
        & (_reach(np.nan_to_num(crossed[order], nan=np.inf), bounds.reranker) if crossed is not None else True)
    ].tolist()
    lengths = [int(hits.payloads[i]["text_tokens"]) for i in kept]
    chosen = pack(lengths, query.max_tokens, query.limit)
    returned = [kept[place] for place in chosen]
    results = _as_results(hits, returned, final, keyword, crossed)
    left = query.max_tokens - sum(lengths[place] for place in chosen)
    results = with_facts(results, candidates.facts, left)
    if not query.trace:
        return RecallAnswer(results, incomplete=candidates.incomplete)
    matches = candidates.matches
    columns = {
        "final": final,
        "semantic": semantic,
        "keyword": keyword,
        "reranker": crossed,
        "late": z_rows(matches).sum(axis=0) if matches is not None and recipe.late else None,
    }
    trace = {
        "recipe": recipe.name,
        "budget": query.budget,
        **describe_query(understood),
        "lanes": describe_lanes(candidates.lanes),
        "ranked": describe_units(hits, candidates.lanes, columns, order.tolist(), kept, returned, query.limit),
    }
    return RecallAnswer(results, trace, candidates.incomplete)


def _as_results(
    hits: Hits,
    returned: list[int],
    final: NDArray[np.float64],
    keyword: NDArray[np.float64],
    crossed: NDArray[np.float64] | None,
) -> tuple[Ranked, ...]:
    """Column by column: numbers taken from arrays one by one cost as much as all of the ranking."""
    scored = (column[returned].tolist() for column in (final, hits.semantic, keyword))
    asked: Iterable[float | None] = repeat(None)
    if crossed is not None:
        asked = [None if np.isnan(one) else one for one in crossed[returned].tolist()]
    ids, payloads = [hits.ids[i] for i in returned], [hits.payloads[i] for i in returned]
    return tuple(map(Ranked._make, zip(ids, payloads, *scored, repeat(()), asked, repeat(""))))


def with_facts(results: tuple[Ranked, ...], facts: Hits, max_tokens: int) -> tuple[Ranked, ...]:
    """Results with what was extracted from them, the nearest facts first, within the tokens that are left."""
    if max_tokens <= 0:
        return results
    by_source: dict[str, list[FoundFact]] = {}
    for i in np.argsort(-facts.semantic, kind="stable").tolist():
        fact = FoundFact(facts.ids[i], facts.payloads[i], float(facts.semantic[i]))
        for source in fact.payload.get("sources", ()):
            by_source.setdefault(source["unit_id"], []).append(fact)
    if not by_source:
        return results
    given: set[str] = set()
    found: list[Ranked] = []
    for result in results:
        own = [fact for fact in by_source.get(result.id, ()) if fact.id not in given]
        kept = [own[i] for i in pack([int(fact.payload["text_tokens"]) for fact in own], max_tokens, None)]
        max_tokens -= sum(int(fact.payload["text_tokens"]) for fact in kept)
        given.update(fact.id for fact in kept)
        found.append(result._replace(facts=tuple(kept)) if kept else result)
    return tuple(found)


def _as_the_best(scores: NDArray[np.float64], twins: NDArray[np.intp]) -> NDArray[np.float64]:
    best = scores.copy()
    np.maximum.at(best, twins, scores)
    return best[twins]


def _reach(scores: NDArray[np.float64], bound: float | None) -> NDArray[np.bool_]:
    return np.ones(len(scores), dtype=bool) if bound is None else scores >= bound
