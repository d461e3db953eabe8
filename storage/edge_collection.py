"""One collection of the embedded engine, changed by nothing but plain operations on ids.

After a crash the engine replays its log over files that may be newer than its last flush. A condition or a filter in
the log would be judged anew then, against whatever those files hold, and leave points and indexes at odds for good. So
conditions are judged here, by the one process that writes, and what reaches the log does not depend on what is stored.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast

from qdrant_edge import EdgeShard, Filter, Point, PointVectors, UpdateOperation

from memory.ids import Scope
from storage.edge_bank_scroll import bank_page
from storage.edge_scroll import all_points

Payload = Mapping[str, Any]
Guard = Callable[[Payload], bool]

UPDATE_POINTS: Final = 64
"""Points of one update: bigger ones bring no throughput and make readers wait."""

REMOVAL_CHANGES: Final = 8
"""A removal is as much as so many changes: a flush has an entry to write in every index, where a change has one."""


class EdgeCollection:
    """Not safe for several writing threads: between judging and changing nobody else may change.

    After every slice `on_change` is told how many points were changed or removed.
    """

    def __init__(self, shard: EdgeShard, on_change: Callable[[int], None] = lambda _: None) -> None:
        self.shard = shard
        self._on_change = on_change

    def stored(self, ids: Sequence[str], keys: Sequence[str]) -> dict[str, Payload]:
        """These keys of the payloads of those points that are there, by id."""
        wanted: list[Any] = list(ids)
        return {str(record.id): record.payload or {} for record in self.shard.retrieve(wanted, list(keys), False)}

    def having(self, ids: Sequence[str], name: str) -> set[str]:
        """Which of the points have a vector of that name."""
        wanted: list[Any] = list(ids)
        found = self.shard.retrieve(wanted, False, [name])
        return {str(record.id) for record in found if name in cast("Any", record.vector or {})}

    def matching(self, where: Filter, keys: Sequence[str]) -> Iterator[tuple[str, Payload]]:
        """Ids and these keys of the payloads of all points that match, by id."""
        return ((str(point.id), point.payload or {}) for point in all_points(self.shard, where, keys))

    def page_of_bank(
        self, scope: Scope, start: str | None, limit: int, keys: Sequence[str]
    ) -> tuple[list[tuple[str, Payload]], str | None]:
        """Up to `limit` of a bank's points by id, from `start` on, and where to go on; None after the last."""
        records, following = bank_page(self.shard, scope, start, limit, keys)
        return [(str(record.id), record.payload or {}) for record in records], following

    def put(self, points: Iterable[Point]) -> None:
        """Insert or overwrite."""
        for part in _slices(points):
            self.shard.update(UpdateOperation.upsert_points(part))

    def add_vectors(self, vectors: Iterable[PointVectors]) -> None:
        """Set named vectors of points that are there; their others stay."""
        for part in _slices(vectors):
            self.shard.update(UpdateOperation.update_vectors(part))
            self._on_change(len(part))

    def change(self, ids: Iterable[str], payload: dict[str, Any]) -> None:
        """Set keys of points that are there."""
        for part in _slices(ids):
            self.shard.update(UpdateOperation.set_payload(part, payload))
            self._on_change(len(part))

    def drop_vectors(self, ids: Iterable[str], name: str) -> None:
        """Take a named vector from points that are there."""
        for part in _slices(ids):
            self.shard.update(UpdateOperation.delete_vectors(part, [name]))
            self._on_change(len(part))

    def drop_keys(self, ids: Iterable[str], keys: Sequence[str]) -> None:
        """Take keys from the payloads of points that are there."""
        for part in _slices(ids):
            self.shard.update(UpdateOperation.delete_payload(part, list(keys)))
            self._on_change(len(part))

    def drop(self, ids: Iterable[str]) -> None:
        """Remove points."""
        for part in _slices(ids):
            self.shard.update(UpdateOperation.delete_points(part))
            self._on_change(REMOVAL_CHANGES * len(part))


def _slices(items: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(items)
    while part := list(islice(left, UPDATE_POINTS)):
        yield part
