"""A data directory in this process, without Ray: the same store calls, and banks whose owner lives here."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from uuid import uuid4

from actors.bank import Bank
from actors.bank_ports import BankPorts
from actors.clocks import SystemClock
from actors.data_lock import DataLock
from actors.settings import Settings, retention_of
from actors.shard_paging import joined, resume
from actors.wiring import ShardEngine, build_embedder, build_tokenizer, open_shard, run, stored_space
from memory.audit_calls import ScopePage, Stray
from memory.commands import RepairBank, RepairReceipt
from memory.errors import BadSettings, StoreLocked
from memory.ids import BUCKETS, SYSTEM, Scope
from memory.leftovers import FindLeftovers
from memory.ports import Embedder
from memory.protocol import Recover, TakeEpoch
from memory.records import Embedding, RecordKind
from memory.spaces import SPACES_KEY, Spaces, spaces_of
from memory.store_calls import Call, GetRecords, Request, Store

T = TypeVar("T")
PATIENCE_S = 10.0
"""How long whoever holds the directory may take to go."""
EMBEDDED_TEXTS = 32
SCOPES_PAGE = 256


class OfflineStore:
    """Context manager that holds a data directory and answers for its store. No server runs on it meanwhile."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shards: list[ShardEngine] = []
        self._closing = ExitStack()
        self._embedder: Embedder | None = None
        self._name = ""
        self.dim = 0
        """Length of its sentence vectors."""

    def __enter__(self) -> Self:
        """Lock and open the directory, which is there.

        Raises:
            StoreLocked: a server, or another of these, holds it.
            BadSettings, SchemaMismatch, StoreDamaged: it is none, or cannot be read.
        """
        data = self._settings.data
        shards, space = stored_space(data)
        with ExitStack() as opened:
            try:
                opened.enter_context(DataLock(data, PATIENCE_S))
            except StoreLocked as exc:
                raise StoreLocked(f"{exc}; to ask the server that runs on it, leave --data out") from exc
            for index in range(shards):
                shard = open_shard(self._settings, index, space)
                opened.callback(shard.close)
                self._shards.append(shard)
            self._closing = opened.pop_all()
        self._name, self.dim = space.embedder, space.dim
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shards.clear()
        self._closing.close()

    async def repair_bank(self, scope: Scope, command: RepairBank) -> RepairReceipt:
        """Settle and sweep a bank and mend what can be mended.

        Raises:
            BadSettings: the embedder of the settings is not the one the directory was made with.
            StoreDamaged: a commit cannot be applied.
        """
        store = cast("Store", self)  # a bank asks nothing of its store but to perform
        tokenizer, retention = build_tokenizer(), retention_of(self._settings)
        ports = BankPorts(
            store, self._embed, tokenizer, SystemClock(), lambda: uuid4().hex, retention, spaces=self._asked
        )
        receipt = await Bank(scope, ports, mailbox_commands=1).perform(command)
        assert isinstance(receipt, RepairReceipt)
        return receipt

    async def sweep(self) -> int:
        """Let go of everything removed, whatever its age: no former owner is left to write it. Banks swept."""
        swept, start = 0, None
        while True:
            page = await self.list_scopes(start, SCOPES_PAGE)
            for scope in page.scopes:
                left = await self.perform(scope, FindLeftovers())
                if left.emptied or (left.history and not left.exists):
                    head, now = await self.perform(scope, TakeEpoch(uuid4().hex)), SystemClock().now()
                    retention = replace(retention_of(self._settings), tombstones=timedelta(0))
                    recovered = await self.perform(scope, Recover(head, uuid4().hex, now, retention))
                    swept += not recovered.needs
            if (start := page.next) is None:
                return swept

    def compact(self) -> None:
        """Write every shard's files anew, without what was removed; nothing can be asked of the store after that."""
        while self._shards:
            self._shards.pop().compact()

    def spaces(self) -> Spaces:
        """Which models' vectors it holds, and which of them is asked."""
        return spaces_of(
            run(self._shard_of(SYSTEM), SYSTEM, GetRecords(RecordKind.SPACES, (SPACES_KEY,))).get(SPACES_KEY)
        )

    async def inspect(self, scope: Scope, call: Call[Any]) -> Any:
        """Answer of one reading call of the store."""
        return await self.perform(scope, call)

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Every bank of every tenant that has a head, shard after shard."""
        index, inner = resume(start)
        return joined(self._shards[index].list_scopes(inner, limit), index, len(self._shards))

    async def list_strays(self) -> tuple[Stray, ...]:
        """Points that belong to no bank with a head."""
        return tuple(stray for shard in self._shards for stray in shard.list_strays())

    async def perform(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure at the bank's shard."""
        return run(self._shard_of(scope), scope, request)

    def _shard_of(self, scope: Scope) -> ShardEngine:
        return self._shards[scope.bucket * len(self._shards) // BUCKETS]

    async def _embed(self, texts: Sequence[str]) -> list[Embedding]:
        """By the model that is asked; vectors of another that is written beside it the next pass of its job adds."""
        spaces = self.spaces()
        if self._embedder is None:
            asked = spaces.model(spaces.active)
            wanted = asked.embedder if asked else self._name
            settings = self._settings.model_copy(update=dict(asked.settings)) if asked else self._settings
            self._embedder = build_embedder(settings)
            if self._embedder.name != wanted:
                raise BadSettings(
                    f"{self._settings.data} was made with the embedder {wanted}, the settings say"
                    f" {self._embedder.name}: a repair needs the one it was made with"
                )
        made: list[Embedding] = []
        for start in range(0, len(texts), EMBEDDED_TEXTS):
            part = list(texts[start : start + EMBEDDED_TEXTS])
            made.extend(await asyncio.to_thread(self._embedder.embed_with_tokens, part))
        return [replace(one, space=spaces.active) for one in made]

    async def _asked(self) -> tuple[str, ...]:
        return (self.spaces().active,)
