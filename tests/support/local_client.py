"""A BankClient whose banks live in this process, over a store in memory: real owners, real plans, no Ray."""

from typing import Any, cast

from actors.bank import Bank
from actors.client import BankClient
from actors.reader import Reader
from actors.settings import Settings
from memory.commands import Command
from memory.ids import Scope
from memory.policy import BankPolicy
from memory.records import Embedding
from storage.reference_store import ReferenceStore
from tests.support.bank_process import bank_ports
from tests.support.builders import DIM
from tests.support.local_store import LocalStore


class LocalCluster:
    """Every bank is owned here."""

    def __init__(self, **ports: Any) -> None:
        self.engine = ReferenceStore(DIM)
        self.store = LocalStore(self.engine)
        self.ports = bank_ports(self.store, **ports)
        self._banks: dict[Scope, Bank] = {}

    def bank(self, scope: Scope) -> Bank:
        return self._banks.setdefault(scope, Bank(scope, self.ports, 64))

    async def command(self, scope: Scope, command: Command) -> Any:
        return await self.bank(scope).perform(command)

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        backlog: dict[str, tuple[int, float]] = {}
        for bank in self._banks.values():
            backlog |= {stage: (pending, 1.5) for stage, (pending, _) in bank.stages.backlog.items()}
        return {"hosts": [{"backlog": backlog}, {"backlog": {}}], "shards": [{}]}


async def _no_query(text: str) -> Embedding:
    raise AssertionError("tests of recall use another client")


class LocalBankClient(BankClient):
    """Reads and writes like the real one; recall is not there."""

    def __init__(self, settings: Settings, names: tuple[str, ...] = (), **ports: Any) -> None:
        self.cluster = LocalCluster(**ports)
        self._names = names
        super().__init__(
            cast("Any", self.cluster), Reader(cast("Any", self.cluster.store), settings, _no_query), settings
        )

    @property
    def stages(self) -> tuple[str, ...]:
        return self._names


def local_client(settings: Settings, **policy: Any) -> LocalBankClient:
    """A client over banks with a policy."""
    return LocalBankClient(settings, policy=BankPolicy(**policy))


def recalling_client(settings: Settings, **ports: Any) -> BankClient:
    """A client that recalls, too: with the hash embedder, whose words have no vectors."""
    cluster = LocalCluster(**ports)
    return BankClient(cast("Any", cluster), Reader(cast("Any", cluster.store), settings), settings)
