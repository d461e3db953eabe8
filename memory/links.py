"""Links between facts: near in time or in meaning, about the same entities, or one because of the other.

A function of the facts, bounded on each. A fact is linked to those before it, in the order of (when it occurred or else
was mentioned, id), and to those that caused it; the weight of a link depends on its two facts alone. So news changes no
link of the facts before it: only what comes late is linked to by the few facts that follow it.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from memory.records import Link
from memory.sketches import Neighbours, Place

TEMPORAL = "temporal"
ENTITY = "entity"
SEMANTIC = "semantic"
CAUSED_BY = "caused_by"
MAX_LINKS: Mapping[str, int] = {TEMPORAL: 4, ENTITY: 8, SEMANTIC: 4, CAUSED_BY: 4}
"""Of each type on one fact: payloads are read by every recall."""
TEMPORAL_REACH = timedelta(hours=24)
LOOKED_AT = 20
"""Facts before it that a fact may be linked to for one entity."""


@dataclass(frozen=True, slots=True)
class LinkedFact:
    """What links are derived from: when the fact occurred or else was mentioned, and the keys of its entities.

    `sketch` is that of its vector (memory.sketches), "" where there is none; `causes` are ids of facts it follows from,
    whether they are held or not.
    """

    id: str
    at: datetime
    entities: frozenset[str]
    sketch: str = ""
    causes: tuple[str, ...] = ()

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
        self._alike: dict[int, Neighbours] = {}
        """By the length of their sketches: vectors of two models have nothing in common."""
        self._effects: dict[str, set[str]] = defaultdict(set)

    def add(self, fact: LinkedFact) -> None:
        """Take a fact in."""
        self._facts[fact.id] = fact
        for places in self._lists_of(fact):
            insort(places, fact.place)
        for cause in fact.causes:
            self._effects[cause].add(fact.id)
        if fact.sketch:
            self._alike.setdefault(len(fact.sketch), Neighbours(MAX_LINKS[SEMANTIC])).add(fact.place, fact.sketch)

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
        for cause in fact.causes:
            self._effects[cause].discard(fact.id)
            if not self._effects[cause]:
                del self._effects[cause]
        if fact.sketch:
            self._alike[len(fact.sketch)].remove(fact_id)

    def links_of(self, fact_id: str) -> tuple[Link, ...]:
        """Links of a fact that is held, temporal ones first, the strongest of a type first."""
        fact = self._facts[fact_id]
        near = dict(self._alike[len(fact.sketch)].near(fact_id)) if fact.sketch else {}
        causes = dict.fromkeys((cause for cause in fact.causes if cause in self._facts and cause != fact_id), 1.0)
        return (
            *self._temporal(fact),
            *self._by_entity(fact),
            *_strongest(near, SEMANTIC),
            *_strongest(causes, CAUSED_BY),
        )

    def alike(self, fact_id: str) -> dict[str, float]:
        """Those that a fact that is held has among its nearest, and those that have it, with their cosines, about."""
        fact = self._facts[fact_id]
        if not fact.sketch:
            return {}
        held = self._alike[len(fact.sketch)]
        later = {other: dict(held.near(other))[fact_id] for other in held.nearest_of(fact_id)}
        return {**dict(held.near(fact_id)), **later}

    def followers_of(self, fact_id: str) -> set[str]:
        """Facts that may be linked to one that is held: those whose links its coming or going may change."""
        fact = self._facts[fact_id]
        found = set(_after(self._in_time, fact.place, MAX_LINKS[TEMPORAL]))
        for entity in fact.entities:
            found.update(_after(self._of_entity[entity], fact.place, LOOKED_AT))
        found.update(self._effects.get(fact_id, ()))
        if fact.sketch:
            found.update(self._alike[len(fact.sketch)].nearest_of(fact_id))
        return found - {fact_id}

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
