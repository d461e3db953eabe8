"""BankHost: the Ray actor that carries the activations of many banks and refuses those that are not its own."""

import asyncio
import logging
import os
import time
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import ray

from actors.bank import Bank
from actors.bank_cache import BankCache, CacheLimits
from actors.bank_ports import BankPorts
from actors.batcher import MicroBatcher
from actors.clocks import SystemClock
from actors.consolidating import consolidation_of
from actors.credits import HostCredits, Limits, size_of
from actors.extraction import ExtractStage
from actors.extractors import asks_model, stage_extractor
from actors.ownership import Ownership
from actors.policies import bank_policy, stage_names
from actors.pulse import HEALTH, Pulse, own_pulse, with_pulse
from actors.receipts import Receipt
from actors.refresh_stage import refresh_function
from actors.settings import Settings, inherited_by, retention_of
from actors.spaces import SpacesWatch, embed_in, fill_page
from actors.stores import store_of
from actors.supervisor import SUPERVISOR, find_supervisor
from actors.watching import Watcher
from actors.wiring import build_tokenizer
from actors.worker_process import keep_collections_short
from memory.commands import Command
from memory.errors import LorebankError, NotOwner, Stale, Unavailable
from memory.extraction.prompt import MAX_KNOWN
from memory.ids import Scope
from memory.records import Embedding
from memory.spaces import Filled, FillPage

DUE_BANKS = 10_000
"""Due banks looked at in one scan."""
SETTLED_AT_ONCE = 16
"""Due banks of one scan looked at beside each other: their writes leave together, and each waits for few others."""
PASSIVATION_S = 5.0
"""How often, at the longest, a host looks for banks that may leave its memory."""

STAND_BACK_S = 10.0
"""How long a batch of stage work lets callers go first, at most."""
STAND_BACK_LOOK_S = 0.025
QUIET_S = 0.3
"""So long after the last command stage work takes callers to be gone: one who sends many pauses between two."""

log = logging.getLogger("lorebank.host")


class BankHost:
    """Many banks in one process. State lives in the store; losing this process loses none."""

    def __init__(self, name: str, settings: Settings, shards: list[Any], space: Any) -> None:
        self._name = name
        self._settings = settings
        store = store_of(settings, shards, space)
        self._batcher = MicroBatcher(
            self._embed_batch,
            max_texts=settings.embed_batch_texts,
            wait_s=settings.embed_wait_ms / 1000,
            workers=settings.embed_workers,
        )
        self._store = store
        self._spaces = SpacesWatch(store)
        self._ownership = Ownership(name, store, uuid4().hex, _exit)
        self._ports = BankPorts(
            store,
            self._batcher.embed,
            build_tokenizer(),
            SystemClock(),
            lambda: uuid4().hex,
            retention_of(settings),
            self._ownership.claim,
            bank_policy(settings),
            dict.fromkeys(stage_names(settings), ExtractStage(store, stage_extractor(settings))),
            spaces=self._spaces.written,
            stand_back=self._stand_back,
            known_entities=MAX_KNOWN if asks_model(settings) else 0,
            inherited=partial(inherited_by, settings),
            consolidation=consolidation_of(settings, store, self._batcher.embed, lambda: uuid4().hex),
            refresh=refresh_function(settings, store, self._embed_query),
        )
        self._served_at_s = time.monotonic() - QUIET_S
        limits = CacheLimits(settings.bank_idle_s, settings.bank_cache_high_bytes, settings.bank_cache_low_bytes)
        self._banks = BankCache(self._make_bank, limits, time.monotonic)
        self._credits = HostCredits(
            name,
            Limits(settings.host_commands, settings.host_bytes),
            Limits(settings.tenant_commands, settings.tenant_bytes),
        )
        self._scanned = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._rounds = (loop.create_task(self._scan_due()), loop.create_task(self._passivate()))
        self._watcher = Watcher(settings, {SUPERVISOR: find_supervisor})
        keep_collections_short()

    async def perform(self, scope: Scope, command: Command, ring_version: int) -> Receipt:
        """Do a command at its bank.

        Raises:
            NotOwner: the bank belongs to another host; the error carries this host's ring version.
            Overloaded: the host, the tenant or the bank has too much waiting; nothing was accepted.
        """
        with self._credits.held(scope.tenant, size_of(command)):
            await self._ownership.check(scope, ring_version)
            try:
                return await self._banks.use(scope).perform(command)
            except NotOwner:
                raise
            except Stale as exc:
                raise Unavailable(f"bank {scope.bank!r} changes hands: {exc}", 0.1) from exc
            finally:
                self._served_at_s = time.monotonic()

    async def fill(self, scope: Scope, page: FillPage, ring_version: int) -> Filled:
        """Give units of one of its banks the vectors that they lack of another model.

        Raises:
            NotOwner: the bank belongs to another host.
            Conflict: that model is not written any more.
        """
        await self._ownership.check(scope, ring_version)
        return await fill_page(self._store, self._settings, await self._spaces.current(), scope, page)

    async def follow_spaces(self) -> int:
        """Read which models are written; the version. What it begins to embed from then on is by that."""
        return (await self._spaces.refresh()).version

    async def ping(self) -> dict[str, Any]:
        """That it lives, and how much it carries."""
        return {
            "name": self._name,
            "pid": os.getpid(),
            "activations": self._banks.active,
            "commands": self._credits.host.commands,
            "backlog": self._backlog(),
        }

    def _backlog(self) -> dict[str, tuple[int, float]]:
        """For each stage how many documents its banks' runners saw waiting last, and the age of the oldest, seconds."""
        now = self._ports.clock.now()
        found: dict[str, tuple[int, float]] = {}
        for bank in self._banks:
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
        due = iter(await self._store.list_due(self._ports.clock.now(), DUE_BANKS))

        async def settle_next() -> None:
            for scope in due:
                if self._ownership.owns(scope):
                    await self._settle(scope)

        async with asyncio.TaskGroup() as group:
            for _ in range(SETTLED_AT_ONCE):
                group.create_task(settle_next())

    async def _settle(self, scope: Scope) -> None:
        try:
            # Until the host is ready only what readers would notice is done: the rest can wait.
            await self._banks.use(scope).settle(work=self._scanned.is_set())
        except LorebankError as exc:
            # One bank that cannot be settled must not keep the others waiting; the next round tries again.
            log.warning("%s: bank %r stays due: %s", self._name, scope.bank, exc)

    def _make_bank(self, scope: Scope) -> Bank:
        embed = partial(self._batcher.embed, bank=scope.key)
        ports = replace(self._ports, embed=embed, embed_bulk=partial(embed, bulk=True))
        return Bank(scope, ports, self._settings.mailbox_commands, self._settings.mailbox_bytes)

    async def _stand_back(self) -> None:
        """Stage work waits while callers are being served, and for the next command of one who has just been."""
        until_s = time.monotonic() + STAND_BACK_S
        while time.monotonic() < until_s:
            await asyncio.sleep(STAND_BACK_LOOK_S)
            if not self._credits.host.commands and time.monotonic() - self._served_at_s >= QUIET_S:
                return

    async def _passivate(self) -> None:
        while True:
            await asyncio.sleep(min(PASSIVATION_S, self._settings.bank_idle_s / 4))
            gone = self._banks.passivate()
            if gone:
                log.info("%s: %d banks left memory, %d stay", self._name, gone, len(self._banks))

    async def _embed_query(self, text: str) -> Embedding:
        return (await self._batcher.embed([text]))[0]

    async def _embed_batch(self, texts: list[str]) -> list[Embedding]:
        return await embed_in(self._settings, await self._spaces.current(), texts)


def _exit() -> None:
    """End this process at once: Ray has another one in its place, and what it was asked will be asked there."""
    os._exit(1)


BankHostActor = with_pulse(BankHost)
