"""Links between facts: near in time, or about the same entities; a function of the facts, bounded on each.

A fact is linked to those before it, in the order of (when it occurred or else was mentioned, id), and the weight of a
link depends on its two facts alone. So news changes no link of the facts before it: only what comes late is linked to
by the few facts that follow it.

Semantic links need vectors and causal ones an extraction that names causes; both have types of their own.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from memory.records import Link

TEMPORAL = "temporal"
ENTITY = "entity"
MAX_LINKS: Mapping[str, int] = {TEMPORAL: 4, ENTITY: 8}
"""Of each type on one fact: payloads are read by every recall."""
TEMPORAL_REACH = timedelta(hours=24)
LOOKED_AT = 20
"""Facts before it that a fact may be linked to for one entity."""

Place = tuple[datetime, str]
"""Where a fact stands among the others: when, and its id."""


@dataclass(frozen=True, slots=True)
class LinkedFact:
    """What links are derived from: when the fact occurred or else was mentioned, and the keys of its entities."""

    id: str
    at: datetime
    entities: frozenset[str]

    @property
    def place(self) -> Place:
        """Where it stands among the others."""
        return self.at, self.id


class LinkIndex:
    """Facts in order of time, as a whole and for each entity; what it answers depends on the facts it holds alone."""

    def __init__(self) -> None:
        self._facts: dict[str, LinkedFact] = {}
        self._in_time: list[Place] = []
        self._of_entity: dict[str, list[Place]] = defaultdict(list)

    def add(self, fact: LinkedFact) -> None:
        """Take a fact in."""
        self._facts[fact.id] = fact
        for places in self._lists_of(fact):
            insort(places, fact.place)

    def remove(self, fact_id: str) -> None:
        """Let go of a fact.

        Raises:
            KeyError: it is not held.
        """
        fact = self._facts.pop(fact_id)
        for places in self._lists_of(fact):
            del places[bisect_left(places, fact.place)]
        for entity in fact.entities:
            if not self._of_entity[entity]:
                del self._of_entity[entity]

    def links_of(self, fact_id: str) -> tuple[Link, ...]:
        """Links of a fact that is held, temporal ones first, the strongest of a type first."""
        fact = self._facts[fact_id]
        return (*self._temporal(fact), *self._by_entity(fact))

    def followers_of(self, fact_id: str) -> set[str]:
        """Facts that may be linked to one that is held: those whose links its coming or going may change."""
        fact = self._facts[fact_id]
        found = set(_after(self._in_time, fact.place, MAX_LINKS[TEMPORAL]))
        for entity in fact.entities:
            found.update(_after(self._of_entity[entity], fact.place, LOOKED_AT))
        return found

    def _lists_of(self, fact: LinkedFact) -> Iterator[list[Place]]:
        yield self._in_time
        for entity in fact.entities:
            yield self._of_entity[entity]

    def _temporal(self, fact: LinkedFact) -> tuple[Link, ...]:
        weights = {
            other: 1.0 - (fact.at - at) / (2 * TEMPORAL_REACH)
            for at, other in _before(self._in_time, fact.place, MAX_LINKS[TEMPORAL])
            if fact.at - at <= TEMPORAL_REACH
        }
        return _strongest(weights, TEMPORAL)

    def _by_entity(self, fact: LinkedFact) -> tuple[Link, ...]:
        """Two facts that speak of the same things only are bound most."""
        others = {
            other for entity in fact.entities for _, other in _before(self._of_entity[entity], fact.place, LOOKED_AT)
        }
        weights = {}
        for other in others:
            entities = self._facts[other].entities
            weights[other] = len(fact.entities & entities) / len(fact.entities | entities)
        return _strongest(weights, ENTITY)


def derive_links(facts: Iterable[LinkedFact]) -> Mapping[str, tuple[Link, ...]]:
    """Links of each fact by its id."""
    index = LinkIndex()
    held = list(facts)
    for fact in held:
        index.add(fact)
    return {fact.id: index.links_of(fact.id) for fact in held}


def _before(places: Sequence[Place], place: Place, most: int) -> Sequence[Place]:
    end = bisect_left(places, place)
    return places[max(0, end - most) : end]


def _after(places: Sequence[Place], place: Place, most: int) -> Iterator[str]:
    begin = bisect_left(places, place) + 1
    return (other for _, other in places[begin : begin + most])


def _strongest(weights: Mapping[str, float], kind: str) -> tuple[Link, ...]:
    best = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[: MAX_LINKS[kind]]
    # The embedded engine gives long fractions back with another last digit.
    return tuple(Link(to, kind, round(min(weight, 1.0), 4)) for to, weight in best)
