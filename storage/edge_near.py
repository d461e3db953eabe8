"""What stands beside units on the embedded engine: by places kept in memory, else by a condition on each unit.

The engine judges nested conditions on positions for every unit of the bank: 3 ms in one of 10,000, where scoring a
hundred units by id takes half of one.
"""

from dataclasses import replace
from itertools import islice
from typing import Any, Final

from memory.filters import AnyOf, HasId, every
from memory.ids import Scope
from memory.neighbours import Near
from memory.store_calls import CompleteHits, Lane
from storage import schema
from storage.document_places import DocumentPlaces, Places
from storage.edge_lanes import EdgeLanes, Scored
from storage.edge_scroll import all_points
from storage.query_to_edge import scoped

_READ_AT_ONCE: Final = 4
"""Documents whose places one search reads beside its own work, some 10 µs a unit."""
_LONGEST_UNITS: Final = 1_000
"""A longer document is not kept: reading its places would hold others up."""


class EdgeNear:
    """Scores what stands near over one shard's units."""

    def __init__(self, units: Any, lanes: EdgeLanes, places: DocumentPlaces) -> None:
        self._units = units
        self._lanes = lanes
        self._places = places

    def score(self, scope: Scope, call: CompleteHits, near: Near) -> Scored:
        """Live units that stand near, with their cosines; those of which the call knows all scores may be left out."""
        self._read_places(scope, near)
        units, unknown = self._places.find(scope.key, near.spans)
        if len(units) > near.limit:
            return self._lanes.among(scope, self._lane(call, near.limit), near.matching)
        found: Scored = []
        if unknown:
            rest = replace(near, spans={document: near.spans[document] for document in unknown})
            found += self._lanes.among(scope, self._lane(call, near.limit), rest.matching)
        scored = _scored(call, near)
        wanted = tuple(unit for unit in units if unit not in scored)
        if wanted:
            found += self._lanes.among(scope, self._lane(call, len(wanted)), every(near.where, HasId(wanted)))
        return found

    def _lane(self, call: CompleteHits, limit: int) -> Lane:
        return Lane(limit, dense=call.dense, space=call.space)

    def _read_places(self, scope: Scope, near: Near) -> None:
        for document in self._places.asked_again(scope.key, near.spans, _READ_AT_ONCE):
            generation = self._places.generation
            where = scoped(scope, AnyOf(schema.DOCUMENT_ID, (document,)))
            points = all_points(self._units, where, (schema.POSITION,), page_points=_LONGEST_UNITS + 1)
            standing = sorted(
                (point.payload[schema.POSITION], str(point.id))
                for point in islice(points, _LONGEST_UNITS + 1)
                if point.payload and schema.POSITION in point.payload
            )
            whole = len(standing) <= _LONGEST_UNITS
            positions, units = zip(*standing, strict=True) if standing and whole else ((), ())
            self._places.keep(scope.key, document, Places(positions, units, not whole), generation)


def _scored(call: CompleteHits, near: Near) -> set[str]:
    """Units whose scores are known, or asked for anyway."""
    cosines = {*call.semantic, *call.dense_for}
    return cosines.intersection((*call.keyword, *call.lexical_for)) if near.with_words else cosines
