"""The store port over the StorageShard actors: each bank's bucket says which of them holds it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

from actors.calls import ask
from actors.direct_reads import DirectReads
from actors.group_commit import GroupCommit
from actors.retrying import until_available
from actors.shard_paging import joined, resume
from memory.audit_calls import ScopePage, Stray
from memory.errors import Unavailable
from memory.ids import BUCKETS, Scope, bucket_of_id
from memory.protocol import Execute, Recover, TakeEpoch
from memory.records import Unit
from memory.store_calls import HeadPage, Request, WriteRecords
from memory.upkeep_calls import AddVectors, DropVectors

T = TypeVar("T")


class ShardStore:
    """Forwards to the shard that owns the bank. Reads are retried while a shard restarts; writes are the owner's.

    `direct`, one for each shard: how reads go where the shard is on this machine.
    """

    def __init__(self, shards: Sequence[Any], timeout_s: float, direct: Sequence[DirectReads] = ()) -> None:
        self._shards = shards
        self._direct = direct
        self._timeout_s = timeout_s
        self._groups = [
            GroupCommit(partial(self._ask, timeout_s, shard.perform), partial(self._ask, timeout_s, shard.perform_many))
            for shard in shards
        ]

    async def perform(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure at the bank's shard."""
        index = scope.bucket * len(self._shards) // BUCKETS
        if isinstance(request, (TakeEpoch, Execute, Recover, AddVectors, DropVectors)):
            return cast("T", await self._groups[index].perform(scope, request))
        if self._direct and not isinstance(request, WriteRecords):  # a write, but guarded: it may be sent again
            with suppress(Unavailable):  # then Ray may reach it, and waits for it
                return await self._direct[index].perform(scope, request, self._timeout_s)
        return cast("T", await self._read(self._shards[index].perform, scope, request))

    async def perform_each(self, requests: Sequence[tuple[Scope, Request[T]]]) -> list[T]:
        """Answers of reads of several banks, in order: one message to each shard that holds some, all at once."""
        parts: dict[int, list[int]] = {}
        for place, (scope, _) in enumerate(requests):
            parts.setdefault(scope.bucket * len(self._shards) // BUCKETS, []).append(place)
        asked = [
            self._read(self._shards[index].read_many, [requests[place] for place in places])
            for index, places in parts.items()
        ]
        answers: dict[int, T] = {}
        for places, found in zip(parts.values(), await asyncio.gather(*asked), strict=True):
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(requests))]

    async def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks over all shards, by name."""
        pages = await asyncio.gather(
            *(self._read(shard.list_heads, tenant, offset + limit, 0) for shard in self._shards)
        )
        banks = sorted((bank for page in pages for bank in page.banks), key=lambda bank: bank[0])
        return HeadPage(tuple(banks[offset : offset + limit]), sum(page.total for page in pages))

    async def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks of all shards whose head is due, at most `limit` of each shard."""
        found = await asyncio.gather(*(self._read(shard.list_due, now, limit) for shard in self._shards))
        return tuple(scope for scopes in found for scope in scopes)

    async def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id; ids that are none of ours are not found."""
        try:
            bucket = bucket_of_id(unit_id)
        except ValueError:
            return None
        shard = self._shards[bucket * len(self._shards) // BUCKETS]
        found = await self._read(shard.find_unit, tenant, unit_id)
        return cast("tuple[Scope, Unit] | None", found)

    async def ping(self, timeout_s: float) -> list[dict[str, Any]]:
        """What each shard says of itself.

        Raises:
            RetryLater: one of them does not answer.
        """
        return list(
            await asyncio.gather(*(ask(shard.ping.remote(), timeout_s, "storage shard") for shard in self._shards))
        )

    async def stored_spaces(self) -> frozenset[str]:
        """Spaces that units of any shard may have vectors of."""
        found = await asyncio.gather(*(self._read(shard.stored_spaces) for shard in self._shards))
        return frozenset[str]().union(*found)

    async def drop_space(self, space: str) -> None:
        """Let go of the vectors of a space in all shards; done again, it changes nothing.

        Raises:
            RetryLater: one of them does not answer.
        """
        asked = (self._ask(self._timeout_s, shard.drop_space, space) for shard in self._shards)
        await asyncio.gather(*asked)

    async def close(self) -> None:
        """Give up connections; the shards are actors of their own."""
        for direct in self._direct:
            direct.close()

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Every bank that has a head, shard after shard."""
        index, inner = resume(start)
        return joined(await self._read(self._shards[index].list_scopes, inner, limit), index, len(self._shards))

    async def list_strays(self) -> tuple[Stray, ...]:
        """Points of all shards whose bank has no head where they are."""
        found = await asyncio.gather(*(self._read(shard.list_strays) for shard in self._shards))
        return tuple(stray for strays in found for stray in strays)

    async def _read(self, method: Any, *args: Any) -> Any:
        return await until_available(self._timeout_s, lambda left_s: self._ask(left_s, method, *args))

    async def _ask(self, timeout_s: float, method: Any, *args: Any) -> Any:
        return await ask(method.remote(*args), timeout_s, "store")
