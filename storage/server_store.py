"""The store port on a Qdrant server or cluster: any number of processes use it at once, and none of them owns it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from qdrant_client import AsyncQdrantClient
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from memory.audit_calls import ScopePage, Stray
from memory.errors import DeadlineExceeded, LorebankError, Overloaded, Unavailable
from memory.ids import Scope
from memory.protocol import Execute, Recover, TakeEpoch
from memory.records import Unit
from memory.store_calls import Call, HeadPage, Request
from storage.directory import Space
from storage.edge_writes import WRITES
from storage.run import run_async
from storage.server_audit import AuditCall, ServerAudit
from storage.server_client import ServerSettings, connect
from storage.server_errors import translate_client
from storage.server_reads import ServerReads
from storage.server_schema import install
from storage.server_spaces import ServerSpaces
from storage.server_writes import ServerWrites

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Engines:
    reads: ServerReads
    writes: ServerWrites
    audit: ServerAudit
    spaces: ServerSpaces


class ServerStore:
    """Implements memory.store_calls.Store. The collections are made, or checked, before the first request.

    Reads are retried while the server is unreachable; writes are not, because what they stand on must be read again
    first. Every method raises Unavailable, Overloaded or DeadlineExceeded where the server does not answer, and
    OperatorAction's children where it refuses (storage.server_errors).
    """

    def __init__(self, settings: ServerSettings, space: Space, **http: Any) -> None:
        self._settings = settings
        self._space = space
        self._client: AsyncQdrantClient = connect(settings, **http)
        self._opening = asyncio.Lock()
        self._engines: _Engines | None = None

    async def open(self) -> None:
        """Make or check the collections, if that has not happened yet.

        Raises:
            BadSettings: they were made with another embedder, the server is too old or wants another key.
            SchemaMismatch: they are of a newer schema version.
        """
        await self._opened()

    async def ping(self, timeout_s: float) -> list[dict[str, Any]]:
        """What the server says of itself, and how this deployment's collections are.

        Raises:
            RetryLater: it does not answer, or not in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                engines = await self._opened()
                return [await _guarded(part.describe) for part in engines.reads.collections]
        except TimeoutError as exc:
            raise DeadlineExceeded(f"the Qdrant server does not answer within {timeout_s} s") from exc

    async def close(self) -> None:
        """Give up the connections."""
        await _guarded(self._client.close)

    async def perform(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure.

        Raises:
            DeadlineExceeded: it took too long; a write may or may not have happened.
            Overloaded: the server took none of a read. A write it refused may have begun: that is Unavailable.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await run_async(self, scope, request)
        except Overloaded as exc:
            if not isinstance(request, (*WRITES, TakeEpoch, Execute, Recover)):
                raise
            raise Unavailable(f"a write was not finished: {exc}", exc.retry_after_s) from exc
        except TimeoutError as exc:
            raise DeadlineExceeded(f"the store did not finish within {self._settings.timeout_s} s") from exc

    async def perform_each(self, requests: Sequence[tuple[Scope, Request[T]]]) -> list[T]:
        """Answers of reads of several banks, in order; all are under way at once.

        Raises:
            DeadlineExceeded, Overloaded, Unavailable: one of them was not answered.
        """
        return list(await asyncio.gather(*(self.perform(scope, request) for scope, request in requests)))

    async def call(self, scope: Scope, call: Call[T]) -> T:
        """One call on one bank.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length, or an id is none.
        """
        engines = await self._opened()
        if isinstance(call, WRITES):
            return cast("T", await _guarded(lambda: engines.writes.perform(scope, call)))
        if isinstance(call, AuditCall):
            return cast("T", await self._retried(lambda: engines.audit.perform(scope, call)))
        return cast("T", await self._retried(lambda: engines.reads.perform(scope, call)))

    async def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks that exist, by name."""
        reads = (await self._opened()).reads
        return await self._retried(lambda: reads.list_heads(tenant, limit, offset))

    async def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`."""
        reads = (await self._opened()).reads
        return await self._retried(lambda: reads.list_due(now, limit))

    async def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        reads = (await self._opened()).reads
        return await self._retried(lambda: reads.find_unit(tenant, unit_id))

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Every bank of every tenant that has a head."""
        audit = (await self._opened()).audit
        return await self._retried(lambda: audit.list_scopes(start, limit))

    async def list_strays(self) -> tuple[Stray, ...]:
        """Points that belong to no bank with a head."""
        audit = (await self._opened()).audit
        return await self._retried(audit.list_strays)

    async def stored_spaces(self) -> frozenset[str]:
        """Spaces that units may have vectors of."""
        engines = await self._opened()
        return await self._retried(engines.spaces.all)

    async def drop_space(self, space: str) -> None:
        """Let go of the vectors of a space in all banks; done again, it changes nothing.

        Token vectors are in payloads: those go by DropVectors.
        """
        engines = await self._opened()
        await _guarded(lambda: engines.spaces.drop(space))

    async def _opened(self) -> _Engines:
        if self._engines is None:
            async with self._opening:
                if self._engines is None:
                    # Safe to repeat whatever the caller wants next: every step makes sure of one thing.
                    units, records, dim = await self._retried(
                        lambda: install(self._client, self._settings, self._space)
                    )
                    spaces = ServerSpaces(units, dim)
                    reads, writes = ServerReads(units, records, spaces), ServerWrites(units, records, spaces)
                    self._engines = _Engines(reads, writes, ServerAudit(units, records), spaces)
        return self._engines

    async def _retried(self, read: Callable[[], Awaitable[T]]) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(self._settings.timeout_s),
            wait=wait_exponential_jitter(initial=0.05, max=1.0),
            reraise=True,
        )
        return await retrying(_guarded, read)


async def _guarded(action: Callable[[], Awaitable[T]]) -> T:
    try:
        return await action()
    except LorebankError:
        raise
    except Exception as exc:
        raise translate_client(exc) from exc
