"""Bank: one activation of a virtual actor. Prepares commands beside each other, writes them one at a time, in order."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from actors.bank_curation import BankCuration
from actors.bank_documents import BankDocuments
from actors.bank_models import BankModels, RefreshRunner
from actors.bank_observations import BankObservations
from actors.bank_ports import Activation, BankPorts, beside_loop, take_bank
from actors.bank_reflections import BankReflections
from actors.bank_restore import Restoring
from actors.bank_sessions import BankSessions
from actors.bank_stages import BankStages, StageRunner
from actors.consolidation_runner import ConsolidationRunner
from actors.credits import Limits, size_of
from actors.due_work import DueWork
from actors.lifecycle import Event, State, state_after
from actors.mending import Mender
from actors.preparing import Prepared, Preparer
from actors.receipts import Receipt
from actors.turns import Turn
from actors.turnstile import Turnstile
from memory.bank_profile import extracts, overrides_of
from memory.cascade import Cascade, FindCascade, cascaded, needs_cascade
from memory.commands import (
    AppendTurns,
    CancelOperation,
    Command,
    CurateEntity,
    CurateFact,
    DeleteBank,
    DeleteDocument,
    DeleteOperation,
    ListEntities,
    RepairBank,
    RepairReceipt,
    ReprocessDocument,
    Retain,
    RetryOperation,
    SessionCommand,
    UpdateBank,
)
from memory.consolidating.commands import ConsolidationCommand
from memory.curation import CURATED
from memory.encoding import decode_recall_profile
from memory.errors import InvalidRequest
from memory.ids import Scope
from memory.ingest import BankView, Embedded
from memory.known_facts import FACT_BYTES, KnownFacts, ReadKnown, StoredFacts, is_extracted
from memory.mental_models import MAX_MODELS, MODELS, MentalModel, decode_model
from memory.plans import Plan
from memory.policy import sooner
from memory.protocol import REOPENED_AT, Execute
from memory.records import Head, RecallProfile, RecordKind, Unit
from memory.reflect_commands import DirectiveCommand, ModelCommand, PutModel, ReflectionCommand, RefreshModel
from memory.reflect_plans import following
from memory.restore_commands import BeginRestore, RestoreSlice, SweepPast
from memory.stage_commands import BeginStage, EndStage
from memory.staging import is_staged
from memory.store_calls import ListRecords, NewUnit, ReadHead, RecordPage
from memory.sweeping import scheduled

_SAID = frozenset({RecordKind.CURATION, RecordKind.ENTITY})
MAILBOX_BYTES = 64 << 20
BARE_BYTES = 4096
"""What an activation takes in memory beside the names it knows; measured, rounded up."""
NAME_BYTES = 150


_PARTS = (
    *("_curation", "_documents", "_due", "_models", "_observations", "_reflections", "_sessions", "_stages"),
    *("consolidations", "refreshes", "stages"),
)


class Bank:
    """One bank in its owner. Plain asyncio; the host addresses it, the store holds all it must not forget."""

    __slots__ = (
        *("_activating", "_active", "_line", "_ports", "_scope", "_state"),
        *_PARTS,
    )

    def __init__(
        self, scope: Scope, ports: BankPorts, mailbox_commands: int, mailbox_bytes: int = MAILBOX_BYTES
    ) -> None:
        self._scope = scope
        self._ports = ports
        self._line = Turnstile(Limits(mailbox_commands, mailbox_bytes))
        self._state = State.ABSENT
        self._active: Activation | None = None
        self._activating: asyncio.Task[Activation] | None = None
        self._sessions = BankSessions(scope, ports)
        self._stages = BankStages(scope, ports)
        self._documents = BankDocuments(scope, ports, self._stages)
        self._curation = BankCuration(scope, ports, self._stages)
        self.refreshes = RefreshRunner(scope, ports, self.perform)
        self.consolidations = ConsolidationRunner(scope, ports, self.perform)
        self._observations = BankObservations(scope, ports, self._stages, self.consolidations)
        self._models = BankModels(scope, ports, self._stages, self.refreshes, self._observations)
        self._reflections = BankReflections(scope, ports, self._stages)
        self._due = DueWork(scope, ports, self._sessions, self._stages, self._models, self._observations)
        self.stages = StageRunner(scope, ports, self.perform, self._profile)

    @property
    def state(self) -> State:
        """What this activation is doing."""
        return self._state

    @property
    def idle(self) -> bool:
        """Whether no command is waiting or running, no stage, and the bank is not just being taken."""
        return self._line.inside == 0 and self._activating is None and not self._working

    @property
    def _working(self) -> bool:
        return self.stages.running or self.refreshes.running or self.consolidations.running

    @property
    def cache_bytes(self) -> int:
        """Memory that passivation gives back, roughly."""
        active = self._active
        if active is None:
            return BARE_BYTES
        facts = len(active.known) if active.known is not None else 0
        return BARE_BYTES + NAME_BYTES * len(active.recall_profile.speakers) + FACT_BYTES * facts

    def passivate(self) -> None:
        """Drop everything; nothing is written, because the store holds all of it.

        Raises:
            ValueError: commands or stages are in flight.
        """
        if not self.idle:
            raise ValueError(f"bank {self._scope.bank!r} has work in flight")
        self._state = state_after(self._state, Event.PASSIVATED)
        self._active = None
        for part in _PARTS:
            delattr(self, part)  # their runners refer to this bank, which would stay until a full collection

    async def perform(self, command: Command) -> Receipt:
        """Do one command, once, in the order of arrival.

        Raises:
            Overloaded: too many commands of this bank are waiting.
            Conflict: the operation id belongs to another command.
            InvalidRequest: the command contradicts itself or what is stored.
            Unavailable: the store is restarting; the command may be sent again under its operation id.
            Stale: another owner has the bank, or is to have it (NotOwner); it may be sent again.
        """
        size_bytes = size_of(command)
        ticket = self._line.ticket(size_bytes)
        preparer = Preparer(self._scope, self._ports, size_bytes)
        try:
            prepared = await self._prepare(preparer, command)
        except BaseException:
            ticket.give_back()
            raise
        async with ticket.turn():
            try:
                if isinstance(command, RepairBank):
                    return await self._repair(command)
                active = await self._activated()
                receipt = await self._in_turn(active, command, prepared, preparer)
            except InvalidRequest:
                raise
            except BaseException:
                # Whether the plan was committed is unknown here; the next activation reads what the store says.
                self._doubt()
                raise
        if self._is_staged(active):
            self.stages.wake()
        if isinstance(command, (PutModel, RefreshModel)):
            self.refreshes.wake()
        return receipt

    async def settle(self, *, work: bool = True) -> None:
        """Take the bank, and with that apply what a former owner committed and did not settle, and sweep what is old.

        Then do what is due. An activation that is the owner the head knows, with nothing left to settle or to sweep,
        stays as it is: what it holds of a big bank takes seconds to read. Without `work` only what readers would notice
        is done: a bank with nothing to settle is not even taken.
        """
        async with self._line.ticket().turn():
            if not work and not await self._unsettled():
                return
            active = self._active
            if active is not None:
                head = await self._ports.store.perform(self._scope, ReadHead())
                known = head is not None and (head.epoch, head.settled) == (active.head.epoch, active.head.settled)
                if not known or self._is_past(active.sweep_due):
                    self._doubt()
            active = await self._activated()
            if work:
                try:
                    await self._due.do(self._turn(active))
                except BaseException:
                    self._doubt()
                    raise
        if work and self._is_staged(active):
            self.stages.wake()

    async def _unsettled(self) -> bool:
        head = await self._ports.store.perform(self._scope, ReadHead())
        return head is not None and (head.settled < head.commit or head.due_at == REOPENED_AT)

    # -- activation

    async def _activated(self) -> Activation:
        """The activation; who comes while the bank is being taken waits for that, and gets its error if it fails.

        An attempt is only ever begun where no plan of this owner is in flight: plans are executed by active banks, and
        only the command whose turn it is doubts.
        """
        if self._active is not None:
            return self._active
        return await asyncio.shield(self._activating or self._begin())

    def _begin(self, above_epoch: int = 0, above_seq: int = 0) -> "asyncio.Task[Activation]":
        self._state = state_after(self._state, Event.NEEDED)
        taking = take_bank(self._scope, self._ports, above_epoch, above_seq)
        self._activating = asyncio.get_running_loop().create_task(taking)
        self._activating.add_done_callback(self._begun)
        return self._activating

    def _begun(self, task: "asyncio.Task[Activation]") -> None:
        """Runs before those who wait for the attempt go on."""
        self._activating = None
        if task.cancelled() or task.exception() is not None:
            self._state = state_after(self._state, Event.REFUSED)
        else:
            self._state = state_after(self._state, Event.TAKEN)
            self._active = task.result()

    def _doubt(self) -> None:
        """Forget what may no longer be what the store holds."""
        if self._state is State.ACTIVE:
            self._state = state_after(self._state, Event.DOUBTED)
            self._active = None

    async def _taken_anew(self, above_epoch: int, above_seq: int) -> Activation:
        while self._activating is not None:
            await asyncio.wait({self._activating})
        self._doubt()
        return await asyncio.shield(self._begin(above_epoch, above_seq))

    def _is_past(self, due_at: datetime | None) -> bool:
        return due_at is not None and due_at <= self._ports.clock.now()

    # -- outside the turn

    async def _prepare(self, preparer: Preparer, command: Command) -> "_Ready":
        """What can be done before the turn. The bank is taken by the first command that makes sense.

        Its error ends all who wait for it here, in one go; in their turns they would each wait for it anew.
        """
        if isinstance(command, RepairBank):
            return None
        if isinstance(command, Retain):
            drafts = await preparer.draft(command)
            active = await self._activated()
            return await preparer.prepare(command, drafts, active.head.commit)
        if isinstance(command, AppendTurns):
            chunks = await self._sessions.draft(command)
            await self._activated()
            return await self._sessions.embed(command, chunks)
        await self._activated()
        if isinstance(command, (BeginRestore, RestoreSlice)):
            return await self._documents.restore.embed(command)
        if isinstance(command, ReflectionCommand):
            return await self._reflections.embed(command)
        return await self._stages.embed(command) if isinstance(command, EndStage) else None

    # -- in turn

    async def _in_turn(self, active: Activation, command: Command, ready: "_Ready", preparer: Preparer) -> Receipt:
        turn = self._turn(active)
        if isinstance(command, (Retain, DeleteDocument, DeleteBank, UpdateBank, BeginRestore, RestoreSlice, SweepPast)):
            return await self._documents.perform(command, turn, cast("Prepared | Restoring | None", ready), preparer)
        if isinstance(command, BeginStage):
            return await self._stages.begin(command, turn)
        if isinstance(command, EndStage):
            return await self._stages.end(command, turn, cast("tuple[NewUnit, ...]", ready))
        if isinstance(command, (CancelOperation, RetryOperation, DeleteOperation)):
            return await self._stages.follow(command, turn)
        if isinstance(command, (CurateFact, CurateEntity, ListEntities, ReprocessDocument)):
            return await self._curation.perform(command, turn)
        if isinstance(command, DirectiveCommand):
            return await self._models.perform_directive(command, turn)
        if isinstance(command, ModelCommand):
            return await self._models.perform(command, turn)
        if isinstance(command, ConsolidationCommand):
            return await self._observations.perform(command, turn)
        if isinstance(command, ReflectionCommand):
            return await self._reflections.perform(command, turn, cast("tuple[NewUnit, ...]", ready))
        embedded = cast("Mapping[str, Embedded]", ready or {})
        return await self._sessions.perform(cast("SessionCommand", command), turn, embedded)

    async def _repair(self, command: RepairBank) -> RepairReceipt:
        """Take the bank anew, which settles and sweeps it, then mend what an audit finds."""
        mender = Mender(self._scope, self._ports)
        before = await mender.audit()
        active = await self._taken_anew(before.highest_epoch, before.highest_seq)

        async def execute(plan: Plan) -> Head:
            await self._execute(active, plan)
            return active.head

        return await mender.mend(command, active.head, before.salvage, execute)

    async def _execute(self, active: Activation, plan: Plan) -> None:
        now, retention = self._ports.clock.now(), self._ports.retention
        plan = await self._reflected(active, await self._followed(active, plan))
        plan = scheduled(self._observations.noted(plan, active.head, active.known), now, retention)
        if plan.remove:
            active.sweep_due = sooner(active.sweep_due, now + retention.tombstones)
        known, active.known = active.known, None  # what it says is true again once the plan is executed
        touched = {kind for kind, _ in plan.remove} | {record.kind for record in plan.records}
        models, active.models = active.models, None
        active.head = await self._ports.store.perform(self._scope, Execute(active.head, plan, self._ports.nonce()))
        active.known = None if plan.clear else known
        active.models = None if plan.clear or RecordKind.MENTAL_MODEL in touched else models
        if plan.clear:
            active.recall_profile = RecallProfile()
        for record in plan.records:
            if record.kind is RecordKind.RECALL_PROFILE:
                active.recall_profile = decode_recall_profile(record.body)

    async def _followed(self, active: Activation, plan: Plan) -> Plan:
        """With what goes too, and with what that means for facts; in the turn, so that what earlier plans did is seen.

        Facts are not read for a plan that neither adds nor retires any.
        """
        retired = needs_cascade(plan)
        gone: tuple[Unit, ...] = ()
        if retired:
            found: Cascade = await self._ports.store.perform(self._scope, FindCascade(retired))
            plan, gone = cascaded(plan, found, self._ports.clock.now()), found.retire
        changed = any(map(is_extracted, (*gone, *(new.unit for new in plan.add))))
        said = active.head.counters.get(CURATED) or any(record.kind in _SAID for record in plan.records)
        if plan.clear or not (changed or said or active.known is not None):
            return plan
        known = await self._known(active)
        return await beside_loop(known.effort_of(plan), known.follow, plan)

    async def _reflected(self, active: Activation, plan: Plan) -> Plan:
        """With what it means for mental models."""
        if plan.clear or not plan.head_after.counters.get(MODELS) or not (plan.add or plan.retire):
            return plan
        models = await self._read_models(active)
        return following(plan, models, self._ports.policy.refresh_quiet_s, self._ports.clock.now())

    async def _read_models(self, active: Activation) -> tuple[MentalModel, ...]:
        if active.models is None:
            none = RecordPage((), 0)
            has = active.head.counters.get(MODELS)
            listed = ListRecords(RecordKind.MENTAL_MODEL, MAX_MODELS)
            page: RecordPage = await self._ports.store.perform(self._scope, listed) if has else none
            active.models = tuple(map(decode_model, page.records))
        return active.models

    async def _known(self, active: Activation) -> KnownFacts:
        if active.known is None:
            stored: StoredFacts = await self._ports.store.perform(self._scope, ReadKnown())
            active.known = await beside_loop(len(stored.units) * FACT_BYTES, stored.known)
        return active.known

    def _profile(self) -> Mapping[str, Any]:
        """Settings of the bank as they were when it was looked at last, with those of its tenant."""
        own = overrides_of(self._active.head.profile) if self._active is not None else {}
        return {**self._ports.inherited(self._scope.tenant), **own}

    def _view(self, active: Activation) -> BankView:
        policy = self._ports.policy
        if policy.stages and not extracts(active.head.profile, self._ports.inherited(self._scope.tenant)):
            policy = replace(policy, stages=())
        return BankView(self._scope, active.head, active.recall_profile, policy)

    def _turn(self, active: Activation) -> Turn:
        return Turn(
            lambda: self._view(active),
            lambda: active.sweep_due,
            lambda plan: self._execute(active, plan),
            lambda: self._known(active),
            lambda: self._read_models(active),
        )

    def _is_staged(self, active: Activation) -> bool:
        return is_staged(active.head, self._ports.policy)


_Ready = Prepared | Restoring | Mapping[str, Embedded] | tuple[NewUnit, ...] | None
"""What of a command is made outside its turn."""
