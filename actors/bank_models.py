"""What a bank reflects by, in its owner: directives and mental models are put, refreshed and due here."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from actors.bank_folders import BankFolders
from actors.bank_observations import BankObservations
from actors.bank_ports import BankPorts
from actors.bank_stages import BankStages
from actors.turns import Turn
from actors.woken_task import WokenTask
from memory.commands import Command, OperationReceipt
from memory.directives import Directive, decode_directive
from memory.errors import Conflict, NotFound
from memory.ids import Scope
from memory.mental_models import MAX_MODELS, MODELS, MentalModel, RefreshMode, decode_model
from memory.policy import sooner
from memory.records import RecordKind
from memory.reflect_commands import (
    ClearModel,
    DeleteDirective,
    DeleteModel,
    DirectiveCommand,
    EndRefresh,
    FolderCommand,
    ModelCommand,
    NotRefreshed,
    PutModel,
    Refreshed,
    RefreshModel,
)
from memory.reflect_plans import (
    plan_clear_model,
    plan_delete_directive,
    plan_delete_model,
    plan_end_refresh,
    plan_put_directive,
    plan_put_model,
    plan_refresh_model,
    plan_reschedule,
)
from memory.refresh_budget import DUE, expected, next_day, spent_today
from memory.store_calls import FindLive, GetRecords, ListRecords, ListUnits, RecordPage, UnitPage


class RefreshRunner:
    """Makes the pending refreshes of one bank, one after the other; every state they go through is in the store.

    It ends when none is ready or the bank cannot be written to; whoever looks at the due bank next wakes it again.
    """

    __slots__ = ("_perform", "_ports", "_scope", "_task")

    def __init__(self, scope: Scope, ports: BankPorts, perform: Callable[[Command], Awaitable[object]]) -> None:
        self._scope = scope
        self._ports = ports
        self._perform = perform
        self._task = WokenTask(scope.bank, "refreshes")

    @property
    def running(self) -> bool:
        """Whether a refresh is being made."""
        return self._task.running

    def wake(self) -> None:
        """See that what is ready is made."""
        if self._ports.refresh is not None:
            self._task.wake(self._refresh_ready)

    async def rest(self) -> None:
        """Wait until nothing is being made."""
        await self._task.rest()

    async def _refresh_ready(self) -> None:
        while ready := await self._ready():
            for model in ready:
                await self._refresh(model)

    async def _ready(self) -> list[MentalModel]:
        listed = ListRecords(RecordKind.MENTAL_MODEL, MAX_MODELS)
        page: RecordPage = await self._ports.store.perform(self._scope, listed)
        now = self._ports.clock.now()
        models = map(decode_model, page.records)
        return [model for model in models if model.pending is not None and model.pending.not_before <= now]

    async def _refresh(self, model: MentalModel) -> None:
        assert model.pending is not None
        assert self._ports.refresh is not None
        await self._ports.stand_back()
        try:
            made = await self._ports.refresh(self._scope, model)
        except Exception as exc:  # noqa: BLE001 - whatever a model does to a refresh must end with that model
            made = NotRefreshed(f"{type(exc).__name__}: {exc}")
        await self._perform(EndRefresh(self._ports.nonce(), model.id, model.pending.operation_id, made))


class BankModels:
    """Performs commands whose turn has come."""

    __slots__ = ("_folders", "_observations", "_ports", "_runner", "_scope", "_stages")

    def __init__(
        self,
        scope: Scope,
        ports: BankPorts,
        stages: BankStages,
        runner: RefreshRunner,
        observations: BankObservations,
    ) -> None:
        self._scope = scope
        self._ports = ports
        self._stages = stages
        self._runner = runner
        self._observations = observations
        self._folders = BankFolders(scope, ports, stages)

    async def perform_directive(self, command: DirectiveCommand, turn: Turn) -> Directive | OperationReceipt:
        """Put or delete a directive in its turn.

        Raises:
            NotFound: there is none of that id.
            Conflict: the bank has too many.
        """
        id_, now = command.directive_id, self._ports.clock.now()
        records = await self._ports.store.perform(self._scope, GetRecords(RecordKind.DIRECTIVE, (id_,)))
        found = decode_directive(records[id_]) if id_ in records else None
        done = await self._stages.was_done(command.operation_id)
        if isinstance(command, DeleteDirective):
            if found is not None:
                await turn.execute(plan_delete_directive(turn.view(), command, now))
            elif not done:
                raise NotFound(f"bank {self._scope.bank!r} has no directive {id_!r}")
            return OperationReceipt(id_, "deleted")
        if done and found is not None:
            return found
        if command.create and found is not None:
            raise Conflict(f"the bank has a directive {id_!r} already")
        plan, directive = plan_put_directive(turn.view(), command, found, now)
        await turn.execute(plan)
        return directive

    async def perform(self, command: ModelCommand, turn: Turn) -> MentalModel | OperationReceipt:
        """Do what is asked of a mental model in its turn.

        Raises:
            NotFound: there is none of that id.
            Conflict: there is one already, or too many.
        """
        if isinstance(command, FolderCommand):
            return await self._folders.perform(command, turn)
        model = next((one for one in await turn.models() if one.id == command.model_id), None)
        done = await self._stages.was_done(command.operation_id)
        now = self._ports.clock.now()
        if isinstance(command, EndRefresh):
            return await self._end(command, model, turn, now)
        if model is None and isinstance(command, DeleteModel) and done:
            return OperationReceipt(command.model_id, "deleted")
        if model is None and not (isinstance(command, PutModel) and command.create):
            raise NotFound(f"bank {self._scope.bank!r} has no mental model {command.model_id!r}")
        if model is not None and done:
            return model
        if isinstance(command, PutModel):
            plan, after = plan_put_model(turn.view(), command, model, now)
            await turn.execute(plan)
            return after
        assert model is not None
        if isinstance(command, DeleteModel):
            await turn.execute(plan_delete_model(turn.view(), command, model, now))
            return OperationReceipt(command.model_id, "deleted")
        plan, after = (
            plan_clear_model(turn.view(), command, model, now)
            if isinstance(command, ClearModel)
            else plan_refresh_model(turn.view(), command, model, now)
        )
        await turn.execute(plan)
        return after

    async def _end(
        self, command: EndRefresh, model: MentalModel | None, turn: Turn, now: datetime
    ) -> MentalModel | OperationReceipt:
        """Apply what a refresh made, unless another one is pending by now; what it rests on must still stand."""
        if model is None or model.pending is None or model.pending.operation_id != command.refresh:
            return OperationReceipt(command.refresh, "dropped")
        made = command.result
        cited = tuple(source.unit_id for source in made.sources) if isinstance(made, Refreshed) else ()
        live = await self._ports.store.perform(self._scope, FindLive(cited)) if cited else frozenset[str]()
        await turn.execute(plan_end_refresh(turn.view(), command, model, set(cited) - live, now))
        return OperationReceipt(command.refresh, "applied")

    async def do_due(self, turn: Turn, now: datetime) -> datetime | None:
        """Make refreshes pending whose time has come, and have them made; when to look again.

        Those whose content is oldest come first; what the day's tokens do not suffice for waits for the next day.
        """
        if self._ports.refresh is None or not turn.view().head.counters.get(MODELS):
            return None
        due: datetime | None = None
        idle: list[MentalModel] = []
        ready = False
        models = sorted(await turn.models(), key=lambda one: one.refreshed_at or one.created_at)
        spent, cap = spent_today(models, now), self._ports.policy.refresh_tokens_per_day
        for model in models:
            if model.pending is not None:
                ready = ready or model.pending.not_before <= now
                due = sooner(due, model.pending.not_before if model.pending.not_before > now else None)
                continue
            mode, at = await self._wanted(model, turn, now)
            if mode is not None and cap is not None and spent + expected(model) > cap:
                due = sooner(due, next_day(now))
            elif mode is not None:
                spent += expected(model)
                command = RefreshModel(f"{DUE}{self._ports.nonce()}", model.id, mode)
                await turn.execute(plan_refresh_model(turn.view(), command, model, now)[0])
                ready = True
            elif at is not None and at <= now:
                idle.append(model)
            else:
                due = sooner(due, at)
        due = sooner(due, await self._reschedule(turn, idle, now))
        if ready:
            self._runner.wake()
            due = sooner(due, now + timedelta(seconds=self._ports.policy.refresh_lease_s))
        return due

    async def _wanted(
        self, model: MentalModel, turn: Turn, now: datetime
    ) -> tuple[RefreshMode | None, datetime | None]:
        """How a model is to be refreshed now by its trigger, if it is; else when to look at it again.

        Schedules whose time has come and that find nothing new are past, and move on.
        """
        at = model.due_at()
        past = at is not None and at <= now
        if not past and (not model.follows or self._observations.is_pending(turn.view().head)):
            return None, at  # what it follows is looked at once it is consolidated
        page: UnitPage = await self._ports.store.perform(self._scope, ListUnits(1, where=model.moved()))
        moved = page.total > 0 or not model.content
        full = model.full_cron_at is not None and model.full_cron_at <= now
        if past:
            return ("full" if full else model.mode) if moved else None, at
        if not moved or page.total == 0:
            return None, at
        begun = model.refreshed_at or model.created_at
        least = timedelta(seconds=model.least_s(self._ports.policy.refresh_interval_s))
        if model.version and begun + least > now:
            return None, sooner(at, begun + least)
        return model.mode, at

    async def _reschedule(self, turn: Turn, models: Sequence[MentalModel], now: datetime) -> datetime | None:
        if not models:
            return None
        await turn.execute(plan_reschedule(turn.view(), f"due-{self._ports.nonce()}", models, now))
        return sooner(*(model.scheduled(now).due_at() for model in models))
