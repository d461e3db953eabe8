"""What audits read, over dictionaries of payloads: the reference for the other engines."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from memory.audit_calls import RawPage, ScopePage, Stray
from memory.filters import TRUE, Filter, holds
from memory.ids import SYSTEM, Scope
from memory.records import RecordKind
from storage import schema

Points = Mapping[str, Mapping[str, Any]]


def raw_page(points: Points, where: Filter, start: str | None, limit: int) -> RawPage:
    """One page by id, lowest first."""
    ids = sorted(point for point, payload in points.items() if holds(where, point, payload))
    left = [point for point in ids if start is None or point >= start]
    following = left[limit] if len(left) > limit else None
    return RawPage(tuple((point, points[point]) for point in left[:limit]), following)


def scope_page(records: Points, start: str | None, limit: int) -> ScopePage:
    """Banks that have a head, by the head's id."""
    heads = {point: payload for point, payload in records.items() if payload[schema.KIND] == RecordKind.HEAD.value}
    page = raw_page(heads, TRUE, start, limit)
    scopes = (Scope(payload.get(schema.TENANT, ""), payload.get(schema.BANK, "")) for _, payload in page.points)
    return ScopePage(tuple(scopes), page.next)


def strays(units: Points, records: Points) -> tuple[Stray, ...]:
    """Points whose bank has no head."""
    heads = (payload for payload in records.values() if payload[schema.KIND] == RecordKind.HEAD.value)
    known = {SYSTEM.key, *(payload.get(schema.BANK_KEY) for payload in heads)}
    return tuple(
        Stray(name, key, count)
        for name, points in ((schema.UNITS, units), (schema.RECORDS, records))
        for key, count in sorted(_keys(points.values()).items(), key=lambda pair: pair[0] or "")
        if key not in known
    )


def _keys(payloads: Iterable[Mapping[str, Any]]) -> Counter[str | None]:
    return Counter(
        payload.get(schema.BANK_KEY)
        for payload in payloads
        if schema.BANK_KEY in payload or payload.get(schema.KIND) not in schema.RESERVED_KINDS
    )
