"""Watermarks: up to which seq every document has passed a stage, or never will."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memory.cascade import PENDING
from memory.consolidating.plans import CONSOLIDATED, FAILED, UNCONSOLIDATED
from memory.errors import Unavailable
from memory.filters import AnyOf, Between, every
from memory.plans import WHOLE
from memory.protocol import Steps
from memory.records import Head, Record, RecordKind, UnitKind
from memory.stages import WAITING, failed_line, pending_line
from memory.store_calls import GetRecords, ListRecords, ListUnits, ReadHead, RecordPage, UnitPage

CONSOLIDATE = "consolidate"
"""Name of what a bank's observations are behind with, among the stages."""
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Watermark:
    """End of the longest prefix of seqs whose documents are done with a stage; `failed` of them were given up on."""

    seq: int
    pending: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Watermarks:
    """All watermarks of a bank; `accepted` is the seq of the last document that is searchable."""

    accepted: int
    stages: Mapping[str, Watermark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadWatermarks:
    """Procedure that computes the watermarks of the stages, given in order, beside a writing owner.

    The head is read first, then the lines in the order in which documents move through them: work that moves on
    meanwhile is seen in the line it leaves or in the one it enters, so that no watermark is ever too high. Work of
    commits that are not applied yet is read from their records.
    """

    stages: tuple[str, ...]

    def steps(self) -> Steps[Watermarks]:
        """The watermarks; all 0 for a bank that nobody wrote to.

        Raises:
            Unavailable: the owner kept settling commits between the reads.
        """
        for _ in range(_ATTEMPTS):
            head: Head | None = yield ReadHead()
            if head is None:
                return Watermarks(0, {stage: Watermark(0) for stage in self.stages})
            unapplied = yield from _unapplied(head)
            if unapplied is not None:
                return (yield from self._read(head, unapplied))
        raise Unavailable("the bank is being written to", 0.1)

    def _read(self, head: Head, unapplied: Mapping[str, list[int]]) -> Steps[Watermarks]:
        oldest: list[int] = []
        waiting = 0
        found: dict[str, Watermark] = {}
        for line in (WAITING, *map(pending_line, self.stages)):
            page: RecordPage = yield ListRecords(RecordKind.STAGES, 1, status=line)
            here = unapplied.get(line, [])
            oldest.extend((*(-record.order for record in page.records), *here))
            waiting += page.total
            if line != WAITING:
                stage = line.removeprefix(pending_line(""))
                failed: RecordPage = yield ListRecords(RecordKind.STAGES, 1, status=failed_line(stage))
                found[stage] = Watermark(watermark(head.seq, oldest), waiting, failed.total)
        extracted = min((mark.seq for mark in found.values()), default=head.seq)
        consolidated = yield from _consolidated(head, extracted)
        if consolidated is not None:
            found[CONSOLIDATE] = consolidated
        return Watermarks(head.seq, found)


def _consolidated(head: Head, extracted: int) -> Steps[Watermark | None]:
    """The watermark of observations; None for a bank that has none and makes none.

    The head is read again: facts that were stored since the stages were looked at are behind its mark by then.
    """
    later: Head | None = yield ReadHead()
    heads = [one for one in (head, later) if one is not None]
    since = [one.counters[UNCONSOLIDATED] for one in heads if UNCONSOLIDATED in one.counters]
    if not since and not any(CONSOLIDATED in one.counters for one in heads):
        return None
    behind = Between("seq", gte=heads[-1].counters.get(CONSOLIDATED, 0) + 1)
    facts: UnitPage = yield ListUnits(1, where=every(AnyOf("kind", (UnitKind.FACT.value,)), behind))
    queued: RecordPage = yield ListRecords(RecordKind.REDERIVE, 1, status=PENDING)
    failed: RecordPage = yield ListRecords(RecordKind.REDERIVE, 1, status=FAILED)
    return Watermark(min([extracted, *(seq - 1 for seq in since)]), facts.total + queued.total, failed.total)


def watermark(seq: int, pending: Iterable[int]) -> int:
    """The watermark of a stage: before the first seq that is not terminal in it, or the bank's seq."""
    return min(seq, min(pending, default=seq + 1) - 1)


def _unapplied(head: Head) -> Steps[dict[str, list[int]] | None]:
    """Seqs by line that commits not yet settled are about to write; None where one was settled meanwhile."""
    lines: dict[str, list[int]] = {}
    for number in range(head.settled + 1, head.commit + 1):
        key = head.commits.get(number, "")
        found: dict[str, Record] = yield GetRecords(RecordKind.COMMIT, (key,))
        if key not in found or found[key].status != WHOLE:
            return None
        for kind, _, _, order, status in _records(found[key].body):
            if kind == RecordKind.STAGES:
                lines.setdefault(status, []).append(-order)
    return lines


def _records(body: Mapping[str, Any]) -> Iterable[tuple[str, str, Any, int, str]]:
    rows: Iterable[tuple[str, str, Any, int, str]] = body["records"]
    return rows
