"""Links between facts: near in time, or about the same entities; a function of the facts, bounded on each.

Semantic links need vectors and causal ones an extraction that names causes; both have types of their own.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from memory.records import Link

TEMPORAL = "temporal"
ENTITY = "entity"
MAX_LINKS = 20
"""Of each type on one fact."""
TEMPORAL_REACH = timedelta(hours=24)
MAX_SHARED_FACTS = 200
"""An entity in more facts than this (a speaker of the bank) tells nothing of how two of them belong together."""


@dataclass(frozen=True, slots=True)
class LinkedFact:
    """What links are derived from: when the fact occurred or else was mentioned, and the keys of its entities."""

    id: str
    at: datetime
    entities: frozenset[str]


def derive_links(facts: Iterable[LinkedFact]) -> Mapping[str, tuple[Link, ...]]:
    """Links of each fact by its id, temporal ones first, the strongest of a type first."""
    ordered = sorted(facts, key=lambda fact: (fact.at, fact.id))
    shared = _facts_of_entities(ordered)
    instants = [fact.at for fact in ordered]
    return {fact.id: (*_temporal(fact, ordered, instants), *_by_entity(fact, shared)) for fact in ordered}


def _temporal(fact: LinkedFact, ordered: list[LinkedFact], instants: list[datetime]) -> tuple[Link, ...]:
    first, last = bisect_left(instants, fact.at - TEMPORAL_REACH), bisect_right(instants, fact.at + TEMPORAL_REACH)
    weights = {
        other.id: 1.0 - abs(other.at - fact.at) / (2 * TEMPORAL_REACH)
        for other in ordered[first:last]
        if other.id != fact.id
    }
    return _strongest(weights, TEMPORAL)


def _facts_of_entities(facts: Iterable[LinkedFact]) -> dict[str, list[str]]:
    shared: dict[str, list[str]] = defaultdict(list)
    for fact in facts:
        for entity in fact.entities:
            shared[entity].append(fact.id)
    return shared


def _by_entity(fact: LinkedFact, shared: Mapping[str, list[str]]) -> tuple[Link, ...]:
    """A rare entity binds more than a common one: each adds one over the number of its facts."""
    weights: dict[str, float] = defaultdict(float)
    for entity in sorted(fact.entities):
        others = shared[entity]
        if len(others) <= MAX_SHARED_FACTS:
            for other in others:
                if other != fact.id:
                    weights[other] += 1 / len(others)
    return _strongest(weights, ENTITY)


def _strongest(weights: Mapping[str, float], kind: str) -> tuple[Link, ...]:
    best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MAX_LINKS]
    return tuple(Link(to, kind, min(weight, 1.0)) for to, weight in best)
