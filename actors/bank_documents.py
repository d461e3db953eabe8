"""Documents of one bank in its owner, and the bank as a whole: retains, removals and changes of its profile."""

from typing import cast

from actors.bank_ports import BankPorts, beside_loop
from actors.bank_restore import BankRestore, Restoring
from actors.bank_retention import BankRetention
from actors.bank_stages import BankStages
from actors.credits import size_of
from actors.preparing import Prepared, Preparer
from actors.turns import Turn
from memory.commands import DeleteBank, DeleteDocument, DeleteReceipt, Retain, RetainReceipt, UpdateBank
from memory.errors import NotFound
from memory.ids import Scope
from memory.ingest import plan_delete_bank, plan_delete_document, plan_retain, plan_update_bank
from memory.operations import same_command
from memory.receipts import delete_receipt_of_operation, receipt_of_operation
from memory.records import Head, RecordKind
from memory.restore_commands import (
    BeginRestore,
    MovingCommand,
    RestoreReceipt,
    RestoreSlice,
    RetentionReceipt,
    SweepPast,
)
from memory.stages import StageWork
from memory.staging import is_staged
from memory.store_calls import GetRecords

DocumentCommand = Retain | DeleteDocument | DeleteBank | UpdateBank | MovingCommand


class BankDocuments:
    """Performs commands whose turn has come; `preparer` is the one that worked for the command before its turn."""

    __slots__ = ("_ports", "_scope", "_stages", "restore")

    def __init__(self, scope: Scope, ports: BankPorts, stages: BankStages) -> None:
        self._scope = scope
        self._ports = ports
        self._stages = stages
        self.restore = BankRestore(scope, ports)

    async def perform(
        self, command: DocumentCommand, turn: Turn, prepared: Prepared | Restoring | None, preparer: Preparer
    ) -> RetainReceipt | DeleteReceipt | RestoreReceipt | RetentionReceipt | Head:
        """Do one command in its turn."""
        if isinstance(command, (BeginRestore, RestoreSlice)):
            return await self.restore.perform(command, turn, cast("Restoring", prepared))
        if isinstance(command, SweepPast):
            return await BankRetention(self._scope, self._ports).perform(command, turn)
        if isinstance(command, Retain):
            return await self._retain(command, turn, cast("Prepared", prepared), preparer)
        if isinstance(command, DeleteDocument):
            return await self._delete_document(command, turn, preparer)
        if isinstance(command, DeleteBank):
            return await self._delete_bank(command, turn)
        return await self._update_bank(command, turn)

    async def _retain(self, command: Retain, turn: Turn, prepared: Prepared, preparer: Preparer) -> RetainReceipt:
        merges, operation = prepared.merges, prepared.operation
        if operation is None and prepared.commit != turn.view().head.commit:
            ids = tuple(draft.id for draft in prepared.drafts)
            documents, operations = await preparer.read(ids, command.operation_id)
            operation = operations.get(command.operation_id)
            merges = await preparer.merge(prepared.drafts, documents)
        if operation is not None:
            same_command(operation, "retain", command.fingerprint())
            return receipt_of_operation(command.operation_id, operation.body)
        embedded = await preparer.embed_new(merges, prepared.embedded)
        works = await self._works(turn, tuple(merge.document_id for merge in merges))
        view, now = turn.view(), self._ports.clock.now()
        plan, receipt = await beside_loop(size_of(command), plan_retain, view, command, merges, embedded, now, works)
        await turn.execute(plan)
        return receipt

    async def _delete_document(self, command: DeleteDocument, turn: Turn, preparer: Preparer) -> DeleteReceipt:
        documents, operations = await preparer.read((command.document_id,), command.operation_id)
        if command.operation_id in operations:
            operation = operations[command.operation_id]
            same_command(operation, "delete_document", command.document_id)
            return delete_receipt_of_operation(command.operation_id, operation.body)
        stored = documents.get(command.document_id)
        if stored is None:
            raise NotFound(f"bank {self._scope.bank!r} has no document {command.document_id!r}")
        work = (await self._works(turn, (command.document_id,))).get(command.document_id)
        now = self._ports.clock.now()
        plan, receipt = plan_delete_document(turn.view(), command, stored.document, now, work)
        await turn.execute(plan)
        return receipt

    async def _delete_bank(self, command: DeleteBank, turn: Turn) -> DeleteReceipt:
        plan, receipt = plan_delete_bank(turn.view(), command, self._ports.clock.now())
        if turn.view().head.exists:
            await turn.execute(plan)
        return receipt

    async def _update_bank(self, command: UpdateBank, turn: Turn) -> Head:
        call = GetRecords(RecordKind.OPERATION, (command.operation_id,))
        operation = (await self._ports.store.perform(self._scope, call)).get(command.operation_id)
        if operation is not None:
            same_command(operation, "update_bank", command.fingerprint())
        else:
            await turn.execute(plan_update_bank(turn.view(), command, self._ports.clock.now()))
        return turn.view().head

    async def _works(self, turn: Turn, ids: tuple[str, ...]) -> dict[str, StageWork]:
        return await self._stages.works(ids) if is_staged(turn.view().head, self._ports.policy) else {}
