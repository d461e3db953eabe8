"""What audits read of a Qdrant server: points as they are stored, of one bank or of none."""

from typing import Any, cast

from qdrant_client import models

from memory.audit_calls import FindUnlike, RawPage, ScanRecords, ScanUnits, ScopePage, Stray
from memory.filters import TRUE, AnyOf
from memory.ids import SYSTEM, Scope
from storage import schema
from storage.bm25 import is_like
from storage.edge_audit import HEADS, OF_NO_BANK
from storage.query_to_client import scoped, unscoped
from storage.server_client import Collection
from storage.server_scroll import all_payloads

AuditCall = ScanUnits | ScanRecords | FindUnlike


class ServerAudit:
    """Raw reads over the two collections."""

    def __init__(self, units: Collection, records: Collection) -> None:
        self._units = units
        self._records = records

    async def perform(self, scope: Scope, call: AuditCall) -> Any:
        """One page of a bank's points, or what of its units is not as it should be."""
        if isinstance(call, FindUnlike):
            return await self._find_unlike(scope, call)
        if isinstance(call, ScanUnits):
            return await _page(self._units, scope.bucket, scoped(scope), call.start, call.limit)
        kinds = () if call.kind is None else (AnyOf(schema.KIND, (call.kind.value,)),)
        return await _page(self._records, scope.bucket, scoped(scope, *kinds), call.start, call.limit)

    async def _find_unlike(self, scope: Scope, call: FindUnlike) -> frozenset[str]:
        found = await self._units.retrieve(scope.bucket, list(call.texts), [schema.BANK_KEY], [schema.LEXICAL])
        return frozenset(
            str(record.id)
            for record in found
            if (record.payload or {}).get(schema.BANK_KEY) == scope.key
            and not is_like(cast("Any", record.vector or {}).get(schema.LEXICAL), call.texts[str(record.id)])
        )

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Banks that have a head, by the head's id."""
        page = await _page(self._records, None, unscoped(HEADS), start, limit)
        scopes = (Scope(payload.get(schema.TENANT, ""), payload.get(schema.BANK, "")) for _, payload in page.points)
        return ScopePage(tuple(scopes), page.next)

    async def list_strays(self) -> tuple[Stray, ...]:
        """Points of banks without a head. A bank has its head before anything else: heads are therefore read last."""
        counted = {
            name: await _counted(collection)
            for name, collection in ((schema.UNITS, self._units), (schema.RECORDS, self._records))
        }
        known = {SYSTEM.key}
        async for payload in all_payloads(self._records, unscoped(HEADS)):
            known.add(payload.get(schema.BANK_KEY, SYSTEM.key))
        return tuple(
            Stray(name, key, points)
            for name, keys in counted.items()
            for key, points in sorted(keys.items(), key=lambda pair: pair[0] or "")
            if key not in known
        )


async def _page(
    collection: Collection, bucket: int | None, where: models.Filter, start: str | None, limit: int
) -> RawPage:
    records, following = await collection.scroll(bucket, where, limit, payload=True, offset=start)
    points = tuple((str(record.id), record.payload or {}) for record in records)
    return RawPage(points, None if following is None else str(following))


async def _counted(collection: Collection) -> dict[str | None, int]:
    """Points by bank key; None: of points without one."""
    total = await collection.count(None, unscoped(TRUE))
    counted: dict[str | None, int] = {}
    counted.update(await collection.facet(None, schema.BANK_KEY, unscoped(TRUE), max(total, 1)))
    without = await collection.count(None, unscoped(OF_NO_BANK))
    return counted | ({None: without} if without else {})
