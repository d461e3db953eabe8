"""Plans of what a bank reflects by: directives; mental models that are put, asked for, refreshed, retracted."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta

from memory.directives import DIRECTIVES, MAX_DIRECTIVES, Directive, encode_directive
from memory.encoding import instant_to_micros, instant_to_text
from memory.errors import Conflict, NotFound
from memory.ingest import BankView, bare_plan, counted
from memory.mental_models import (
    FOLLOWING,
    MAX_MODELS,
    MAX_VERSIONS,
    MODELS,
    MentalModel,
    RefreshMode,
    encode_model,
    version_key,
    version_record,
)
from memory.plans import Event, Plan
from memory.policy import sooner
from memory.records import Record, RecordKind
from memory.reflect_commands import (
    ClearModel,
    DeleteDirective,
    DeleteModel,
    EndRefresh,
    NotRefreshed,
    PutDirective,
    PutModel,
    Refreshed,
    RefreshModel,
)
from memory.refresh_budget import spent

REFRESH_TASK = "refresh_mental_model"
RETRACTED = "a source was deleted"


def plan_put_directive(
    view: BankView, command: PutDirective, found: Directive | None, now: datetime
) -> tuple[Plan, Directive]:
    """Plan that creates or changes a directive.

    Raises:
        NotFound: there is none to change.
        Conflict: the bank has too many.
    """
    if command.create:
        if view.head.counters.get(DIRECTIVES, 0) >= MAX_DIRECTIVES:
            raise Conflict(f"a bank has at most {MAX_DIRECTIVES} directives")
        directive = Directive(id=command.directive_id, created_at=now, updated_at=now, **command.changes)
    elif found is None:
        raise NotFound(f"bank {view.scope.bank!r} has no directive {command.directive_id!r}")
    else:
        directive = found.changed(command.changes, now)
    plan = bare_plan(view, "put_directive", command.operation_id, now, (encode_directive(directive),))
    return counted(plan, {DIRECTIVES: int(command.create)}), directive


def plan_delete_directive(view: BankView, command: DeleteDirective, now: datetime) -> Plan:
    """Plan that removes a directive."""
    plan = bare_plan(view, "delete_directive", command.operation_id, now)
    return counted(replace(plan, remove=((RecordKind.DIRECTIVE, command.directive_id),)), {DIRECTIVES: -1})


def plan_put_model(
    view: BankView, command: PutModel, found: MentalModel | None, now: datetime
) -> tuple[Plan, MentalModel]:
    """Plan that creates a mental model, to be refreshed at once, or changes one.

    Raises:
        NotFound: there is none to change.
        Conflict: the bank has too many, or one of that id.
        Unprocessable: a schedule is none.
    """
    if command.create:
        if found is not None:
            raise Conflict(f"the bank has a mental model {command.model_id!r} already")
        if view.head.counters.get(MODELS, 0) >= MAX_MODELS:
            raise Conflict(f"a bank has at most {MAX_MODELS} mental models")
        model = MentalModel(id=command.model_id, created_at=now, **command.changes).scheduled(now)
        plan, model = _asked(view, model, command.operation_id, "full", now)
        before = 0
    elif found is None:
        raise NotFound(f"bank {view.scope.bank!r} has no mental model {command.model_id!r}")
    else:
        model, before = replace(found, **command.changes), int(found.follows)
        model = model.scheduled(now) if "trigger" in command.changes else model
        plan = bare_plan(view, "put_mental_model", command.operation_id, now, (encode_model(model),), _due(model, now))
    changes = {MODELS: int(command.create), FOLLOWING: int(model.follows) - before}
    return counted(replace(plan, command="put_mental_model"), changes), model


def plan_delete_model(view: BankView, command: DeleteModel, model: MentalModel, now: datetime) -> Plan:
    """Plan that removes a mental model with its history; a refresh of it that is pending is cancelled."""
    records = (refresh_operation(model, "cancelled", now),) if model.pending else ()
    plan = bare_plan(view, "delete_mental_model", command.operation_id, now, records)
    remove = ((RecordKind.MENTAL_MODEL, model.id), *_versions(model))
    return counted(replace(plan, remove=remove), {MODELS: -1, FOLLOWING: -int(model.follows)})


def plan_clear_model(
    view: BankView, command: ClearModel, model: MentalModel, now: datetime
) -> tuple[Plan, MentalModel]:
    """Plan that empties a mental model; what it said goes to its history."""
    kept, records, remove = _kept(model, now)
    cleared = kept.emptied()
    plan = bare_plan(view, "clear_mental_model", command.operation_id, now, (encode_model(cleared), *records))
    return replace(plan, remove=remove), cleared


def plan_refresh_model(
    view: BankView, command: RefreshModel, model: MentalModel, now: datetime
) -> tuple[Plan, MentalModel]:
    """Plan that makes a refresh pending; schedules that are past move on."""
    past = any(at is not None and at <= now for at in (model.cron_at, model.full_cron_at))
    model = model.scheduled(now) if past else model
    return _asked(view, model, command.operation_id, command.mode or model.mode, now)


def plan_reschedule(view: BankView, operation_id: str, models: Sequence[MentalModel], now: datetime) -> Plan:
    """Plan that moves schedules on whose time came while there was nothing to do."""
    return bare_plan(view, "reschedule", operation_id, now, [encode_model(model.scheduled(now)) for model in models])


def plan_end_refresh(
    view: BankView, command: EndRefresh, model: MentalModel, gone: AbstractSet[str], now: datetime
) -> Plan:
    """Plan that applies what a refresh made, or notes that it failed. gone: of its sources, those that do not stand."""
    result = command.result
    model = spent(model, result.tokens, now)
    if isinstance(result, NotRefreshed) or gone:
        failed = model.failing(result.reason if isinstance(result, NotRefreshed) else RETRACTED, now)
        status = "pending" if failed.pending else "failed"
        noted = (encode_model(failed), refresh_operation(model, status, now, failed.failure))
        return bare_plan(view, "end_refresh", command.operation_id, now, noted, _due(failed, now))
    kept, records, remove = _kept(model, now) if result.changed else (model, (), ())
    after = _after(kept, result, now)
    operation = refresh_operation(model, "completed", now)
    written = (encode_model(after), operation, *records)
    plan = bare_plan(view, "end_refresh", command.operation_id, now, written, _due(after, now))
    events = (Event("mental_model.refreshed", command.refresh, now),)
    return replace(plan, remove=remove, events=events)


def following(plan: Plan, models: Sequence[MentalModel], quiet_s: float, now: datetime) -> Plan:
    """The plan with what it means for mental models: those that rest on what it retires lose their content.

    They are refreshed at once, and those that follow new evidence when the bank has been quiet for a moment.
    """
    head = plan.head_after
    gone = set(plan.retire) - {new.unit.id for new in plan.add}
    retracted = [model for model in models if gone and _rests_on(model, gone)]
    due = now if retracted else None
    if plan.add and head.counters.get(FOLLOWING):
        due = sooner(due, now + timedelta(seconds=quiet_s))
    if due is None:
        return plan
    records: list[Record] = []
    remove: list[tuple[RecordKind, str]] = []
    for model in retracted:
        after, versions = _retract(model, gone, f"{plan.operation_id}-{model.id}", now)
        records += [encode_model(after)] + ([refresh_operation(after, "pending", now)] if after.pending else [])
        remove += versions
    written = {(record.kind, record.key) for record in plan.records}
    return replace(
        plan,
        head_after=replace(head, due_at=sooner(head.due_at, due)),
        records=(*plan.records, *(record for record in records if (record.kind, record.key) not in written)),
        remove=(*plan.remove, *remove),
    )


def refresh_operation(model: MentalModel, status: str, now: datetime, error: str = "") -> Record:
    """Record of the refresh that is pending at a model."""
    assert model.pending is not None
    at = instant_to_text(now)
    body = {
        "task_type": REFRESH_TASK,
        "fingerprint": "",
        "status": status,
        "items_count": 1,
        "mental_model_id": model.id,
        "mode": model.pending.mode,
        "created_at": instant_to_text(model.pending.asked_at),
        "updated_at": at,
        "completed_at": at if status in {"completed", "failed", "cancelled"} else None,
        "error_message": error or None,
        "retry_count": model.pending.attempts,
    }
    order = instant_to_micros(model.pending.asked_at)
    return Record(RecordKind.OPERATION, model.pending.operation_id, body, order=order, status=status)


def _asked(
    view: BankView, model: MentalModel, operation_id: str, mode: RefreshMode, now: datetime
) -> tuple[Plan, MentalModel]:
    asked = model.asked(operation_id, mode, now)
    records = (encode_model(asked), refresh_operation(asked, "pending", now))
    return bare_plan(view, REFRESH_TASK, operation_id, now, records, now), asked


def _after(model: MentalModel, result: Refreshed, now: datetime) -> MentalModel:
    return replace(
        model,
        content=result.content,
        version=model.version + int(result.changed),
        seen_seq=result.seen_seq,
        sources=result.sources,
        reflection=dict(result.reflection),
        answered=result.answered,
        lost=False,
        pending=None,
        refreshed_at=now,
        full_refreshed_at=now if result.mode == "full" else model.full_refreshed_at,
        failed_at=None,
        failure="",
    )


def _kept(
    model: MentalModel, now: datetime
) -> tuple[MentalModel, tuple[Record, ...], tuple[tuple[RecordKind, str], ...]]:
    """The model with its content in its history, the record of that, and what goes for it."""
    if not model.content:
        return model, (), ()
    entry = (model.version, tuple(source.unit_id for source in model.sources))
    history = (*model.history, entry)
    dropped, history = history[:-MAX_VERSIONS], history[-MAX_VERSIONS:]
    remove = tuple((RecordKind.MODEL_VERSION, version_key(model.id, version)) for version, _ in dropped)
    return replace(model, history=history), (version_record(model, now),), remove


def _rests_on(model: MentalModel, gone: AbstractSet[str]) -> bool:
    current = any(source.unit_id in gone for source in model.sources)
    return current or any(not gone.isdisjoint(cited) for _, cited in model.history)


def _retract(
    model: MentalModel, gone: AbstractSet[str], operation_id: str, now: datetime
) -> tuple[MentalModel, list[tuple[RecordKind, str]]]:
    told = [version for version, cited in model.history if not gone.isdisjoint(cited)]
    history = tuple(entry for entry in model.history if entry[0] not in told)
    model, lost = replace(model, history=history), any(source.unit_id in gone for source in model.sources)
    if lost:
        model = replace(model.emptied(), lost=True).asked(operation_id, "full", now)
    return model, [(RecordKind.MODEL_VERSION, version_key(model.id, version)) for version in told]


def _versions(model: MentalModel) -> tuple[tuple[RecordKind, str], ...]:
    return tuple((RecordKind.MODEL_VERSION, version_key(model.id, version)) for version, _ in model.history)


def _due(model: MentalModel, now: datetime) -> datetime | None:
    due = model.due_at()
    return sooner(due, now) if model.follows else due
