"""Ownership: which banks a host may take. By the stored ring, and only the last process that has the host's name.

Ray can run two processes of one named actor at once, for as long as a machine it gave up lives on. The store keeps
both from harm by epochs; this keeps them from taking the bank from each other again and again.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from actors.placement import RING_KEY, Ring, decode_ring, owner_of
from memory.errors import NotOwner, Unavailable
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind
from memory.store_calls import GetRecords, Store, WriteRecords

log = logging.getLogger("lorebank.ownership")


@dataclass(frozen=True, slots=True)
class _Registered:
    """The last process that took a host's name: `number` grows with each, `nonce` tells two of one number apart."""

    number: int
    nonce: str


class Ownership:
    """One process's claim to the banks of a host's name. `superseded` is called when a later process has the name."""

    def __init__(self, name: str, store: Store, nonce: str, superseded: Callable[[], None]) -> None:
        self._name = name
        self._store = store
        self._nonce = nonce
        self._superseded = superseded
        self._ring: Ring | None = None
        self._registering = asyncio.Lock()
        self._registered = False

    async def check(self, scope: Scope, ring_version: int = 0) -> None:
        """See that the bank is this host's, by the ring in memory unless the caller knows a newer one.

        Raises:
            NotOwner: it is another's; the error carries the version of the ring that says so.
        """
        if self._ring is None or ring_version > self._ring.version:
            await self.refresh()
        self._refuse_others(scope)

    async def claim(self, scope: Scope) -> None:
        """See by the store, not by memory, that the bank may be taken now.

        Raises:
            NotOwner: it belongs to another host, or this host's name to a later process.
        """
        await self.refresh()
        self._refuse_others(scope)

    async def refresh(self) -> None:
        """Read the ring, and whether the name is still this process's.

        Raises:
            NotOwner: a later process has the name.
            Unavailable: there is no ring yet.
        """
        async with self._registering:
            if not self._registered:
                await self._register()
        registered = await self._read()
        if registered.nonce != self._nonce:
            log.error("%s: a later process has this name; this one ends", self._name)
            self._superseded()
            raise NotOwner(f"{self._name} was replaced", self._ring.version if self._ring else 0)

    def owns(self, scope: Scope) -> bool:
        """Whether the ring in memory gives the bank to this host."""
        return self._ring is not None and owner_of(self._ring, scope) == self._name

    def _refuse_others(self, scope: Scope) -> None:
        if not self.owns(scope):
            version = self._ring.version if self._ring else 0
            raise NotOwner(f"{self._name} does not own bank {scope.bank!r}", version)

    async def _register(self) -> None:
        number = (await self._read()).number + 1
        body = {"number": number, "nonce": self._nonce}
        await self._store.perform(SYSTEM, WriteRecords((Record(RecordKind.RING, self._key, body, seq=number),)))
        self._registered = True

    async def _read(self) -> _Registered:
        found = await self._store.perform(SYSTEM, GetRecords(RecordKind.RING, (RING_KEY, self._key)))
        if RING_KEY not in found:
            raise Unavailable("there is no ring yet")
        self._ring = decode_ring(found[RING_KEY].body)
        return _Registered(**found[self._key].body) if self._key in found else _Registered(0, "")

    @property
    def _key(self) -> str:
        return f"host:{self._name}"
