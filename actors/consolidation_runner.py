"""Has the batches of a bank's consolidation decided, outside its turn."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from actors.bank_ports import BankPorts
from actors.woken_task import WokenTask
from memory.commands import Command
from memory.consolidating.commands import Batch, ConsolidationReceipt, EndBatch, TakeBatch
from memory.ids import Scope
from memory.ingest import unit_dense_text, unit_vectors
from memory.records import Unit
from memory.store_calls import NewUnit

DROPPED_AT_MOST = 5
"""Batches in a row that came too late, because the bank moved on, before it is looked at again later."""


class ConsolidationRunner:
    """Consolidates one bank batch by batch until nothing is left; every state it goes through is in the store."""

    __slots__ = ("_perform", "_ports", "_scope", "_task")

    def __init__(self, scope: Scope, ports: BankPorts, perform: Callable[[Command], Awaitable[object]]) -> None:
        self._scope = scope
        self._ports = ports
        self._perform = perform
        self._task = WokenTask(scope.bank, "consolidations")

    @property
    def running(self) -> bool:
        """Whether something is being consolidated."""
        return self._task.running

    def wake(self) -> None:
        """See that what is ready is consolidated."""
        if self._ports.consolidation is not None:
            self._task.wake(self._drain)

    async def rest(self) -> None:
        """Wait until nothing is being consolidated."""
        await self._task.rest()

    async def _drain(self) -> None:
        port = self._ports.consolidation
        assert port is not None
        dropped = 0
        while dropped < DROPPED_AT_MOST:
            await self._ports.stand_back()
            batch = await self._perform(TakeBatch(self._ports.nonce(), port.facts, not port.with_model))
            assert isinstance(batch, Batch)
            if not batch.pending:
                return
            edits = await port.decide(self._scope, batch)
            if edits.failed and not edits.final:
                return  # the bank stays due
            new = await self._embedded([put.unit for put in edits.puts])
            receipt = await self._perform(EndBatch(self._ports.nonce(), batch, edits, new))
            assert isinstance(receipt, ConsolidationReceipt)
            dropped = dropped + 1 if receipt.status == "dropped" else 0
            if receipt.status == "completed":
                return
            if port.pause_s:
                await asyncio.sleep(port.pause_s)

    async def _embedded(self, units: Sequence[Unit]) -> dict[str, NewUnit]:
        if not units:
            return {}
        embed = self._ports.embed_bulk or self._ports.embed
        vectors = await embed([unit_dense_text(unit) for unit in units])
        tokens = self._ports.tokenizer.count([unit.text for unit in units])
        return {
            unit.id: NewUnit(replace(unit, text_tokens=count), unit_vectors(unit, vector))
            for unit, vector, count in zip(units, vectors, tokens, strict=True)
        }
