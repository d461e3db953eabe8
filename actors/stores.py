"""Which store a deployment has: StorageShards on this machine, or a Qdrant server that every process talks to."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from actors.direct_reads import DirectReads
from actors.read_socket import own_socket_path
from actors.settings import Settings
from actors.shard_store import ShardStore
from actors.wiring import connect_server
from memory.audit_calls import ScopedStore
from memory.ids import Scope
from memory.store_calls import Request, Store

T = TypeVar("T")


class DeploymentStore(Store, ScopedStore, Protocol):
    """What processes of a deployment need of its store, each over connections of its own."""

    async def perform_each(self, requests: Sequence[tuple[Scope, Request[T]]]) -> list[T]:
        """Answers of reads of several banks, in order."""
        ...

    async def stored_spaces(self) -> frozenset[str]:
        """Vector spaces that units of any bank may have vectors of."""
        ...

    async def drop_space(self, space: str) -> None:
        """Let go of the vectors of a space in all banks; done again, it changes nothing."""
        ...

    async def ping(self, timeout_s: float) -> list[dict[str, Any]]:
        """What its parts say of themselves."""
        ...

    async def close(self) -> None:
        """Give up the connections."""
        ...


def store_of(settings: Settings, shards: Sequence[Any], space: Any) -> DeploymentStore:
    """The store port of one process, over the shards' actors or over connections of its own to the server."""
    if settings.qdrant_url:
        return connect_server(settings, space)
    return shard_store(settings, shards)


def shard_store(settings: Settings, shards: Sequence[Any]) -> ShardStore:
    """The store port over the shards' actors, and over their sockets where they are on this machine."""
    paths = [own_socket_path(settings.data, index) for index in range(len(shards))]
    return ShardStore(shards, settings.request_timeout_s, [DirectReads(path) for path in paths if path])
