"""What waits to be consolidated beside new facts: facts whose standing changed, and operations that were asked for."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from memory.consolidating.plans import ASKED, Done, queue_record
from memory.consolidating.scopes import Tags
from memory.consolidating.targets import covers, is_meant
from memory.encoding import instant_from_text
from memory.knowledge import Knowledge
from memory.records import Record

QUEUED_AT_ONCE = 8
"""Queue records taken with one batch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation that waits for the end: of everything, or of some scopes."""

    operation_id: str
    at: datetime
    targets: tuple[Tags, ...] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """Records of what waits."""

    records: tuple[Record, ...]

    @property
    def asked(self) -> list[Asked]:
        """Operations that wait."""
        return [_asked(record) for record in self.records if record.body["kind"] == ASKED]

    @property
    def targets(self) -> tuple[Tags, ...]:
        """The scopes that come first, because somebody waits for them alone; none where nobody does."""
        return tuple(sorted({scope for one in self.asked for scope in one.targets}))

    def named(self, knowledge: Knowledge, targets: Sequence[Tags]) -> list[tuple[Record, tuple[str, ...]]]:
        """Records with their facts that are meant; what is gone is meant only where everything is."""
        found: list[tuple[Record, tuple[str, ...]]] = []
        for record in self.records:
            facts = tuple(fact for fact in record.body["sources"] if _is_meant(knowledge, fact, targets))
            if record.body["kind"] != ASKED and (facts or not targets):
                found.append((record, facts))
        return found

    def taken(self, queued: Iterable[tuple[str, int]], facts: Container[str], targets: Sequence[Tags]) -> Done:
        """What of the records (key, seq) is done with once these facts are."""
        by_key = {record.key: record for record in self.records}
        removed: list[str] = []
        kept: list[Record] = []
        for key, seq in queued:
            record = by_key.get(key)
            if record is None or record.seq != seq:
                continue
            left = [fact for fact in record.body["sources"] if targets and fact not in facts]
            if left:
                kept.append(queue_record(key, left, record.order, record.status))
            else:
                removed.append(key)
        return Done(tuple(removed), tuple(kept))

    def ended(self, targets: Sequence[Tags], *, everything: bool) -> dict[str, datetime]:
        """Operations that end once these scopes, or everything, is consolidated, and when they were asked for."""
        ended = (one for one in self.asked if everything or (one.targets and covers(targets, one.targets)))
        return {one.operation_id: one.at for one in ended}


def first(named: Sequence[tuple[Record, tuple[str, ...]]], facts: int) -> list[tuple[Record, tuple[str, ...]]]:
    """Records to take with one batch: as many as name so many facts, at least one."""
    taken: list[tuple[Record, tuple[str, ...]]] = []
    count = 0
    for record, sources in named:
        count += len(sources)
        if taken and (count > facts or len(taken) == QUEUED_AT_ONCE):
            break
        taken.append((record, sources))
    return taken


def _asked(record: Record) -> Asked:
    targets = tuple(tuple(scope) for scope in record.body.get("targets", ()))
    return Asked(record.key, instant_from_text(record.body["at"]), targets)


def _is_meant(knowledge: Knowledge, fact_id: str, targets: Sequence[Tags]) -> bool:
    fact = knowledge.facts.get(fact_id)
    return is_meant(fact.tags, targets) if fact is not None else not targets
