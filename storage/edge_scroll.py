"""Reading many points of an edge collection: page by page to the end, or one page in a field's order."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, cast

from qdrant_edge import CountRequest, Direction, EdgeShard, Filter, OrderBy, Record, ScrollRequest

from memory.audit_calls import RawPage
from memory.filters import Between, HasId
from storage.query_to_edge import condition

_PAGE_POINTS: Final = 1000
_PAYLOADS: Final = 16
"""Payloads read at once: a document of a thousand chunks has one of 200 KB, and each may have to come from the disk."""


def all_points(
    shard: EdgeShard,
    where: Filter | None = None,
    keys: Sequence[str] | None = None,
    *,
    vectors: bool = False,
    page_points: int = _PAGE_POINTS,
) -> Iterator[Record]:
    """Every point that matches, by id, with these keys of its payload or, without any named, all of it."""
    with_payload = True if keys is None else list(keys)
    offset: Any = None
    while True:
        request = ScrollRequest(
            offset=offset, limit=page_points, filter=where, with_payload=with_payload, with_vector=vectors
        )
        records, offset = shard.scroll(request)
        yield from records
        if offset is None:
            return


def all_payloads(shard: EdgeShard, where: Filter, keys: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Payload of every point that matches, by id."""
    return (point.payload or {} for point in all_points(shard, where, keys))


def raw_page(shard: EdgeShard, where: Filter, start: str | None, limit: int) -> RawPage:
    """One page by id, lowest first, of points as they are stored."""
    request = ScrollRequest(offset=start, limit=limit, filter=where, with_payload=True)
    records, following = shard.scroll(request)
    points = tuple((str(record.id), record.payload or {}) for record in records)
    return RawPage(points, None if following is None else str(following))


def ordered_page(
    shard: EdgeShard, where: Filter, field: str, limit: int, offset: int
) -> list[tuple[str, dict[str, Any]]]:
    """One page by an indexed integer field, highest first, ties by id: ids and payloads.

    Ordered scrolls have no page token, so what comes before is skipped, a thousand at a time for the engine lets no
    other thread run meanwhile; and they cut ties as they please, so those of the lowest value are asked for by id.
    """
    ids = list(islice(_ordered_ids(shard, where, field, offset, limit), max(limit, 0)))
    found: dict[str, dict[str, Any]] = {}
    for first in range(0, len(ids), _PAYLOADS):
        part = ids[first : first + _PAYLOADS]
        # Asked with the filter, not by id alone: a writer may have retired some of them meanwhile.
        request = ScrollRequest(limit=len(part), filter=_narrowed(where, HasId(tuple(part))), with_payload=True)
        found.update((str(record.id), record.payload or {}) for record in shard.scroll(request)[0])
    return [(point, found[point]) for point in ids if point in found]


def _ordered_ids(shard: EdgeShard, where: Filter, field: str, skip: int, limit: int) -> Iterator[str]:
    """Ids from the given place on; `limit` only says how many are worth reading at once."""
    top: int | None = None
    while True:
        asked = min(_PAGE_POINTS, skip + limit)
        order = OrderBy(field, Direction.Desc, start_from=top)
        request = ScrollRequest(limit=asked, filter=where, with_payload=False, order_by=order)
        read = [(int(cast("float", record.order_value)), str(record.id)) for record in shard.scroll(request)[0]]
        if not read:
            return
        lowest = read[-1][0]
        above = [point for value, point in sorted(read, key=lambda pair: (-pair[0], pair[1])) if value > lowest]
        yield from above[skip:]
        skip = max(0, skip - len(above))
        tied = _narrowed(where, Between(field, lowest, lowest))  # it has an index for ranges
        count = shard.count(CountRequest(filter=tied, exact=True))
        if count > skip:
            page = min(_PAGE_POINTS, skip + limit)
            yield from (str(record.id) for record in islice(all_points(shard, tied, (), page_points=page), skip, None))
        skip = max(0, skip - count)
        if len(read) < asked:
            return
        top = lowest - 1


def _narrowed(where: Filter, part: Between | HasId) -> Filter:
    return Filter(must=[where, condition(part)])
