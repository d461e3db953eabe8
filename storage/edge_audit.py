"""What audits read of the embedded engine: points as they are stored, of one bank or of none."""

from typing import Any, Final, cast

from qdrant_edge import CountRequest, EdgeShard, FacetRequest, Filter

from memory.audit_calls import FindUnlike, RawPage, ScanRecords, ScanUnits, ScopePage, Stray
from memory.filters import AnyOf, Empty, Not, every
from memory.filters import Filter as Tree
from memory.ids import SYSTEM, Scope
from memory.records import RecordKind
from storage import schema
from storage.bm25 import is_like
from storage.edge_bank_scroll import bank_page
from storage.edge_scroll import all_payloads, raw_page
from storage.query_to_edge import condition, scoped

HEADS: Final = AnyOf(schema.KIND, (RecordKind.HEAD.value,))
OF_NO_BANK: Final[Tree] = every(Empty(schema.BANK_KEY), Not(AnyOf(schema.KIND, schema.RESERVED_KINDS)))


class EdgeAudit:
    """Raw reads over the two collections."""

    def __init__(self, units: EdgeShard, records: EdgeShard) -> None:
        self._units = units
        self._records = records

    def scan(self, scope: Scope, call: ScanUnits | ScanRecords) -> RawPage:
        """One page of a bank's points."""
        if isinstance(call, ScanUnits) or call.kind is None:
            shard = self._units if isinstance(call, ScanUnits) else self._records
            records, following = bank_page(shard, scope, call.start, call.limit)
            return RawPage(tuple((str(record.id), record.payload or {}) for record in records), following)
        return raw_page(self._records, scoped(scope, AnyOf(schema.KIND, (call.kind.value,))), call.start, call.limit)

    def find_unlike(self, scope: Scope, call: FindUnlike) -> frozenset[str]:
        """Units whose keyword vector is not that of the given text."""
        found = self._units.retrieve(list(call.texts), [schema.BANK_KEY], [schema.LEXICAL])
        return frozenset(
            str(record.id)
            for record in found
            if (record.payload or {}).get(schema.BANK_KEY) == scope.key
            and not is_like(cast("Any", record.vector or {}).get(schema.LEXICAL), call.texts[str(record.id)])
        )

    def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Banks that have a head, by the head's id."""
        page = raw_page(self._records, Filter(must=[condition(HEADS)]), start, limit)
        scopes = (Scope(payload.get(schema.TENANT, ""), payload.get(schema.BANK, "")) for _, payload in page.points)
        return ScopePage(tuple(scopes), page.next)

    def list_strays(self) -> tuple[Stray, ...]:
        """Points of banks without a head. A bank has its head before anything else: heads are therefore read last."""
        found = {
            name: (shard, self._points_by_bank(shard))
            for name, shard in ((schema.UNITS, self._units), (schema.RECORDS, self._records))
        }
        heads = all_payloads(self._records, Filter(must=[condition(HEADS)]), (schema.BANK_KEY,))
        known = {SYSTEM.key, *(payload.get(schema.BANK_KEY) for payload in heads)}
        strays: list[Stray] = []
        for name, (shard, points) in found.items():
            if not self._all_have_banks(shard, sum(points.values())):
                strays.append(Stray(name, None, _count(shard, OF_NO_BANK)))
            lost = sorted(points.keys() - known)
            strays.extend(Stray(name, key, _count(shard, AnyOf(schema.BANK_KEY, (key,)))) for key in lost)
        return tuple(stray for stray in strays if stray.points)

    def _points_by_bank(self, shard: EdgeShard) -> dict[str, int]:
        """Every bank key of the collection. Exact counts of all of them would hold readers up, estimates do not."""
        points = shard.info().points_count
        facet = shard.facet(FacetRequest(key=schema.BANK_KEY, limit=max(points, 1), exact=False))
        return {str(hit.value): hit.count for hit in facet.hits}

    def _all_have_banks(self, shard: EdgeShard, with_bank: int) -> bool:
        """Told from sums: to look at every point whether it has one takes 200 ms for a million, with the lock held."""
        return shard.info().points_count - with_bank == _count(shard, AnyOf(schema.KIND, schema.RESERVED_KINDS))


def _count(shard: EdgeShard, where: Tree) -> int:
    return shard.count(CountRequest(filter=Filter(must=[condition(where)]), exact=True))
