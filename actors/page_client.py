"""What callers ask of knowledge pages: their tree, and folders."""

from actors.cluster import Cluster
from memory.errors import NotFound
from memory.ids import Scope
from memory.knowledge_pages import MAX_FOLDERS, Folder, decode_folder
from memory.records import RecordKind
from memory.reflect_commands import FolderCommand
from memory.store_calls import GetRecords, ListRecords, RecordPage, Store


class PageClient:
    """Part of the door to the actors: BankClient.reflecting.pages. Raises what BankClient's methods raise."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._store: Store = cluster.store

    async def list_folders(self, scope: Scope) -> tuple[Folder, ...]:
        """All folders of a bank."""
        page: RecordPage = await self._store.perform(scope, ListRecords(RecordKind.FOLDER, MAX_FOLDERS))
        return tuple(map(decode_folder, page.records))

    async def find_folder(self, scope: Scope, folder_id: str) -> Folder | None:
        """One folder."""
        found = await self._store.perform(scope, GetRecords(RecordKind.FOLDER, (folder_id,)))
        return decode_folder(found[folder_id]) if folder_id in found else None

    async def get_folder(self, scope: Scope, folder_id: str) -> Folder:
        """One folder.

        Raises:
            NotFound: there is none of that id.
        """
        folder = await self.find_folder(scope, folder_id)
        if folder is None:
            raise NotFound(f"bank {scope.bank!r} has no folder {folder_id!r}")
        return folder

    async def change(self, scope: Scope, command: FolderCommand) -> None:
        """Make, change or delete a folder; a deleted one takes all that is in it.

        Raises:
            NotFound: there is none of that id.
            Conflict: it cannot stand there, or there are too many.
        """
        await self._cluster.command(scope, command)
