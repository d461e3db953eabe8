"""Bank: one activation of a virtual actor. Prepares commands beside each other, writes them one at a time, in order."""

import asyncio
from datetime import timedelta
from typing import cast

from actors.bank_ports import Activation, BankPorts, beside_loop, take_bank
from actors.credits import Limits, size_of
from actors.lifecycle import Event, State, state_after
from actors.mending import Mender
from actors.preparing import Prepared, Preparer
from actors.turnstile import Turnstile
from memory.cascade import Cascade, FindCascade, cascaded, needs_cascade
from memory.commands import (
    Command,
    DeleteBank,
    DeleteDocument,
    DeleteReceipt,
    RepairBank,
    RepairReceipt,
    Retain,
    RetainReceipt,
    UpdateBank,
)
from memory.encoding import decode_recall_profile
from memory.errors import Conflict, InvalidRequest, NotFound
from memory.ids import Scope
from memory.ingest import (
    BankView,
    delete_receipt_of_operation,
    plan_delete_bank,
    plan_delete_document,
    plan_retain,
    plan_update_bank,
    receipt_of_operation,
)
from memory.plans import Plan
from memory.protocol import Execute
from memory.receipts import FindExpired, is_due, without_receipts
from memory.records import Head, RecallProfile, Record, RecordKind
from memory.store_calls import GetRecords, ReadHead
from memory.sweeping import scheduled

Receipt = RetainReceipt | DeleteReceipt | RepairReceipt | Head

MAILBOX_BYTES = 64 << 20
BARE_BYTES = 4096
"""What an activation takes in memory beside the names it knows; measured, rounded up."""
NAME_BYTES = 150


class Bank:
    """One bank in its owner. Plain asyncio; the host addresses it, the store holds all it must not forget."""

    __slots__ = ("_activating", "_active", "_line", "_ports", "_scope", "_state")

    def __init__(
        self, scope: Scope, ports: BankPorts, mailbox_commands: int, mailbox_bytes: int = MAILBOX_BYTES
    ) -> None:
        self._scope = scope
        self._ports = ports
        self._line = Turnstile(Limits(mailbox_commands, mailbox_bytes))
        self._state = State.ABSENT
        self._active: Activation | None = None
        self._activating: asyncio.Task[Activation] | None = None

    @property
    def state(self) -> State:
        """What this activation is doing."""
        return self._state

    @property
    def idle(self) -> bool:
        """Whether no command is waiting or running, and the bank is not just being taken."""
        return self._line.inside == 0 and self._activating is None

    @property
    def cache_bytes(self) -> int:
        """Memory that passivation gives back, roughly."""
        active = self._active
        return BARE_BYTES + NAME_BYTES * (len(active.recall_profile.speakers) if active else 0)

    def passivate(self) -> None:
        """Drop everything; nothing is written, because the store holds all of it.

        Raises:
            ValueError: commands are in flight.
        """
        if not self.idle:
            raise ValueError(f"bank {self._scope.bank!r} has commands in flight")
        self._state = state_after(self._state, Event.PASSIVATED)
        self._active = None

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
                return await self._in_turn(active, command, prepared, preparer)
            except InvalidRequest:
                raise
            except BaseException:
                # Whether the plan was committed is unknown here; the next activation reads what the store says.
                self._doubt()
                raise

    async def settle(self) -> None:
        """Take the bank, and with that apply what a former owner committed and did not settle, and sweep what is old.

        An activation that is the owner the head knows, with nothing left to settle or to sweep, stays as it is.
        """
        async with self._line.ticket().turn():
            active = self._active
            if active is not None:
                head = await self._ports.store.perform(self._scope, ReadHead())
                known = head is not None and (head.epoch, head.settled) == (active.head.epoch, active.head.settled)
                if not known or self._is_due(active.head):
                    self._doubt()
            await self._activated()

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

    def _is_due(self, head: Head) -> bool:
        return head.due_at is not None and head.due_at <= self._ports.clock.now()

    # -- outside the turn

    async def _prepare(self, preparer: Preparer, command: Command) -> Prepared | None:
        """What can be done before the turn. The bank is taken by the first command that makes sense.

        Its error ends all who wait for it here, in one go; in their turns they would each wait for it anew.
        """
        if isinstance(command, RepairBank):
            return None
        if not isinstance(command, Retain):
            await self._activated()
            return None
        drafts = await preparer.draft(command)
        active = await self._activated()
        return await preparer.prepare(command, drafts, active.head.commit)

    # -- in turn

    async def _in_turn(
        self,
        active: Activation,
        command: Retain | DeleteDocument | DeleteBank | UpdateBank,
        prepared: Prepared | None,
        preparer: Preparer,
    ) -> Receipt:
        if isinstance(command, Retain):
            return await self._retain(active, command, cast("Prepared", prepared), preparer)
        if isinstance(command, DeleteDocument):
            return await self._delete_document(active, command, preparer)
        if isinstance(command, DeleteBank):
            return await self._delete_bank(active, command)
        return await self._update_bank(active, command)

    async def _retain(
        self, active: Activation, command: Retain, prepared: Prepared, preparer: Preparer
    ) -> RetainReceipt:
        merges, operation = prepared.merges, prepared.operation
        if operation is None and prepared.commit != active.head.commit:
            documents, operations = await preparer.read(
                tuple(draft.id for draft in prepared.drafts), command.operation_id
            )
            operation = operations.get(command.operation_id)
            merges = await preparer.merge(prepared.drafts, documents)
        if operation is not None:
            _same_command(operation, "retain", command.fingerprint())
            return receipt_of_operation(command.operation_id, operation.body)
        embedded = await preparer.embed_new(merges, prepared.embedded)
        view, now = self._view(active), self._ports.clock.now()
        plan, receipt = await beside_loop(size_of(command), plan_retain, view, command, merges, embedded, now)
        await self._execute(active, plan)
        return receipt

    async def _delete_document(self, active: Activation, command: DeleteDocument, preparer: Preparer) -> DeleteReceipt:
        documents, operations = await preparer.read((command.document_id,), command.operation_id)
        if command.operation_id in operations:
            operation = operations[command.operation_id]
            _same_command(operation, "delete_document", command.document_id)
            return delete_receipt_of_operation(command.operation_id, operation.body)
        stored = documents.get(command.document_id)
        if stored is None:
            raise NotFound(f"bank {self._scope.bank!r} has no document {command.document_id!r}")
        plan, receipt = plan_delete_document(self._view(active), command, stored.document, self._ports.clock.now())
        await self._execute(active, plan)
        return receipt

    async def _delete_bank(self, active: Activation, command: DeleteBank) -> DeleteReceipt:
        plan, receipt = plan_delete_bank(self._view(active), command, self._ports.clock.now())
        if not active.head.exists:
            return receipt
        await self._execute(active, plan)
        active.recall_profile = RecallProfile()
        return receipt

    async def _update_bank(self, active: Activation, command: UpdateBank) -> Head:
        operation = await self._find_operation(command.operation_id)
        if operation is not None:
            _same_command(operation, "update_bank", command.fingerprint())
        else:
            await self._execute(active, plan_update_bank(self._view(active), command, self._ports.clock.now()))
        return active.head

    async def _find_operation(self, operation_id: str) -> Record | None:
        call = GetRecords(RecordKind.OPERATION, (operation_id,))
        return (await self._ports.store.perform(self._scope, call)).get(operation_id)

    async def _repair(self, command: RepairBank) -> RepairReceipt:
        """Take the bank anew, which settles and sweeps it, then mend what an audit finds."""
        mender = Mender(self._scope, self._ports.store, self._ports.embed, self._ports.clock)
        before = await mender.audit()
        active = await self._taken_anew(before.highest_epoch, before.highest_seq)

        async def execute(plan: Plan) -> Head:
            await self._execute(active, plan)
            return active.head

        return await mender.mend(command, active.head, before.salvage, execute)

    async def _execute(self, active: Activation, plan: Plan) -> None:
        now = self._ports.clock.now()
        if is_due(active.head) and not plan.clear:
            before = now - timedelta(seconds=self._ports.receipts_kept_s)
            plan = without_receipts(plan, await self._ports.store.perform(self._scope, FindExpired(before)))
        plan = scheduled(await self._cascaded(plan), now, self._ports.retention)
        active.head = await self._ports.store.perform(self._scope, Execute(active.head, plan, self._ports.nonce()))
        for record in plan.records:
            if record.kind is RecordKind.RECALL_PROFILE:
                active.recall_profile = decode_recall_profile(record.body)

    async def _cascaded(self, plan: Plan) -> Plan:
        """In the turn, so that what earlier plans derived is seen."""
        retired = needs_cascade(plan)
        if not retired:
            return plan
        found: Cascade = await self._ports.store.perform(self._scope, FindCascade(retired))
        return cascaded(plan, found, self._ports.clock.now())

    def _view(self, active: Activation) -> BankView:
        return BankView(self._scope, active.head, active.recall_profile)


def _same_command(operation: Record, task: str, fingerprint: str) -> None:
    if operation.body.get("task_type") != task or operation.body.get("fingerprint") != fingerprint:
        raise Conflict(f"operation id {operation.key!r} was used for another command")
