"""What accepting, replacing and deleting documents means for their stages: part of the plans that do so."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from memory.ids import Scope
from memory.policy import BankPolicy, sooner
from memory.records import Head, Record, RecordKind
from memory.stages import (
    REPLACED,
    Derived,
    StageState,
    StageWork,
    cancel,
    encode_work,
    new_work,
    operation_of,
    retry,
)

STAGED = "staged"
"""Counter of a head: 1 once a document of the bank had stages to pass, so that banks without any read no work."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What a plan writes, removes and retires for the sake of stages; `due_at`: when somebody must look at it."""

    records: tuple[Record, ...] = ()
    remove: tuple[tuple[RecordKind, str], ...] = ()
    retire: tuple[Derived, ...] = ()
    due_at: datetime | None = None

    @property
    def operations(self) -> tuple[str, ...]:
        """Operations of the work that begins."""
        keys = {record.body["operation_id"] for record in self.records if record.kind is RecordKind.STAGES}
        return tuple(record.key for record in self.records if record.key in keys)

    def on(self, head: Head) -> Head:
        """The head of a plan that includes this."""
        if not self.records:
            return head
        return replace(head, due_at=sooner(head.due_at, self.due_at), counters={**head.counters, STAGED: 1})


def is_staged(head: Head, policy: BankPolicy) -> bool:
    """Whether documents of the bank may have stage work."""
    return bool(policy.stages) or head.counters.get(STAGED, 0) > 0


def accept_documents(
    scope: Scope,
    policy: BankPolicy,
    works: Mapping[str, StageWork],
    documents: Mapping[str, int],
    now: datetime,
    parent: str | None = None,
    stale: AbstractSet[str] = frozenset(),
) -> Staged:
    """Documents (id -> seq) are to pass the stages; what was under way for them is replaced.

    Answers for windows that are `stale`, because a turn of theirs is gone, go; the others are used again.
    """
    dropped = drop_documents({id_: work for id_, work in works.items() if id_ in documents}, now)
    if not policy.stages:
        return dropped
    new = [new_work(scope, policy.stages, id_, seq, now, parent) for id_, seq in documents.items()]
    new = [replace(work, windows=_without(works.get(work.document_id), stale)) for work in new]
    records = [*(encode_work(work) for work in new), *(operation_of(work, now) for work in new)]
    remove = tuple((RecordKind.WINDOW, window) for window in sorted(stale))
    return Staged((*dropped.records, *records), remove, dropped.retire, now)


def hold_document(
    scope: Scope, policy: BankPolicy, work: StageWork | None, document_id: str, seq: int, now: datetime, parent: str
) -> Staged:
    """A session has begun to add to a document: its stages wait until the session rests, what they made stays."""
    if not policy.stages:
        return Staged()
    held = replace(
        new_work(scope, policy.stages, document_id, seq, now, parent),
        waiting=True,
        derived=work.derived if work else (),
        windows=work.windows if work else (),
    )
    return Staged((*_replaced(work, now), encode_work(held), operation_of(held, now)))


def release_document(
    scope: Scope, policy: BankPolicy, work: StageWork | None, document_id: str, seq: int, now: datetime
) -> Staged:
    """The session rests: the whole document is to pass the stages, under a seq of its own."""
    if not policy.stages or work is None or not work.waiting:
        return accept_documents(scope, policy, {document_id: work} if work else {}, {document_id: seq}, now)
    pending = dict.fromkeys(policy.stages, StageState.PENDING)
    released = replace(retry(work, seq), states=pending, waiting=False, derived=())
    return Staged((encode_work(released), operation_of(released, now)), (), work.derived, now)


def drop_documents(works: Mapping[str, StageWork], now: datetime) -> Staged:
    """Documents go: their work ends as replaced, and what was derived from them goes too."""
    return Staged(
        records=tuple(record for work in works.values() for record in _replaced(work, now)),
        remove=(
            *((RecordKind.STAGES, id_) for id_ in works),
            *((RecordKind.WINDOW, window) for work in works.values() for window in work.windows),
        ),
        retire=tuple(unit for work in works.values() for unit in work.derived),
    )


def _without(work: StageWork | None, stale: AbstractSet[str]) -> tuple[str, ...]:
    return tuple(window for window in work.windows if window not in stale) if work else ()


def _replaced(work: StageWork | None, now: datetime) -> tuple[Record, ...]:
    if work is None or not (work.waiting or work.next):
        return ()
    return (operation_of(cancel(work, REPLACED), now),)
