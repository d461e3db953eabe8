"""A deployment in this process whose model can be changed: real banks, reader, record and job; no Ray."""

from pathlib import Path
from typing import Any, cast

from actors.bank import Bank
from actors.reader import Reader
from actors.reembed_client import ReembedClient
from actors.settings import Settings
from actors.spaces import SpacesWatch, embed_in, fill_page
from actors.tasks import embed_here
from jobs import reembed
from memory.audit_calls import ScopePage
from memory.commands import Command
from memory.errors import Unavailable
from memory.ids import Scope
from memory.records import Embedding
from memory.spaces import Filled, FillPage
from memory.store_calls import WriteRecords
from memory.upkeep_calls import DropVectors, FindUnembedded
from storage.directory import Space, prepare_directory, shard_path
from tests.support.bank_process import bank_ports
from tests.support.builders import DIM
from tests.support.local_store import LocalStore


class Killed(BaseException):
    """The job ends here."""


class _Store(LocalStore):
    """`kill_at`: the job dies before the nth of the requests that a drop makes from now on."""

    kill_at = 0

    async def perform(self, scope: Scope, request: Any) -> Any:
        if isinstance(request, DropVectors | WriteRecords | FindUnembedded):
            self._live_on()
        return await super().perform(scope, request)

    async def drop_space(self, space: str) -> None:
        self._live_on()
        await super().drop_space(space)

    def _live_on(self) -> None:
        self.kill_at -= 1
        if self.kill_at == 0:
            raise Killed

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        return self.engine.list_scopes(start, limit)


class Deployment:
    """Every bank is owned here. `kill_at`: the job dies before its nth page; if negative, after it."""

    def __init__(self, engine: Any, data: Path) -> None:
        prepare_directory(data, 1, Space(f"hash/{DIM}", DIM))
        shard_path(data, 0).mkdir(exist_ok=True)
        self.settings = Settings(embedder="hash", embedding_dim=DIM, data=data, recall_profile_ttl_s=0.001)
        self.store = _Store(engine)
        self.watch = SpacesWatch(cast("Any", self.store))
        self.reader = Reader(cast("Any", self.store), self.settings)
        self.client = ReembedClient(cast("Any", self), self.settings)
        self.kill_at = 0
        self.pages = 0
        self.embedded: list[str] = []
        self.broken_dim = 0
        """The model of that many dimensions does not answer."""
        self._banks: dict[Scope, Bank] = {}

    async def command(self, scope: Scope, command: Command) -> Any:
        if scope not in self._banks:
            ports = bank_ports(self.store, scope.bank, embed=self._embed, spaces=self.watch.written)
            self._banks[scope] = Bank(scope, ports, 64)
        return await self._banks[scope].perform(command)

    async def _embed(self, texts: list[str]) -> list[Embedding]:
        return await embed_in(self.settings, await self.watch.current(), list(texts), self._model)

    async def _model(self, settings: Settings, texts: list[str]) -> list[Embedding]:
        if settings.embedding_dim == self.broken_dim:
            raise Unavailable("the endpoint does not answer", 0.01)
        self.embedded += [f"{settings.embedding_dim}: {text}" for text in texts]
        return embed_here(settings, texts)

    async def fill(self, scope: Scope, page: FillPage) -> Filled:
        self.pages += 1
        if self.kill_at == self.pages:
            raise Killed
        spaces = await self.watch.current()
        filled = await fill_page(cast("Any", self.store), self.settings, spaces, scope, page, self._model)
        if self.kill_at == -self.pages:
            raise Killed
        return filled

    async def follow_spaces(self) -> None:
        await self.watch.refresh()

    async def job(self, *given: str) -> dict[str, Any]:
        return await reembed.reembed(self.client, reembed._parser().parse_args(given))
