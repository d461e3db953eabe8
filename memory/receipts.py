"""Receipts: what was answered to each operation id, kept for a while so that a command sent again is not done again."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from memory.plans import Plan
from memory.records import Head, RecordKind
from memory.store_calls import Call, ListRecords, RecordPage

SWEEP_COMMITS = 64
"""A bank looks for expired receipts with every so many commits, so that one that rests costs nothing."""
SLICE_RECEIPTS = 128
"""Most that one plan takes away: twice what was added since the last time, so that any number drains."""
COMPLETED = "completed"


def is_due(head: Head) -> bool:
    """Whether the commit after this head should take expired receipts along."""
    return head.commit % SWEEP_COMMITS == SWEEP_COMMITS - 1


@dataclass(frozen=True, slots=True)
class FindExpired:
    """The oldest receipts of completed operations from before an instant, at most SLICE_RECEIPTS."""

    before: datetime

    def steps(self) -> Generator[Call[Any], Any, tuple[str, ...]]:
        """Their operation ids."""
        page: RecordPage = yield ListRecords(RecordKind.OPERATION, SLICE_RECEIPTS, 0, COMPLETED)
        if page.total > SLICE_RECEIPTS:  # newest first: the oldest are at the end
            page = yield ListRecords(RecordKind.OPERATION, SLICE_RECEIPTS, page.total - SLICE_RECEIPTS, COMPLETED)
        before = int(self.before.astimezone(UTC).timestamp() * 1_000_000)
        return tuple(record.key for record in page.records if record.order < before)


def without_receipts(plan: Plan, expired: Sequence[str]) -> Plan:
    """The plan that also removes these receipts; what it writes itself stays."""
    written = {record.key for record in plan.records if record.kind is RecordKind.OPERATION}
    gone = tuple((RecordKind.OPERATION, key) for key in expired if key not in written)
    return replace(plan, remove=(*plan.remove, *gone)) if gone else plan
