"""Plans of stage work: attempts begin, end, are cancelled and asked for again. Results are guarded by their sources."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from memory.facts import is_expired
from memory.ingest import BankView, head_after
from memory.known_facts import KnownFacts
from memory.plans import Event, Plan
from memory.policy import sooner
from memory.records import Record, RecordKind, Source, Unit
from memory.stage_commands import BeginStage, EndStage, StageEnd
from memory.stages import (
    Derived,
    StageWork,
    begin,
    cancel,
    encode_work,
    fail,
    operation_of,
    postpone,
    retry,
    succeed,
)
from memory.store_calls import NewUnit

CHANGED = "a source changed while the stage ran"


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


@dataclass(frozen=True, slots=True)
class Standing:
    """What the bank is like when results are applied, read in the turn.

    live: the results' sources that are live; new: units with their vectors, of those that did not stand when they were
    looked for; answered: windows of theirs that somebody else has stored an answer for meanwhile.
    """

    works: Mapping[str, StageWork]
    live: Mapping[str, Unit]
    new: Mapping[str, NewUnit]
    answered: AbstractSet[str]
    known: KnownFacts


def plan_end(view: BankView, command: EndStage, standing: Standing, now: datetime) -> Plan | None:
    """Plan that applies the ends of attempts; None where nothing is left to be done.

    A result is dropped where its document has other work by now, where another answer for one of its windows was first,
    and where a unit it counted on is gone: its work stays as it is then, and is begun again.
    """
    changes = [change for end in command.ends if (change := _end(view, command.stage, end, standing, now)) is not None]
    if not changes:
        return None
    works = [change.work for change in changes]
    seq = view.head.seq + 1
    records = tuple(record for work in works for record in (encode_work(work), operation_of(work, now)))
    due = sooner(*(_due(work, now) for work in works))
    plan = _plan(view, "end_stage", command.operation_id, now, records=records, due=due)
    add = tuple(
        replace(one, unit=replace(one.unit, seq=seq, epoch=view.head.epoch)) for change in changes for one in change.add
    )
    retire = tuple(unit for change in changes for unit in change.retire)
    added = [Derived(one.unit.id, one.unit.type) for one in add]
    head = head_after(view, seq, added, retire, 0, now)
    return replace(
        plan,
        add=add,
        retire=tuple(unit.unit_id for unit in retire),
        records=(*plan.records, *(answer for change in changes for answer in change.answers)),
        remove=tuple((RecordKind.WINDOW, window) for change in changes for window in change.forget),
        head_after=replace(plan.head_after, counters=head.counters),
        events=tuple(
            Event(f"operation.{work.status.value}", work.operation_id, now) for work in works if not work.next
        ),
    )


@dataclass(frozen=True, slots=True)
class _Change:
    work: StageWork
    add: tuple[NewUnit, ...] = ()
    retire: tuple[Derived, ...] = ()
    answers: tuple[Record, ...] = ()
    forget: tuple[str, ...] = ()


def _end(view: BankView, stage: str, end: StageEnd, standing: Standing, now: datetime) -> _Change | None:
    work, result = standing.works.get(end.document_id), end.result
    if work is None or work.seq != end.seq or work.next != stage or work.waiting:
        return None
    work = replace(work, usage=work.usage + end.usage)
    if result is None:
        return _Change(_failed(view, stage, end, work, now))
    if any(answer.key in standing.answered for answer in result.answers):
        return None
    if not all(_stands(source, standing.live) for source in result.sources):
        return _Change(fail(work, stage, CHANGED, view.policy, now))
    kept = tuple(dict.fromkeys((*work.windows, *(answer.key for answer in result.answers))))
    after = _failed(view, stage, end, work, now) if end.reason else succeed(work, stage)
    if result.units is None:
        return _Change(replace(after, windows=kept), answers=result.answers)
    invalid = standing.known.is_invalidated
    wanted = {unit.id for unit in result.units if not is_expired(unit, now) and not invalid(unit.id)}
    missing = sorted(id_ for id_ in wanted if id_ not in standing.known)
    if any(id_ not in standing.new for id_ in missing):
        return None
    cited = (source for id_ in missing for source in standing.new[id_].unit.sources)
    if not all(_stands(source, standing.live) for source in cited):
        failed = fail(work, stage, CHANGED, view.policy, now)
        return _Change(replace(failed, windows=kept), answers=result.answers)
    gone = sorted(standing.known.of_document(end.document_id, unread=result.unread) - wanted)
    # What failed has no answer to be listed; a success lists all of the document's windows.
    listed = tuple(window for window in result.windows if window in kept) if end.reason else result.windows
    return _Change(
        replace(after, windows=listed),
        tuple(standing.new[id_] for id_ in missing),
        tuple(Derived(id_, standing.known.type_of(id_)) for id_ in gone),
        result.answers,
        tuple(window for window in kept if window not in listed),
    )


def _failed(view: BankView, stage: str, end: StageEnd, work: StageWork, now: datetime) -> StageWork:
    if not end.counted:
        return postpone(work, end.reason, end.retry_after_s, now)
    return fail(work, stage, end.reason, view.policy, now, final=end.final, retry_after_s=end.retry_after_s)


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


def plan_expire(view: BankView, operation_id: str, expired: Sequence[Derived], now: datetime) -> Plan:
    """Plan that lets facts go that are past their time."""
    plan = _plan(view, "expire", operation_id, now)
    head = head_after(view, plan.seq, (), expired, 0, now)
    head = replace(plan.head_after, counters=head.counters)
    return replace(plan, retire=tuple(unit.unit_id for unit in expired), head_after=head)


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
