"""Reading many points of an edge collection: page by page to the end, or one page in a field's order."""

from collections.abc import Iterator, Sequence
from typing import Any

from qdrant_edge import Direction, EdgeShard, Filter, OrderBy, Record, ScrollRequest

from memory.audit_calls import RawPage
from memory.filters import AnyOf, HasId
from storage.query_to_edge import condition

_PAGE_POINTS = 1000


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

    Ordered scrolls have no page token, so what comes before is skipped; and they cut ties as they please, so those of
    the lowest value are asked for again by id.
    """
    if limit <= 0:
        return []
    order = OrderBy(field, Direction.Desc)
    request = ScrollRequest(limit=offset + limit, filter=where, with_payload=[field], order_by=order)
    first = [((record.payload or {})[field], str(record.id)) for record in shard.scroll(request)[0]]
    if not first:
        return []
    lowest = first[-1][0]
    ids = [point for value, point in sorted(first, key=lambda pair: (-pair[0], pair[1])) if value > lowest]
    tied = _narrowed(where, AnyOf(field, (lowest,)))
    request = ScrollRequest(limit=offset + limit - len(ids), filter=tied, with_payload=False)
    ids = [*ids, *(str(record.id) for record in shard.scroll(request)[0])][offset:]
    if not ids:
        return []
    # Asked with the filter, not by id alone: a writer may have retired some of them meanwhile.
    request = ScrollRequest(limit=len(ids), filter=_narrowed(where, HasId(tuple(ids))), with_payload=True)
    found = {str(record.id): record.payload or {} for record in shard.scroll(request)[0]}
    return [(point, found[point]) for point in ids if point in found]


def _narrowed(where: Filter, part: AnyOf | HasId) -> Filter:
    return Filter(must=[where, condition(part)])
