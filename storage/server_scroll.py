"""Reading many points of a server's collection: page by page to the end, or one page in a field's order."""

from collections.abc import AsyncIterator
from typing import Any

from qdrant_client import models

from memory.filters import AnyOf, HasId
from storage.query_to_client import condition
from storage.server_client import Collection

_PAGE_POINTS = 1000


async def all_payloads(collection: Collection, where: models.Filter) -> AsyncIterator[dict[str, Any]]:
    """Payload of every point of every shard that matches, by id."""
    offset: Any = None
    while True:
        records, offset = await collection.scroll(None, where, _PAGE_POINTS, payload=True, offset=offset)
        for record in records:
            yield record.payload or {}
        if offset is None:
            return


async def ordered_page(
    collection: Collection, bucket: int, where: models.Filter, field: str, limit: int, offset: int
) -> list[tuple[str, dict[str, Any]]]:
    """One page by an indexed integer field, highest first, ties by id: ids and payloads.

    Ordered scrolls have no page token, so what comes before is skipped; and they cut ties as they please, so those of
    the lowest value are asked for again by id.
    """
    if limit <= 0:
        return []
    order = models.OrderBy(key=field, direction=models.Direction.DESC)
    found, _ = await collection.scroll(bucket, where, offset + limit, payload=[field], order_by=order)
    if not found:
        return []
    first = [((record.payload or {})[field], str(record.id)) for record in found]
    lowest = min(value for value, _ in first)
    ids = [point for value, point in sorted(first, key=lambda pair: (-pair[0], pair[1])) if value > lowest]
    tied = _narrowed(where, AnyOf(field, (lowest,)))
    found, _ = await collection.scroll(bucket, tied, offset + limit - len(ids), payload=False)
    ids = [*ids, *(str(record.id) for record in found)][offset:]
    if not ids:
        return []
    # Asked with the filter, not by id alone: a writer may have retired some of them meanwhile.
    found, _ = await collection.scroll(bucket, _narrowed(where, HasId(tuple(ids))), len(ids), payload=True)
    payloads = {str(record.id): record.payload or {} for record in found}
    return [(point, payloads[point]) for point in ids if point in payloads]


def _narrowed(where: models.Filter, part: AnyOf | HasId) -> models.Filter:
    return models.Filter(must=[where, condition(part)])
