"""Folders of a bank's knowledge pages, in its owner."""

from actors.bank_ports import BankPorts
from actors.bank_stages import BankStages
from actors.turns import Turn
from memory.commands import OperationReceipt
from memory.errors import NotFound
from memory.ids import Scope
from memory.knowledge_pages import FOLDERS, MAX_FOLDERS, Folder, decode_folder
from memory.page_plans import plan_delete_folder, plan_put_folder
from memory.records import RecordKind
from memory.reflect_commands import DeleteFolder, FolderCommand
from memory.store_calls import ListRecords, RecordPage


class BankFolders:
    """Performs commands whose turn has come."""

    __slots__ = ("_ports", "_scope", "_stages")

    def __init__(self, scope: Scope, ports: BankPorts, stages: BankStages) -> None:
        self._scope = scope
        self._ports = ports
        self._stages = stages

    async def perform(self, command: FolderCommand, turn: Turn) -> OperationReceipt:
        """Make, change or delete a folder in its turn.

        Raises:
            NotFound: there is none of that id.
            Conflict: it cannot stand there, or the bank has too many.
        """
        view, now = turn.view(), self._ports.clock.now()
        folders = await self._folders(view.head.counters.get(FOLDERS, 0))
        done = await self._stages.was_done(command.operation_id)
        if isinstance(command, DeleteFolder):
            if command.folder_id in folders:
                await turn.execute(plan_delete_folder(view, command, folders, await turn.models(), now))
            elif not done:
                raise NotFound(f"bank {self._scope.bank!r} has no folder {command.folder_id!r}")
            return OperationReceipt(command.folder_id, "deleted")
        if not done:
            await turn.execute(plan_put_folder(view, command, folders, now))
        return OperationReceipt(command.folder_id, "stored")

    async def _folders(self, count: int) -> dict[str, Folder]:
        if not count:
            return {}
        listed = ListRecords(RecordKind.FOLDER, MAX_FOLDERS)
        page: RecordPage = await self._ports.store.perform(self._scope, listed)
        return {folder.id: folder for folder in map(decode_folder, page.records)}
