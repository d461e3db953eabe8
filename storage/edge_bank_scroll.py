"""All points of one bank by id, in pages whose price does not grow with the bank or with what lies before it.

The engine holds the interpreter's lock while it scrolls. With a filter it walks through all ids, from the start on,
until it has found enough: 80 ms and more where the bank's ids stand far away. Ids begin with the bank's bucket, so a
big bank stands together: its own bucket is read as a range of ids without a filter, in 2 ms a page, and what else is
there is left out here. Ids that no point of the bank should have are looked through too, some buckets at a time.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from qdrant_edge import CountRequest, EdgeShard, Filter, Record, ScrollRequest

from memory.filters import HasId
from memory.ids import BUCKET_BITS, BUCKETS, Scope, first_id
from storage import schema
from storage.query_to_edge import condition, scoped

RANGE_POINTS: Final = 20_000
"""Banks from this size on are read as a range of ids."""
_STRETCH_BUCKETS: Final = 16
"""So many buckets of other banks are looked through in one page."""
_LOWEST: Final = first_id(0)


def bank_page(
    shard: EdgeShard, scope: Scope, start: str | None, limit: int, keys: Sequence[str] | None = None
) -> tuple[list[Record], str | None]:
    """Up to `limit` points from the id `start` on, and where the next page starts; None after the last.

    With these keys of their payloads and the bank's; without any named, all of it. A page may be short, or empty.
    """
    payload = True if keys is None else [*keys, schema.BANK_KEY]
    if _estimated(shard, scope) < RANGE_POINTS:
        request = ScrollRequest(offset=start, limit=limit, filter=scoped(scope), with_payload=payload)
        records, following = shard.scroll(request)
        return list(records), None if following is None else str(following)
    bucket = uuid.UUID(start or _LOWEST).int >> (128 - BUCKET_BITS)
    if bucket == scope.bucket:
        request = ScrollRequest(offset=start, limit=limit, with_payload=payload)
        return _cut(shard.scroll(request), scope, _border(bucket + 1))
    border = _border(_end_of_stretch(bucket, scope.bucket))
    # A walk ends when it has found one point more than it was asked for: two behind the border are let through.
    behind = [] if border is None else shard.scroll(ScrollRequest(offset=border, limit=2, with_payload=False))[0]
    where = Filter(should=[scoped(scope), condition(HasId(tuple(str(point.id) for point in behind)))])
    request = ScrollRequest(offset=start, limit=1, filter=where, with_payload=payload)
    return _cut(shard.scroll(request), scope, border)


def _cut(page: tuple[list[Record], Any], scope: Scope, border: str | None) -> tuple[list[Record], str | None]:
    """The bank's points of a page below the border, and where the next one starts."""
    records, following = page
    mine = [record for record in records if _is_of(scope, record) and (border is None or str(record.id) < border)]
    if following is None:
        beyond = [record for record in records if border is not None and str(record.id) >= border]
        return mine, border if beyond else None
    return mine, str(following) if border is None else min(str(following), border)


def _end_of_stretch(bucket: int, own: int) -> int:
    """The bucket at which a page that starts in another bank's bucket ends."""
    end = bucket + _STRETCH_BUCKETS - bucket % _STRETCH_BUCKETS
    return own if bucket < own < end else end


def _border(bucket: int) -> str | None:
    return first_id(bucket) if bucket < BUCKETS else None


def _estimated(shard: EdgeShard, scope: Scope) -> int:
    return shard.count(CountRequest(filter=scoped(scope), exact=False))


def _is_of(scope: Scope, record: Record) -> bool:
    payload: dict[str, Any] = record.payload or {}
    return bool(payload.get(schema.BANK_KEY) == scope.key)
