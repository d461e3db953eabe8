"""All points of one bank by id, in pages whose price does not grow with the bank.

The engine holds the interpreter's lock while it scrolls, and collects and sorts all that matches a filter for every
page: 80 ms and more a page of a bank of 200,000. Ids begin with the bank's bucket, so a big bank stands together: after
the first page it is read as a range of ids without a filter, in 2 ms a page, and what else is there is left out here.
A last page with the filter looks for ids that no point of the bank should have.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from qdrant_edge import CountRequest, EdgeShard, Record, ScrollRequest

from memory.ids import Scope, first_id
from storage import schema
from storage.query_to_edge import scoped

RANGE_POINTS: Final = 20_000
"""Banks from this size on are read as a range of ids."""
_PAGE_POINTS: Final = 256


def bank_page(
    shard: EdgeShard, scope: Scope, start: str | None, limit: int, keys: Sequence[str] | None = None
) -> tuple[list[Record], str | None]:
    """Up to `limit` points from the id `start` on, and where the next page starts; None after the last.

    With these keys of their payloads and the bank's; without any named, all of it. A page may be short, or empty.
    """
    of_bank, end = scoped(scope), first_id(scope.bucket + 1)
    ranged = start is not None and start < end and _estimated(shard, scope) >= RANGE_POINTS
    request = ScrollRequest(
        offset=start,
        limit=limit,
        filter=None if ranged else of_bank,
        with_payload=True if keys is None else [*keys, schema.BANK_KEY],
    )
    records, following = shard.scroll(request)
    if following is None:
        return [record for record in records if _is_of(scope, record)], None
    if not ranged:
        return list(records), str(following)
    return [record for record in records if _is_of(scope, record)], min(str(following), end)


def bank_points(shard: EdgeShard, scope: Scope, keys: Sequence[str]) -> Iterator[Record]:
    """Every point of the bank; those read may be removed meanwhile."""
    start: str | None = None
    while True:
        records, start = bank_page(shard, scope, start, _PAGE_POINTS, keys)
        yield from records
        if start is None:
            return


def _estimated(shard: EdgeShard, scope: Scope) -> int:
    return shard.count(CountRequest(filter=scoped(scope), exact=False))


def _is_of(scope: Scope, record: Record) -> bool:
    payload: dict[str, Any] = record.payload or {}
    return bool(payload.get(schema.BANK_KEY) == scope.key)
