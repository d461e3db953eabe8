"""Stages: what a document passes after it was accepted. The states of its work, as a pure machine, and its record.

A document's work has one record, whose status says in which line it stands: `waiting` (an open session still adds to
the document), `pending:<stage>`, `failed:<stage>` or `done`. Lines are listed by seq, so that a stage's watermark is
one look at the heads of the lines before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from memory.encoding import instant_from_text, instant_to_micros, instant_to_text
from memory.extraction.port import Usage
from memory.ids import Scope, point_id
from memory.operations import OperationStatus
from memory.policy import BankPolicy
from memory.records import Record, RecordKind, UnitType

WAITING = "waiting"
DONE = "done"
CANCELLED = "cancelled"
"""Reason of work that a caller has cancelled."""
REPLACED = "the document was replaced or deleted"
MAX_REASON_CHARS = 500


class StageState(StrEnum):
    """State of one stage of one document. All but pending are terminal; replaced: the seq has no work any more."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Derived:
    """A unit that a stage made of a document; it goes when the document goes or is worked on anew."""

    unit_id: str
    type: UnitType


@dataclass(frozen=True, slots=True)
class StageWork:
    """What is to be done with one document under one seq, and how far it is.

    `attempts` counts those of the stage that is next; `operation_id` is the handle callers see, `parent` the operation
    that accepted the document.
    """

    document_id: str
    seq: int
    states: Mapping[str, StageState]
    operation_id: str
    created_at: datetime
    parent: str | None = None
    waiting: bool = False
    attempts: int = 0
    not_before: datetime | None = None
    reason: str | None = None
    derived: tuple[Derived, ...] = field(default=())
    windows: tuple[str, ...] = ()
    """Hashes of the windows whose answers are stored for the document."""
    usage: Usage = field(default_factory=Usage)
    """What a language model has spent on it."""

    @property
    def next(self) -> str | None:
        """The stage that is to be run next."""
        return next((stage for stage, state in self.states.items() if state is StageState.PENDING), None)

    @property
    def line(self) -> str:
        """The line it stands in: the status of its record."""
        if self.waiting:
            return WAITING
        if self.next:
            return pending_line(self.next)
        failed = next((stage for stage, state in self.states.items() if state is StageState.FAILED), None)
        return failed_line(failed) if failed else DONE

    @property
    def status(self) -> OperationStatus:
        """Status of its operation."""
        if self.waiting or self.next:
            begun = self.attempts or any(state is not StageState.PENDING for state in self.states.values())
            return OperationStatus.PROCESSING if begun else OperationStatus.PENDING
        if StageState.FAILED in self.states.values():
            return OperationStatus.FAILED
        cancelled = self.reason in {CANCELLED, REPLACED}
        return OperationStatus.CANCELLED if cancelled else OperationStatus.COMPLETED


def pending_line(stage: str) -> str:
    """Line of the documents that a stage is to be run for."""
    return f"pending:{stage}"


def failed_line(stage: str) -> str:
    """Line of the documents that a stage has given up on."""
    return f"failed:{stage}"


def new_work(
    scope: Scope, stages: Sequence[str], document_id: str, seq: int, now: datetime, parent: str | None = None
) -> StageWork:
    """Work of a document just accepted under `seq`."""
    return StageWork(
        document_id=document_id,
        seq=seq,
        states=dict.fromkeys(stages, StageState.PENDING),
        operation_id=point_id(scope, "operation", "process", document_id, str(seq)),
        created_at=now,
        parent=parent,
    )


def begin(work: StageWork) -> StageWork:
    """An attempt starts; counted before it runs, so that a document that ends its owner's process is given up too."""
    return replace(work, attempts=work.attempts + 1, not_before=None)


def succeed(work: StageWork, stage: str) -> StageWork:
    """The stage is done."""
    states = {**work.states, stage: StageState.DONE}
    return replace(work, states=states, attempts=0, not_before=None, reason=None)


def fail(
    work: StageWork,
    stage: str,
    reason: str,
    policy: BankPolicy,
    now: datetime,
    *,
    final: bool = False,
    retry_after_s: float = 0.0,
) -> StageWork:
    """An attempt failed: again later, each time after twice as long; or never, and the stages after it are skipped."""
    reason = reason[:MAX_REASON_CHARS]
    if work.attempts < policy.stage_attempts and not final:
        delay = timedelta(seconds=max(policy.stage_retry_s * 2 ** max(work.attempts - 1, 0), retry_after_s))
        return replace(work, not_before=now + delay, reason=reason)
    return replace(work, states=_given_up(work, stage, StageState.FAILED), not_before=None, reason=reason)


LEAST_WAIT_S = 1.0
"""Before a document whose attempt was none is looked at again."""


def postpone(work: StageWork, reason: str, after_s: float, now: datetime) -> StageWork:
    """An attempt could not be made, which says nothing of the document: again later, as if it had not begun."""
    not_before = now + timedelta(seconds=max(after_s, LEAST_WAIT_S))
    return replace(work, attempts=max(work.attempts - 1, 0), not_before=not_before, reason=reason[:MAX_REASON_CHARS])


def cancel(work: StageWork, reason: str = CANCELLED) -> StageWork:
    """What is left is skipped."""
    states = _given_up(work, None, StageState.SKIPPED)
    return replace(work, states=states, waiting=False, not_before=None, reason=reason)


def retry(work: StageWork, seq: int) -> StageWork:
    """What failed or was skipped is pending again, under a seq of its own: watermarks never go back."""
    states = {stage: state if state is StageState.DONE else StageState.PENDING for stage, state in work.states.items()}
    return replace(work, seq=seq, states=states, attempts=0, not_before=None, reason=None)


def encode_work(work: StageWork) -> Record:
    """Its record; listed lowest seq first."""
    body: dict[str, Any] = {
        "seq": work.seq,
        "states": [[stage, state.value] for stage, state in work.states.items()],
        "operation_id": work.operation_id,
        "created_at": instant_to_text(work.created_at),
        "parent": work.parent,
        "waiting": work.waiting,
        "attempts": work.attempts,
        "not_before": instant_to_text(work.not_before) if work.not_before else None,
        "reason": work.reason,
        "derived": [[unit.unit_id, unit.type.value] for unit in work.derived],
        "windows": list(work.windows),
        "usage": list(astuple(work.usage)),
    }
    return Record(RecordKind.STAGES, work.document_id, body, order=-work.seq, status=work.line)


def decode_work(record: Record) -> StageWork:
    """Work of a record."""
    body = record.body
    return StageWork(
        document_id=record.key,
        seq=body["seq"],
        states={stage: StageState(state) for stage, state in body["states"]},
        operation_id=body["operation_id"],
        created_at=instant_from_text(body["created_at"]),
        parent=body["parent"],
        waiting=body["waiting"],
        attempts=body["attempts"],
        not_before=instant_from_text(body["not_before"]) if body["not_before"] else None,
        reason=body["reason"],
        derived=tuple(Derived(unit, UnitType(type_)) for unit, type_ in body["derived"]),
        windows=tuple(body.get("windows", ())),
        usage=Usage(*body.get("usage", ())),
    )


def operation_of(work: StageWork, now: datetime) -> Record:
    """The work's operation, as callers see it."""
    status = work.status
    ended = status not in {OperationStatus.PENDING, OperationStatus.PROCESSING}
    at = instant_to_text(now)
    body = {
        "task_type": "process",
        "status": status.value,
        "items_count": 1,
        "document_id": work.document_id,
        "parent": work.parent,
        "created_at": instant_to_text(work.created_at),
        "updated_at": at,
        "completed_at": at if ended else None,
        "error_message": work.reason if status is not OperationStatus.COMPLETED else None,
        "retry_count": max(work.attempts - 1, 0),
        "next_retry_at": instant_to_text(work.not_before) if work.not_before else None,
        "stages": {stage: state.value for stage, state in work.states.items()},
        "usage": asdict(work.usage) if work.usage.calls else None,
        "progress": {
            "stage": work.next or "done",
            "at": at,
            "processed": sum(state is not StageState.PENDING for state in work.states.values()),
            "total": len(work.states),
        },
    }
    order = instant_to_micros(work.created_at)
    return Record(RecordKind.OPERATION, work.operation_id, body, order=order, status=status.value)


def _given_up(work: StageWork, stage: str | None, as_what: StageState) -> dict[str, StageState]:
    return {
        name: as_what if name == stage else StageState.SKIPPED if state is StageState.PENDING else state
        for name, state in work.states.items()
    }
