"""A ServerStore behind the blocking face of the other engines, so that one suite runs over all of them."""

import asyncio
import os
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from memory.audit_calls import ScopePage, Stray
from memory.filters import AnyOf
from memory.ids import Scope
from memory.records import Unit, UnitState
from memory.store_calls import Call, HeadPage
from storage.directory import Space
from storage.query_to_client import scoped
from storage.server_client import LOCAL, ServerSettings
from storage.server_store import ServerStore
from tests.support.builders import DIM
from tests.support.qdrant_wire import QdrantWire

T = TypeVar("T")
SPACE = Space("hash", DIM)
SERVER_URL = os.environ.get("LOREBANK_QDRANT_URL", "")
"""A real server to run the suites on as well; without it, the client's own engine stands for one."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One loop in a thread of its own for all engines, so that they can be waited for inside other loops."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="engines", daemon=True).start()
    return loop


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to, from any thread but the loop's own."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()


class ServerEngine:
    """Every call is waited for."""

    def __init__(self, settings: ServerSettings, space: Space = SPACE, **http: Any) -> None:
        self.store = wait_for(self._made(settings, space, http))

    async def _made(self, settings: ServerSettings, space: Space, http: dict[str, Any]) -> ServerStore:
        return ServerStore(settings, space, **http)

    def open(self) -> None:
        wait_for(self.store.open())

    def call(self, scope: Scope, call: Call[T]) -> T:
        return wait_for(self.store.call(scope, call))

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        return wait_for(self.store.list_heads(tenant, limit, offset))

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        return wait_for(self.store.list_due(now, limit))

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        return wait_for(self.store.find_unit(tenant, unit_id))

    def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        return wait_for(self.store.list_scopes(start, limit))

    def list_strays(self) -> tuple[Stray, ...]:
        return wait_for(self.store.list_strays())

    def stored_spaces(self) -> frozenset[str]:
        return wait_for(self.store.stored_spaces())

    def drop_space(self, space: str) -> None:
        wait_for(self.store.drop_space(space))

    def count_operation(self) -> None:
        """Nothing to do: what a server lost is the server's to say."""

    def flush(self) -> None:
        """Nothing to do: an acknowledged write is the server's to keep."""

    def pending_units(self, scope: Scope) -> set[str]:
        """Ids of units no read shows."""
        self.open()
        units = self.store._engines.writes._units
        where = scoped(scope, AnyOf("state", (UnitState.PENDING.value,)))
        found, _ = wait_for(units.scroll(scope.bucket, where, 10_000, payload=False))
        return {str(record.id) for record in found}

    def drop(self) -> None:
        """Remove both collections from the server."""
        for collection in vars(self.store._engines.writes).values():
            if hasattr(collection, "name"):
                wait_for(self.store._client.delete_collection(collection.name))

    def close(self) -> None:
        wait_for(self.store.close())


@contextmanager
def local_engine() -> Iterator[ServerEngine]:
    """The client's own engine, empty: it scans whatever it holds in Python, so that small ones are fast ones."""
    engine = ServerEngine(ServerSettings(LOCAL))
    yield engine
    engine.close()


@contextmanager
def real_engine() -> Iterator[ServerEngine]:
    """A real server, in collections of this run, which are dropped after it."""
    key = os.environ.get("LOREBANK_QDRANT_API_KEY", "")
    engine = ServerEngine(ServerSettings(SERVER_URL, key, prefix=f"lorebank-test-{uuid.uuid4().hex[:12]}"))
    try:
        engine.open()
        yield engine
    finally:
        if engine.store._engines is not None:
            engine.drop()
        engine.close()


@contextmanager
def wired_engine(wire: QdrantWire, **settings: Any) -> Iterator[ServerEngine]:
    """The store over a stand-in for a server, through the client's real HTTP path."""
    settings = {"prefix": "wired", "timeout_s": 5.0} | settings
    engine = ServerEngine(ServerSettings("http://qdrant.invalid:6333", **settings), transport=wire.transport)
    yield engine
    engine.close()
