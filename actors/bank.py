"""Bank: one activation of a virtual actor. Prepares commands beside each other, writes them one at a time, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import numpy as np
from numpy.typing import NDArray

from actors.bank_ports import BankPorts
from actors.bank_sessions import BankSessions, SessionReceipt
from actors.bank_stages import BankStages, StageRunner
from actors.due_work import DueWork
from actors.mending import Mender
from actors.turns import Turn
from actors.turnstile import Turnstile
from memory.cascade import Cascade, FindCascade, cascaded, needs_cascade
from memory.commands import (
    AppendTurns,
    BeginStage,
    CancelOperation,
    Command,
    DeleteBank,
    DeleteDocument,
    DeleteOperation,
    DeleteReceipt,
    EndStage,
    OperationReceipt,
    RepairBank,
    RepairReceipt,
    Retain,
    RetainReceipt,
    RetryOperation,
    SessionCommand,
    UpdateBank,
)
from memory.drafting import DocumentDraft, draft_documents
from memory.encoding import decode_document, decode_recall_profile
from memory.errors import InvalidRequest, NotFound
from memory.healing import DAMAGED
from memory.ids import Scope
from memory.ingest import (
    RECALL_PROFILE_KEY,
    BankView,
    Embedded,
    Merge,
    merge_document,
    plan_delete_bank,
    plan_delete_document,
    plan_retain,
    plan_update_bank,
    unit_dense_text,
    unit_vectors,
)
from memory.operations import same_command
from memory.plans import Plan
from memory.policy import sooner
from memory.protocol import REOPENED_AT, Execute, Recover, TakeEpoch
from memory.receipts import delete_receipt_of_operation, receipt_of_operation
from memory.records import Document, Head, RecallProfile, Record, RecordKind, Vectors
from memory.stages import StageWork
from memory.staging import is_staged
from memory.store_calls import Batch, FindLive, GetDense, GetRecords, NewUnit, ReadHead
from memory.sweeping import scheduled

Receipt = RetainReceipt | DeleteReceipt | RepairReceipt | SessionReceipt | OperationReceipt | Head


@dataclass(slots=True)
class _Activation:
    """What the owner knows: it is the only writer, so this is what the store holds."""

    head: Head
    recall_profile: RecallProfile
    sweep_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """A document as it is stored, and which of its chunks are lost."""

    document: Document
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A retain as far as it goes outside its turn; `commit` is the head's when documents and operation were read."""

    drafts: tuple[DocumentDraft, ...]
    merges: tuple[Merge, ...]
    embedded: Mapping[str, Embedded]
    operation: Record | None
    commit: int


class Bank:
    """One bank in its owner. Plain asyncio; the host addresses it, the store holds all it must not forget."""

    def __init__(self, scope: Scope, ports: BankPorts, mailbox_commands: int) -> None:
        self._scope = scope
        self._ports = ports
        self._line = Turnstile(mailbox_commands)
        self._activation: _Activation | None = None
        self._sessions = BankSessions(scope, ports)
        self._stages = BankStages(scope, ports)
        self._due = DueWork(scope, ports, self._sessions, self._stages)
        self.stages = StageRunner(scope, ports, self.perform)

    @property
    def idle(self) -> bool:
        """Whether no command is waiting or running, and no stage."""
        return self._line.inside == 0 and not self.stages.running

    async def perform(self, command: Command) -> Receipt:
        """Do one command, once, in the order of arrival.

        Raises:
            Overloaded: too many commands of this bank are waiting.
            Conflict: the operation id belongs to another command.
            InvalidRequest: the command contradicts itself or what is stored.
            Unavailable: the store is restarting; the command may be sent again under its operation id.
            Stale: another owner has the bank, or is to have it (NotOwner); it may be sent again.
        """
        ticket = self._line.ticket()
        try:
            prepared = await self._prepare(command)
        except BaseException:
            ticket.give_back()
            raise
        async with ticket.turn():
            try:
                if isinstance(command, RepairBank):
                    return await self._repair(command)
                active = await self._activated()
                receipt = await self._in_turn(active, command, prepared)
            except InvalidRequest:
                raise
            except BaseException:
                # Whether the plan was committed is unknown here; the next activation reads what the store says.
                self._activation = None
                raise
        if self._is_staged(active):
            self.stages.wake()
        return receipt

    async def settle(self, *, work: bool = True) -> None:
        """Take the bank, and with that apply what a former owner committed and did not settle, and sweep what is old.

        Then do what is due. An activation that is the owner the head knows, with nothing left to settle and nothing
        due, stays as it is. Without `work` only what readers would notice is done: a bank with nothing to settle is not
        even taken.
        """
        async with self._line.ticket().turn():
            if not work and not await self._unsettled():
                return
            active = self._activation
            if active is not None:
                head = await self._ports.store.perform(self._scope, ReadHead())
                known = head is not None and (head.epoch, head.settled) == (active.head.epoch, active.head.settled)
                if not known or self._is_due(active.head):
                    self._activation = None
            active = await self._activated()
            if work:
                try:
                    await self._due.do(self._turn(active))
                except BaseException:
                    self._activation = None
                    raise
        if work and self._is_staged(active):
            self.stages.wake()

    async def _unsettled(self) -> bool:
        head = await self._ports.store.perform(self._scope, ReadHead())
        return head is not None and (head.settled < head.commit or head.due_at == REOPENED_AT)

    # -- activation

    async def _activated(self, above_epoch: int = 0, above_seq: int = 0) -> _Activation:
        """Take the epoch, settle what a former owner committed, load the cache."""
        if self._activation is not None:
            return self._activation
        store, scope = self._ports.store, self._scope
        await self._ports.claim(scope)
        head = await store.perform(scope, TakeEpoch(self._ports.nonce(), above_epoch, above_seq))
        nonce = self._ports.nonce()
        made: dict[str, Vectors] = {}
        now, retention = self._ports.clock.now(), self._ports.retention
        recovered = await store.perform(scope, Recover(head, nonce, now, retention))
        while recovered.needs:
            vectors = await self._ports.embed([unit_dense_text(unit) for unit in recovered.needs])
            made |= {unit.id: unit_vectors(unit, at) for unit, at in zip(recovered.needs, vectors, strict=True)}
            recovered = await store.perform(scope, Recover(recovered.head, nonce, now, retention, made))
        profile = await store.perform(scope, GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,)))
        record = profile.get(RECALL_PROFILE_KEY)
        speakers = decode_recall_profile(record.body) if record else RecallProfile()
        self._activation = _Activation(recovered.head, speakers, recovered.sweep_due)
        return self._activation

    def _is_due(self, head: Head) -> bool:
        return head.due_at is not None and head.due_at <= self._ports.clock.now()

    # -- outside the turn

    async def _prepare(self, command: Command) -> "_Ready":
        if isinstance(command, Retain):
            return await self._prepare_retain(command)
        if isinstance(command, AppendTurns):
            return await self._sessions.embed(command)
        return await self._stages.embed(command) if isinstance(command, EndStage) else None

    async def _prepare_retain(self, command: Retain) -> _Prepared:
        """Draft, read what is stored, embed what is new; nothing here depends on the order of commands."""
        drafts = draft_documents(self._scope, command, self._ports.clock.now())
        commit = self._activation.head.commit if self._activation else -1
        ids = tuple(draft.id for draft in drafts)
        documents, operations = await self._read(ids, command.operation_id)
        operation = operations.get(command.operation_id)
        if operation is not None:
            return _Prepared(drafts, (), {}, operation, commit)
        merges = self._merge(drafts, documents)
        return _Prepared(drafts, merges, await self._embed_new(merges, {}), None, commit)

    def _merge(self, drafts: Sequence[DocumentDraft], stored: Mapping[str, _Stored]) -> tuple[Merge, ...]:
        merges = []
        for draft in drafts:
            found = stored.get(draft.id)
            document, missing = (found.document, found.missing) if found else (None, frozenset[str]())
            merges.append(merge_document(self._scope, document, draft, missing))
        return tuple(merges)

    async def _read(self, ids: tuple[str, ...], operation_id: str) -> tuple[dict[str, _Stored], dict[str, Record]]:
        """What is stored of the documents and the operation; of damaged documents, which chunks are missing."""
        calls = (GetRecords(RecordKind.DOCUMENT, ids), GetRecords(RecordKind.OPERATION, (operation_id,)))
        reads: Batch[dict[str, Record]] = Batch(calls)
        found, operations = await self._ports.store.perform(self._scope, reads)
        stored = {}
        for id_, record in found.items():
            document = decode_document(id_, record.body)
            missing: frozenset[str] = frozenset()
            if record.status == DAMAGED:
                chunks = tuple(entry.unit_id for entry in document.chunks)
                missing = frozenset(chunks) - await self._ports.store.perform(self._scope, FindLive(chunks))
            stored[id_] = _Stored(document, missing)
        return stored, operations

    async def _embed_new(self, merges: Sequence[Merge], have: Mapping[str, Embedded]) -> dict[str, Embedded]:
        """Vectors of the merges' new chunks by content hash: what is at hand, else the stored one, else a new one."""
        wanted = {
            chunk.content_hash: chunk for merge in merges for _, chunk in merge.new if chunk.content_hash not in have
        }
        if not wanted:
            return dict(have)
        stored = await self._stored_vectors(merges, wanted)
        missing = [content for content in wanted if content not in stored]
        vectors = await self._ports.embed([wanted[content].dense_text for content in missing])
        dense = stored | dict(zip(missing, vectors, strict=True))
        tokens = self._ports.tokenizer.count([chunk.text for chunk in wanted.values()])
        made = {content: Embedded(dense[content], count) for content, count in zip(wanted, tokens, strict=True)}
        return {**have, **made}

    async def _stored_vectors(
        self, merges: Sequence[Merge], wanted: Mapping[str, object]
    ) -> dict[str, NDArray[np.float32]]:
        """A chunk whose text stays and whose tags or speaker change is a new unit with the old vector."""
        units = {
            entry.unit_id: entry.content_hash
            for merge in merges
            for entry in merge.retired
            if entry.content_hash in wanted
        }
        if not units:
            return {}
        found = await self._ports.store.perform(self._scope, GetDense(tuple(units)))
        return {units[unit]: vector for unit, vector in found.items()}

    # -- in turn

    async def _in_turn(self, active: _Activation, command: Command, ready: "_Ready") -> Receipt:
        if isinstance(command, Retain):
            return await self._retain(active, command, cast("_Prepared", ready))
        if isinstance(command, DeleteDocument):
            return await self._delete_document(active, command)
        if isinstance(command, DeleteBank):
            return await self._delete_bank(active, command)
        if isinstance(command, UpdateBank):
            return await self._update_bank(active, command)
        turn = self._turn(active)
        if isinstance(command, BeginStage):
            return await self._stages.begin(command, turn)
        if isinstance(command, EndStage):
            return await self._stages.end(command, turn, cast("tuple[NewUnit, ...]", ready))
        if isinstance(command, (CancelOperation, RetryOperation, DeleteOperation)):
            return await self._stages.follow(command, turn)
        return await self._sessions.perform(
            cast("SessionCommand", command), turn, cast("Mapping[str, Embedded]", ready or {})
        )

    async def _retain(self, active: _Activation, command: Retain, prepared: _Prepared) -> RetainReceipt:
        merges, operation = prepared.merges, prepared.operation
        if operation is None and prepared.commit != active.head.commit:
            ids = tuple(draft.id for draft in prepared.drafts)
            documents, operations = await self._read(ids, command.operation_id)
            operation = operations.get(command.operation_id)
            merges = self._merge(prepared.drafts, documents)
        if operation is not None:
            same_command(operation, "retain", command.fingerprint())
            return receipt_of_operation(command.operation_id, operation.body)
        embedded = await self._embed_new(merges, prepared.embedded)
        works = await self._works(active, tuple(merge.document_id for merge in merges))
        plan, receipt = plan_retain(self._view(active), command, merges, embedded, self._ports.clock.now(), works)
        await self._execute(active, plan)
        return receipt

    async def _delete_document(self, active: _Activation, command: DeleteDocument) -> DeleteReceipt:
        documents, operations = await self._read((command.document_id,), command.operation_id)
        if command.operation_id in operations:
            operation = operations[command.operation_id]
            same_command(operation, "delete_document", command.document_id)
            return delete_receipt_of_operation(command.operation_id, operation.body)
        stored = documents.get(command.document_id)
        if stored is None:
            raise NotFound(f"bank {self._scope.bank!r} has no document {command.document_id!r}")
        work = (await self._works(active, (command.document_id,))).get(command.document_id)
        now = self._ports.clock.now()
        plan, receipt = plan_delete_document(self._view(active), command, stored.document, now, work)
        await self._execute(active, plan)
        return receipt

    async def _delete_bank(self, active: _Activation, command: DeleteBank) -> DeleteReceipt:
        plan, receipt = plan_delete_bank(self._view(active), command, self._ports.clock.now())
        if not active.head.exists:
            return receipt
        await self._execute(active, plan)
        active.recall_profile = RecallProfile()
        return receipt

    async def _update_bank(self, active: _Activation, command: UpdateBank) -> Head:
        await self._execute(active, plan_update_bank(self._view(active), command, self._ports.clock.now()))
        return active.head

    async def _repair(self, command: RepairBank) -> RepairReceipt:
        """Take the bank anew, which settles and sweeps it, then mend what an audit finds."""
        mender = Mender(self._scope, self._ports.store, self._ports.embed, self._ports.clock)
        before = await mender.audit()
        self._activation = None
        active = await self._activated(before.highest_epoch, before.highest_seq)

        async def execute(plan: Plan) -> Head:
            await self._execute(active, plan)
            return active.head

        return await mender.mend(command, active.head, before.salvage, execute)

    async def _execute(self, active: _Activation, plan: Plan) -> None:
        now, retention = self._ports.clock.now(), self._ports.retention
        plan = scheduled(await self._cascaded(plan), now, retention)
        if plan.remove:
            active.sweep_due = sooner(active.sweep_due, now + retention.tombstones)
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

    def _view(self, active: _Activation) -> BankView:
        return BankView(self._scope, active.head, active.recall_profile, self._ports.policy)

    def _turn(self, active: _Activation) -> Turn:
        return Turn(lambda: self._view(active), lambda: active.sweep_due, lambda plan: self._execute(active, plan))

    def _is_staged(self, active: _Activation) -> bool:
        return is_staged(active.head, self._ports.policy)

    async def _works(self, active: _Activation, ids: tuple[str, ...]) -> dict[str, StageWork]:
        return await self._stages.works(ids) if self._is_staged(active) else {}


_Ready = _Prepared | Mapping[str, Embedded] | tuple[NewUnit, ...] | None
"""What of a command is made outside its turn."""
