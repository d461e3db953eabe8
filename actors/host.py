"""BankHost: the Ray actor that carries the activations of many banks and refuses those that are not its own."""

import asyncio
import logging
import os
from collections import OrderedDict
from typing import Any
from uuid import uuid4

import numpy as np
import ray
from numpy.typing import NDArray

from actors.bank import Bank, Receipt
from actors.bank_ports import BankPorts
from actors.batcher import MicroBatcher
from actors.clocks import SystemClock
from actors.ownership import Ownership
from actors.policies import STAGES, bank_policy
from actors.pulse import HEALTH, Pulse, own_pulse, with_pulse
from actors.settings import Settings, retention_of
from actors.stores import store_of
from actors.tasks import embed_texts
from actors.wiring import build_tokenizer
from memory.commands import Command
from memory.errors import LorebankError, NotOwner, Overloaded, Stale, Unavailable
from memory.ids import Scope

ACTIVATIONS = 10_000
"""Banks kept in memory; past it, idle ones are dropped, least recently used first."""


DUE_BANKS = 10_000
"""Due banks looked at in one scan, one after the other."""

log = logging.getLogger("lorebank.host")


class BankHost:
    """Many banks in one process. State lives in the store; losing this process loses none."""

    def __init__(self, name: str, settings: Settings, shards: list[Any], space: Any) -> None:
        self._name = name
        self._settings = settings
        store = store_of(settings, shards, space)
        batcher = MicroBatcher(
            self._embed_batch,
            max_texts=settings.embed_batch_texts,
            wait_s=settings.embed_wait_ms / 1000,
            workers=settings.embed_workers,
        )
        tokenizer = build_tokenizer(settings)
        self._store = store
        self._ownership = Ownership(name, store, uuid4().hex, _exit)
        self._ports = BankPorts(
            store,
            batcher.embed,
            tokenizer,
            SystemClock(),
            lambda: uuid4().hex,
            retention_of(settings),
            self._ownership.claim,
            bank_policy(settings),
            STAGES,
        )
        self._banks: OrderedDict[Scope, Bank] = OrderedDict()
        self._inside = 0
        self._scanned = asyncio.Event()
        self._scan = asyncio.get_running_loop().create_task(self._scan_due())

    async def perform(self, scope: Scope, command: Command, ring_version: int) -> Receipt:
        """Do a command at its bank.

        Raises:
            NotOwner: the bank belongs to another host; the error carries this host's ring version.
            Overloaded: the host or the bank has too many commands waiting.
        """
        await self._ownership.check(scope, ring_version)
        if self._inside >= self._settings.host_commands:
            raise Overloaded(f"{self._inside} commands are waiting at {self._name}", 1.0)
        self._inside += 1
        try:
            return await self._bank(scope).perform(command)
        except NotOwner:
            raise
        except Stale as exc:
            raise Unavailable(f"bank {scope.bank!r} changes hands: {exc}", 0.1) from exc
        finally:
            self._inside -= 1

    async def ping(self) -> dict[str, Any]:
        """That it lives, and how much it carries."""
        return {
            "name": self._name,
            "pid": os.getpid(),
            "activations": len(self._banks),
            "commands": self._inside,
            "backlog": self._backlog(),
        }

    def _backlog(self) -> dict[str, tuple[int, float]]:
        """For each stage how many documents its banks' runners saw waiting last, and the age of the oldest, seconds."""
        now = self._ports.clock.now()
        found: dict[str, tuple[int, float]] = {}
        for bank in self._banks.values():
            for stage, (pending, oldest) in bank.stages.backlog.items():
                before, age_s = found.get(stage, (0, 0.0))
                found[stage] = (before + pending, max(age_s, (now - oldest).total_seconds() if pending else 0.0))
        return found

    @ray.method(concurrency_group=HEALTH)
    async def pulse(self) -> Pulse:
        """That its process runs, however much it has to do."""
        return own_pulse()

    async def recovered(self) -> None:
        """Wait until every bank that was due when this host started is settled."""
        await self._scanned.wait()

    async def settings(self) -> Settings:
        """The deployment's settings, for processes that join it."""
        return self._settings

    async def _scan_due(self) -> None:
        """Nothing sleeps forgotten: at the start and every few seconds, settle this host's banks that are due."""
        while True:
            try:
                await self._settle_due()
                self._scanned.set()
            except Exception as exc:  # noqa: BLE001 - the scan must outlive whatever one round meets
                log.warning("%s: looking for banks that are due failed: %s", self._name, exc)
            await asyncio.sleep(self._settings.due_scan_s)

    async def _settle_due(self) -> None:
        await self._ownership.refresh()
        for scope in await self._store.list_due(self._ports.clock.now(), DUE_BANKS):
            if self._ownership.owns(scope):
                try:
                    # Until the host is ready only what readers would notice is done: the rest can wait.
                    await self._bank(scope).settle(work=self._scanned.is_set())
                except LorebankError as exc:
                    # One bank that cannot be settled must not keep the others waiting; the next round tries again.
                    log.warning("%s: bank %r stays due: %s", self._name, scope.bank, exc)

    def _bank(self, scope: Scope) -> Bank:
        bank = self._banks.get(scope)
        if bank is None:
            self._make_room()
            bank = self._banks[scope] = Bank(scope, self._ports, self._settings.mailbox_commands)
        self._banks.move_to_end(scope)
        return bank

    def _make_room(self) -> None:
        if len(self._banks) < ACTIVATIONS:
            return
        oldest = next((scope for scope, bank in self._banks.items() if bank.idle), None)
        if oldest is None:
            raise Overloaded(f"{self._name} carries {len(self._banks)} busy banks", 1.0)
        del self._banks[oldest]

    async def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        return await embed_texts(self._settings, texts)


def _exit() -> None:
    """End this process at once: Ray has another one in its place, and what it was asked will be asked there."""
    os._exit(1)


BankHostActor = with_pulse(BankHost)
