"""Plans of stage work: attempts begin, end, are cancelled and asked for again. Results are guarded by their sources."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from memory.commands import BeginStage, EndStage
from memory.ids import digest, point_id
from memory.ingest import BankView, head_after
from memory.plans import Event, Plan
from memory.policy import sooner
from memory.records import Record, RecordKind, Source, Unit
from memory.stages import (
    Derived,
    StageWork,
    begin,
    cancel,
    encode_work,
    fail,
    operation_of,
    retry,
    succeed,
)
from memory.store_calls import NewUnit


def derived_id(view: BankView, document_id: str, stage: str, *parts: str) -> str:
    """Id of a unit that a stage derives from a document: equal parts, equal id."""
    return point_id(view.scope, "unit", document_id, stage, digest(*parts).hex())


def plan_begin(view: BankView, command: BeginStage, works: Mapping[str, StageWork], now: datetime) -> Plan | None:
    """Plan that counts attempts; None where none of the documents is still to be worked on.

    The bank stays due, so that attempts whose process ends are begun again.
    """
    begun = [
        begin(works[id_])
        for id_, seq in command.documents
        if id_ in works and works[id_].seq == seq and works[id_].next == command.stage and not works[id_].waiting
    ]
    if not begun:
        return None
    again = tuple(record for work in begun for record in (encode_work(work), operation_of(work, now)))
    return _plan(view, "begin_stage", command.operation_id, now, records=again)


def plan_end(
    view: BankView,
    command: EndStage,
    work: StageWork | None,
    live: Mapping[str, Unit],
    new: Sequence[NewUnit],
    now: datetime,
) -> Plan | None:
    """Plan that applies an attempt's end; None where its document has other work by now, and the result is dropped.

    live: the result's sources that are live; new: the result's units with their vectors.
    """
    if work is None or work.seq != command.seq or work.next != command.stage or work.waiting:
        return None
    reason, add = command.reason, tuple(new)
    if command.result is not None and not all(_stands(source, live) for source in command.result.sources):
        reason, add = "a source changed while the stage ran", ()
    seq = view.head.seq + 1
    if reason:
        after = fail(work, command.stage, reason, view.policy, now)
        add = ()
    else:
        after = succeed(work, command.stage, [Derived(one.unit.id, one.unit.type) for one in new])
    add = tuple(replace(one, unit=replace(one.unit, seq=seq, epoch=view.head.epoch)) for one in add)
    operation = operation_of(after, now)
    plan = _plan(
        view, "end_stage", command.operation_id, now, records=(encode_work(after), operation), due=_due(after, now)
    )
    added = [Derived(one.unit.id, one.unit.type) for one in add]
    head = head_after(view, seq, added, (), 0, now)
    events = () if after.next else (Event(f"operation.{after.status.value}", after.operation_id, now),)
    return replace(plan, add=add, head_after=replace(plan.head_after, counters=head.counters), events=events)


def plan_cancel(view: BankView, operation_id: str, work: StageWork, now: datetime) -> Plan:
    """Plan that skips what is left of a document's stages."""
    cancelled = cancel(work)
    events = (Event("operation.cancelled", work.operation_id, now),)
    plan = _plan(
        view, "cancel_operation", operation_id, now, records=(encode_work(cancelled), operation_of(cancelled, now))
    )
    return replace(plan, events=events)


def plan_retry(view: BankView, operation_id: str, work: StageWork, now: datetime) -> Plan:
    """Plan that makes failed or cancelled work pending again, under a new seq."""
    again = retry(work, view.head.seq + 1)
    return _plan(
        view, "retry_operation", operation_id, now, records=(encode_work(again), operation_of(again, now)), due=now
    )


def plan_delete_operation(view: BankView, operation_id: str, target: str, now: datetime) -> Plan:
    """Plan that forgets an operation."""
    plan = _plan(view, "delete_operation", operation_id, now)
    return replace(plan, remove=((RecordKind.OPERATION, target),))


def plan_sweep(view: BankView, operation_id: str, swept: Sequence[str], due_at: datetime | None, now: datetime) -> Plan:
    """Plan that removes operations past their time, and says when the bank is due next."""
    plan = _plan(view, "sweep", operation_id, now)
    remove = tuple((RecordKind.OPERATION, key) for key in swept)
    return replace(plan, remove=remove, head_after=replace(plan.head_after, due_at=due_at))


def _plan(
    view: BankView,
    command: str,
    operation_id: str,
    now: datetime,
    records: tuple[Record, ...] = (),
    due: datetime | None = None,
) -> Plan:
    seq = view.head.seq + 1
    head = head_after(view, seq, (), (), 0, now)
    head = replace(head, due_at=sooner(view.head.due_at, due), updated_at=view.head.updated_at or now)
    return Plan(command, operation_id, seq, head, records=records)


def _stands(source: Source, live: Mapping[str, Unit]) -> bool:
    unit = live.get(source.unit_id)
    return unit is not None and (unit.seq, unit.content_hash) == (source.seq, source.content_hash)


def _due(work: StageWork, now: datetime) -> datetime | None:
    return (work.not_before or now) if work.next else None
