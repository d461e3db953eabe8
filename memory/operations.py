"""Operations: durable handles of what was asked for. Their states, what may follow on what, and their records."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from memory.encoding import instant_to_micros, instant_to_text
from memory.errors import Conflict, NotFound
from memory.records import Record, RecordKind

SWEPT_OPERATIONS = 256
"""Operations removed by one plan; where more are past their time, the bank is due again at once."""


class OperationStatus(StrEnum):
    """How far an operation is; the last three are terminal."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({OperationStatus.COMPLETED, OperationStatus.FAILED, OperationStatus.CANCELLED})
FOLLOWERS: Mapping[str, frozenset[OperationStatus]] = {
    "cancel": frozenset({OperationStatus.PENDING, OperationStatus.PROCESSING}),
    "retry": frozenset({OperationStatus.FAILED, OperationStatus.CANCELLED}),
    "delete": TERMINAL,
}
"""What may be done to an operation, and in which states."""


def completed_operation(
    operation_id: str, task: str, fingerprint: str, now: datetime, result: Mapping[str, Any]
) -> Record:
    """Record of a command that was done in full before it was answered."""
    at = instant_to_text(now)
    body = {"task_type": task, "fingerprint": fingerprint, "status": "completed", "created_at": at, "completed_at": at}
    return Record(
        RecordKind.OPERATION, operation_id, body | dict(result), order=instant_to_micros(now), status="completed"
    )


def same_command(operation: Record, task: str, fingerprint: str) -> None:
    """See that an operation that was done before is the one asked for now.

    Raises:
        Conflict: the operation id was used for another command.
    """
    if operation.body.get("task_type") != task or operation.body.get("fingerprint") != fingerprint:
        raise Conflict(f"operation id {operation.key!r} was used for another command")


def check_followed(operation: Record | None, operation_id: str, what: str) -> Record:
    """The operation, if `what` (cancel, retry, delete) may be done to it.

    Raises:
        NotFound: there is none.
        Conflict: its state forbids it.
    """
    if operation is None:
        raise NotFound(f"no operation {operation_id!r}")
    if operation.status not in FOLLOWERS[what]:
        raise Conflict(f"operation {operation_id!r} is {operation.status}: it cannot be {_PARTICIPLES[what]}")
    return operation


_PARTICIPLES = {"cancel": "cancelled", "retry": "tried again", "delete": "deleted"}
