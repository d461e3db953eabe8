"""Audit of a bank: every invariant of the store, checked page by page over raw reads, in memory of some bytes a unit.

The steps are those of a Procedure, but they are meant to be driven one call at a time: a big bank takes thousands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memory.audit_calls import FindUnlike, RawPage, ScanRecords, ScanUnits
from memory.audit_facts import FactAudit
from memory.audit_observations import ObservationAudit
from memory.audit_records import RecordAudit
from memory.audit_units import UnitAudit
from memory.breaches import Audit, BreachKind
from memory.errors import StoreDamaged
from memory.ids import Scope
from memory.protocol import Steps
from memory.rebuilding import rebuilt
from memory.records import Head, RecordKind, Unit, UnitState
from memory.store_calls import GetDense, GetUnits, ReadHead

PAGE_POINTS = 256
SAMPLED = frozenset("0")
"""Last digits of the ids whose vectors a sample looks at, beside those of a bank's first page: one in sixteen."""
Vectors = Literal["all", "sample", "none"]
_UNBOUNDED = Head(epoch=1 << 62, seq=1 << 62)
"""What points are compared with where there is no head."""


@dataclass(frozen=True, slots=True)
class AuditBank:
    """Look at everything that is stored of one bank; `dim` None: vectors may have any length.

    space: whose vectors are looked at: those of the model that is asked.
    """

    scope: Scope
    vectors: Vectors = "sample"
    dim: int | None = None
    space: str = ""

    def steps(self) -> Steps[Audit]:
        """What was found, and whether the head moved meanwhile."""
        audit = Audit(self.scope)
        try:
            head: Head | None = yield ReadHead()
        except StoreDamaged as exc:
            audit.report(BreachKind.HEAD_UNREADABLE, "head", str(exc))
            return audit
        if head is None:
            audit.report(BreachKind.NO_HEAD, "head", "the bank has no head", repairable=True)
        audit.head = head
        shown = head or _UNBOUNDED
        units, facts = UnitAudit(audit, shown), FactAudit(audit)
        observations = ObservationAudit(audit)
        yield from self._scan_units(units, facts, observations)
        records = RecordAudit(audit, shown, units)

        def look(point: str, payload: Mapping[str, Any]) -> None:
            records.look(point, payload)
            facts.look_at_record(payload)
            observations.look_at_record(payload)

        yield from _scan(None, look)
        if head is not None and head.settled == head.commit:
            yield from _scan(RecordKind.OPERATION, lambda _, payload: records.look_at_operation(payload))
            yield from self._look_at_unlisted(units, records)
            units.conclude()
            facts.conclude(records.documents)
            observations.conclude()
        if head is not None:
            records.conclude()
        audit.moved = (yield ReadHead()) != head
        return audit

    def _scan_units(self, units: UnitAudit, facts: FactAudit, observations: ObservationAudit) -> Steps[None]:
        start: str | None = None
        first = True
        while first or start is not None:
            page: RawPage = yield ScanUnits(start, PAGE_POINTS)
            live = [point for point, payload in page.points if units.look(point, payload) is UnitState.LIVE]
            for point, payload in page.points:
                facts.look_at_unit(point, payload)
                observations.look_at_unit(point, payload)
            wanted = tuple(point for point in live if self._wanted(point, first=first))
            if wanted:
                units.look_at_vectors(wanted, (yield GetDense(wanted, self.space)), self.dim)
                found_by = units.texts_of(page.points, frozenset(wanted))
                units.look_at_words((yield FindUnlike(found_by)))
            start, first = page.next, False

    def _look_at_unlisted(self, units: UnitAudit, records: RecordAudit) -> Steps[None]:
        """Chunks that no document lists; those of a document that lost its record together, if it can be had again."""
        lost: dict[str, list[Unit]] = {}
        for ids in _pages(units.unlisted()):
            found: dict[str, Unit] = yield GetUnits(ids)
            for unit in found.values():
                if records.lost(unit.document_id):
                    lost.setdefault(unit.document_id, []).append(unit)
                else:
                    units.look_at_orphan(unit, records.documents)
        for document_id, chunks in sorted(lost.items()):
            last = records.lost(document_id)
            document = rebuilt(self.scope, document_id, last, chunks) if last else None
            if document is not None:
                records.look_at_rebuilt(document)
                continue
            for unit in chunks:
                units.look_at_orphan(unit, records.documents)

    def _wanted(self, point: str, *, first: bool) -> bool:
        return self.vectors == "all" or (self.vectors == "sample" and (first or point[-1] in SAMPLED))


def _scan(kind: RecordKind | None, look: Callable[[str, Any], None]) -> Steps[None]:
    start: str | None = None
    first = True
    while first or start is not None:
        page: RawPage = yield ScanRecords(start, PAGE_POINTS, kind)
        for point, payload in page.points:
            look(point, payload)
        start, first = page.next, False


def _pages(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(ids[start : start + PAGE_POINTS]) for start in range(0, len(ids), PAGE_POINTS))
