"""Plans of observations: what a batch came to, what is asked for, what is to be consolidated again."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from memory.cascade import PENDING
from memory.consolidating.commands import ClearObservations, Consolidate, EndBatch
from memory.consolidating.observations import history_record
from memory.consolidating.targets import Ahead, Cursor
from memory.encoding import instant_to_micros, instant_to_text
from memory.ingest import BankView, bare_plan, head_after
from memory.known_facts import is_extracted
from memory.mental_models import FOLLOWING
from memory.plans import Event, Plan
from memory.policy import sooner
from memory.records import Head, Record, RecordKind, Unit, UnitType
from memory.stages import Derived
from memory.store_calls import NewUnit

OBSERVATIONS = f"type:{UnitType.OBSERVATION.value}"
"""The head's counter of observations."""
UNCONSOLIDATED = "consolidate_from"
"""The head's counter that is no count: the lowest seq of what is not consolidated; absent where everything is."""
CONSOLIDATED = "consolidated"
"""The head's counter that is no count: facts up to this seq were taken."""
TASK = "consolidation"
CURSOR = "cursor"
ASKED = "operation"
"""Kind of what a queue record names: an operation that waits for the end."""
FAILED = "failed"
"""Status of a queue record whose facts a language model could not consolidate."""
CONSOLIDATION_PLANS = frozenset({"consolidate", "clear_observations", "restore"})
"""Plans that leave nothing to be consolidated: what is restored was, as far as the cursor says that comes with it."""
QUEUED_FACTS = 64
"""Facts that one queue record names, at most."""
_FACTS = "facts"


@dataclass(frozen=True, slots=True)
class Done:
    """What ends with a batch. removed: keys of the queue records that are done with; kept: what is left of others.

    targets: nothing is left of the scopes that it takes facts of; bank: nothing is left at all.
    """

    removed: tuple[str, ...] = ()
    kept: tuple[Record, ...] = ()
    targets: bool = False
    bank: bool = False


def noting(plan: Plan, before: Head, known: Container[object], quiet_s: float, now: datetime, *, on: bool) -> Plan:
    """The plan with what it leaves to be consolidated: facts it adds, facts whose standing it changes, what it orphans.

    before: the head it was made on; known: ids of facts that are held; on: whether the bank consolidates by itself.
    Where it does not, and never did, nothing is noted: all of it counts as new once it does.
    """
    head = plan.head_after
    began = CONSOLIDATED in head.counters or OBSERVATIONS in head.counters
    if plan.clear or plan.command in CONSOLIDATION_PLANS or not (on or began):
        return plan
    added = any(is_extracted(new.unit) for new in plan.add)
    moved = tuple(one.unit_id for one in plan.relink if one.unit_id in known)
    again = any(record.kind is RecordKind.REDERIVE for record in plan.records)
    changed = on and before.exists and before.profile != head.profile and (not began or UNCONSOLIDATED in head.counters)
    if not (added or moved or again or changed):
        return plan
    since = min((record.body["seq"] for record in plan.records if record.kind is RecordKind.STAGES), default=plan.seq)
    since = since if CONSOLIDATED in head.counters else 1
    counters = {**head.counters, UNCONSOLIDATED: min(head.counters.get(UNCONSOLIDATED, since), since)}
    due_at = sooner(head.due_at, now + timedelta(seconds=quiet_s)) if on else head.due_at
    records = queue_records(f"moved-{plan.seq}", moved, now)
    return replace(plan, head_after=replace(head, counters=counters, due_at=due_at), records=(*plan.records, *records))


def queue_record(key: str, facts: Sequence[str], order: int, status: str = PENDING) -> Record:
    """Record of facts that are to be consolidated again; order: since when, in microseconds."""
    body = {"kind": _FACTS, "type": "", "sources": list(facts)}
    return Record(RecordKind.REDERIVE, key, body, order=order, status=status)


def queue_records(key: str, facts: Sequence[str], now: datetime) -> tuple[Record, ...]:
    """As queue_record, for any number of facts."""
    starts = range(0, len(facts), QUEUED_FACTS)
    order = instant_to_micros(now)
    return tuple(queue_record(f"{key}-{start}", facts[start : start + QUEUED_FACTS], order) for start in starts)


def cursor_record(cursor: Cursor, now: datetime) -> Record:
    """Record of how far a bank is consolidated."""
    ahead = [[list(one.scope), one.seq, one.unit_id] for one in cursor.ahead]
    body = {"seq": cursor.seq, "unit": cursor.unit_id, "tries": cursor.tries, "at": instant_to_text(now)}
    body |= {"ahead": ahead} if ahead else {}
    return Record(RecordKind.CONSOLIDATION, CURSOR, body, order=instant_to_micros(now))


def read_cursor(record: Record | None) -> Cursor:
    """Inverse of cursor_record; the beginning, where there is none."""
    if record is None:
        return Cursor()
    body = record.body
    ahead = tuple(Ahead(tuple(scope), seq, unit_id) for scope, seq, unit_id in body.get("ahead", ()))
    return Cursor(body["seq"], body["unit"], body["tries"], ahead)


def operation_record(operation_id: str, status: str, created: datetime, now: datetime, observations: int) -> Record:
    """An operation that waits for the end of a consolidation, or has seen it."""
    done = status not in {"pending", "processing"}
    body = {
        "task_type": TASK,
        "fingerprint": "",
        "status": status,
        "items_count": observations,
        "created_at": instant_to_text(created),
        "updated_at": instant_to_text(now),
        "completed_at": instant_to_text(now) if done else None,
        "error_message": None,
    }
    return Record(RecordKind.OPERATION, operation_id, body, order=instant_to_micros(created), status=status)


def plan_consolidate(
    view: BankView,
    command: EndBatch,
    new: Mapping[str, NewUnit],
    histories: Mapping[str, Record],
    done: Done,
    asked: Mapping[str, datetime],
    now: datetime,
    *,
    on: bool,
) -> Plan:
    """Plan that applies the edits of a batch, and moves the cursor.

    new: the units of its puts by id, with vectors; histories: what is stored of them; done: what else ends with it;
    asked: operations that end with this, and when they were asked for; on: whether the bank consolidates by itself.
    """
    batch, edits, last = command.batch, command.edits, done.bank
    added = [put.unit for put in edits.puts if put.before is None]
    gone = [Derived(unit.id, unit.type) for unit in edits.retire]
    records = [history_record(put.unit, histories.get(put.unit.id), put.before, put.change, now) for put in edits.puts]
    # Where nothing is left, all that is stored by now is consolidated: what comes has higher seqs.
    after = batch.after
    if last:
        after = Cursor(view.head.seq + 1)
    elif done.targets:
        after = batch.before.moved(batch.targets, view.head.seq + 1, "")
    records.append(cursor_record(after, now))
    records += done.kept
    if edits.left:
        records.append(queue_record(f"failed-{command.operation_id}", edits.left, instant_to_micros(now), FAILED))
    plan = bare_plan(view, "consolidate", command.operation_id, now, records)
    head = _with_counters(
        head_after(view, plan.seq, [Derived(unit.id, unit.type) for unit in added], gone, 0, now),
        {CONSOLIDATED: after.seq if last else max(after.seq - 1, 0)},
    )
    if last:
        head = _with_counters(head, {UNCONSOLIDATED: 0})
        follows = bool(head.counters.get(FOLLOWING))
        quiet = now + timedelta(seconds=view.policy.refresh_quiet_s)
        head = replace(head, due_at=sooner(head.due_at, quiet if follows else None))
    elif done.targets and on:  # what else there is waits as it would have without the request
        head = replace(head, due_at=sooner(head.due_at, now + timedelta(seconds=view.policy.consolidate_quiet_s)))
    count = head.counters.get(OBSERVATIONS, 0)
    ended = (operation_record(key, "completed", at, now, count) for key, at in asked.items())
    plan = replace(plan, records=(*plan.records, *ended))
    told = asked or ((command.operation_id,) if last else ())
    events = tuple(Event("consolidation.completed", key, now) for key in told)
    return replace(
        plan,
        add=tuple(_placed(view, plan.seq, new[put.unit.id]) for put in edits.puts),
        remake=tuple(put.unit.id for put in edits.puts if put.before is not None),
        retire=tuple(unit.id for unit in edits.retire),
        remove=(
            *((RecordKind.REDERIVE, key) for key in (*done.removed, *asked)),
            *((RecordKind.OBSERVATION, unit.id) for unit in edits.retire),
        ),
        head_after=head,
        events=events,
    )


def plan_ask(view: BankView, command: Consolidate, failed: Sequence[Record], now: datetime) -> Plan:
    """Plan that has a bank consolidated; failed: queue records that are to be tried again."""
    body: dict[str, Any] = {"kind": ASKED, "type": "", "sources": [], "at": instant_to_text(now)}
    body |= {"targets": [list(scope) for scope in command.targets]} if command.targets else {}
    asked = Record(RecordKind.REDERIVE, command.operation_id, body, order=instant_to_micros(now), status=PENDING)
    again = tuple(replace(record, status=PENDING) for record in failed)
    records = (asked, *again, operation_record(command.operation_id, "pending", now, now, 0))
    # One of some scopes is begun at once, and by the next owner after a while: its time is not that of all the rest.
    due_at = now + timedelta(seconds=view.policy.consolidate_lease_s) if command.targets else now
    plan = bare_plan(view, "ask_consolidation", command.operation_id, now, records, due_at)
    counters = view.head.counters
    since = min(counters.get(UNCONSOLIDATED, plan.seq), plan.seq) if CONSOLIDATED in counters else 1
    return replace(plan, head_after=_with_counters(plan.head_after, {UNCONSOLIDATED: since}))


def plan_clear(
    view: BankView, command: ClearObservations, gone: Sequence[Unit], now: datetime, *, due: bool, restart: bool
) -> Plan:
    """Plan that removes observations; restart: all facts are new again, else those that the gone ones rest on are."""
    cited = tuple(dict.fromkeys(source.unit_id for unit in gone for source in unit.sources))
    again = queue_records(f"cleared-{view.head.seq + 1}", cited, now)
    records = (cursor_record(Cursor(), now),) if restart else again
    plan = bare_plan(view, "clear_observations", command.operation_id, now, records, now if due else None)
    head = head_after(view, plan.seq, (), [Derived(unit.id, unit.type) for unit in gone], 0, now)
    since = 1 if restart else min(head.counters.get(UNCONSOLIDATED, plan.seq), plan.seq)
    changes = {UNCONSOLIDATED: since} | ({CONSOLIDATED: 0} if restart else {})
    return replace(
        plan,
        retire=tuple(unit.id for unit in gone),
        remove=tuple((RecordKind.OBSERVATION, unit.id) for unit in gone),
        head_after=replace(_with_counters(head, changes), due_at=plan.head_after.due_at),
    )


def _placed(view: BankView, seq: int, new: NewUnit) -> NewUnit:
    return replace(new, unit=replace(new.unit, seq=seq, epoch=view.head.epoch))


def _with_counters(head: Head, changes: Mapping[str, int]) -> Head:
    counters = {**head.counters, **changes}
    return replace(head, counters={name: count for name, count in counters.items() if count})
