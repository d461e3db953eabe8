"""What is let go by age: removed records, the history of commits, everything but the head of a deleted bank.

Swept in the owner's turn with no plan in flight, as the last part of taking a bank over. A removed record must outlast
every former owner that could still write it; until then its (seq, epoch) refuses that write.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from memory.encoding import instant_from_text
from memory.errors import StaleEpoch
from memory.plans import SETTLED, Plan
from memory.policy import sooner
from memory.records import Head, Record, RecordKind
from memory.store_calls import Call, GetRecords, ListRecords, RecordPage, SwapHead, TrimCommits
from memory.upkeep_calls import SweepRemoved, Swept

HISTORY_COMMITS = 256
"""Settled commits kept as the bank's history; up to twice as many between two trims."""
SWEPT_RECORDS = 256
"""Removed records taken away in one call."""

T = TypeVar("T")
Steps = Generator[Call[Any], Any, T]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is of no use to callers is kept."""

    tombstones: timedelta = timedelta(hours=1)
    """Removed records: at least this long, and at most twice as long."""
    history: timedelta = timedelta(days=30)
    """Settled commits, looked at when a bank is taken over."""


def micros(instant: datetime) -> int:
    """Microseconds since 1970, as records are ordered by."""
    return int(instant.astimezone(UTC).timestamp() * 1_000_000)


def scheduled(plan: Plan, now: datetime, retention: Retention) -> Plan:
    """The plan with its bank due for a sweep, if it removes records and is not due before."""
    if not (plan.remove or plan.clear):
        return plan
    due_at = sooner(plan.head_after.due_at, now + retention.tombstones)
    return replace(plan, head_after=replace(plan.head_after, due_at=due_at))


def sweep(head: Head, now: datetime, retention: Retention, nonce: str) -> Steps[tuple[Head, datetime | None]]:
    """Let go of what is old enough in a settled bank; its head, and when it is due while something is left to be swept.

    What else a bank is due for stays: only its owner, who looks at all that waits, moves that on (actors/due_work.py).

    Raises:
        StaleEpoch: another owner has taken the bank.
    """
    swept = Swept(SWEPT_RECORDS, 0)
    while swept.removed == SWEPT_RECORDS:
        swept = yield SweepRemoved(micros(now - retention.tombstones), SWEPT_RECORDS)
    waiting, commits = swept.left > 0, head.commits
    if head.deleted and not waiting:
        found: dict[str, Record] = yield GetRecords(RecordKind.COMMIT, tuple(commits.values()))
        if all(record.status == SETTLED for record in found.values()):
            yield TrimCommits(head.settled)  # before the head forgets its name: a crash in between leaves it due
            commits = {}
        else:  # it is needed until the removal of its units is on disk
            waiting = True
    elif not head.deleted:
        yield TrimCommits((yield from _last_of_old(head, now - retention.history)))
    sweep_due = _next_due(head, now, retention) if waiting else None
    due_at = sweep_due if head.deleted else sooner(head.due_at, sweep_due)
    if (due_at, commits) == (head.due_at, head.commits):
        return head, sweep_due
    after = replace(head, due_at=due_at, commits=commits)
    if not (yield SwapHead(head, after, f"{nonce}-swept")):
        raise StaleEpoch(f"the bank has a newer owner than epoch {head.epoch}")
    return after, sweep_due


def _next_due(head: Head, now: datetime, retention: Retention) -> datetime:
    """Once per retention, however many are removed meanwhile."""
    return head.due_at if head.due_at is not None and head.due_at > now else now + retention.tombstones


def _last_of_old(head: Head, before: datetime) -> Steps[int]:
    """Number of the last commit that is no part of the history any more, by number and by age; never the last one."""
    last = head.settled - HISTORY_COMMITS
    if head.created_at is None or head.created_at >= before:
        return last
    page: RecordPage = yield ListRecords(RecordKind.COMMIT, 2 * HISTORY_COMMITS, status=SETTLED)
    old = (record.order for record in page.records if _time_of(record) < before and record.order < head.settled)
    return max(last, *old, last)


def _time_of(record: Record) -> datetime:
    at = record.body.get("at")
    return instant_from_text(at) if at else datetime.min.replace(tzinfo=UTC)
