"""Passivation under a clock that stands still until it is moved."""

import asyncio
import gc
import weakref

import pytest

from actors.bank import Bank
from actors.bank_cache import SWEEP_EVERY_BANKS, BankCache, CacheLimits
from actors.lifecycle import State
from memory.commands import Message
from memory.ids import Scope
from storage.reference_store import ReferenceStore
from tests.support.bank_process import bank_ports, embed
from tests.support.builders import DIM, retain
from tests.support.local_store import LocalStore
from tests.support.loops import idle, in_loop


class Watched(Bank):
    """A bank whose end can be seen."""

    __slots__ = ("__weakref__",)


class Host:
    """A cache over a store in memory."""

    def __init__(self, *, idle_s: float = 10.0, high_bytes: int = 1 << 30, low_bytes: int = 1 << 30) -> None:
        self.now_s = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.store = LocalStore(ReferenceStore(DIM))
        self.cache = BankCache(self._make, CacheLimits(idle_s, high_bytes, low_bytes), lambda: self.now_s)

    def _make(self, scope: Scope) -> Bank:
        return Watched(scope, bank_ports(self.store, scope.bank, embed=self._embed), 8)

    async def _embed(self, texts):
        await self.gate.wait()
        return await embed(texts)

    async def retain(self, name: str, text: object = "one", op: str = "op"):
        return await self.cache.use(Scope("t", name)).perform(retain(text, op=op))

    def names(self) -> list[str]:
        return [scope.bank for scope in self.cache._banks]


@in_loop
async def test_banks_leave_when_they_have_been_idle_for_long_and_come_back_with_all_they_had():
    host = Host()
    await host.retain("a")
    first = host.cache.use(Scope("t", "a"))
    host.now_s = 6.0
    await host.retain("b")
    assert host.cache.active == 2
    host.now_s = 10.0
    assert host.cache.passivate() == 1
    assert (host.names(), first.state) == (["b"], State.PASSIVE)
    again = await host.retain("a")
    assert again.replayed
    assert host.cache.use(Scope("t", "a")) is not first
    assert (await host.retain("a", "two", "op-2")).documents[0].version == 2


@in_loop
async def test_the_least_recently_used_leave_above_the_high_mark_down_to_the_low_one():
    one = Bank(Scope("t", "x"), bank_ports(LocalStore(ReferenceStore(DIM))), 8).cache_bytes
    host = Host(high_bytes=6 * one, low_bytes=4 * one)
    for name in "abcdef":
        host.cache.use(Scope("t", name))
    assert host.cache.passivate() == 0
    host.cache.use(Scope("t", "g"))
    host.cache.use(Scope("t", "a"))
    assert host.cache.passivate() == 3
    assert host.names() == ["e", "f", "g", "a"]


@in_loop
async def test_names_a_bank_knows_count():
    host = Host()
    await host.retain("a", (Message("one", name="Ann"), Message("two", name="Bob")))
    empty = Bank(Scope("t", "x"), bank_ports(host.store), 8)
    assert host.cache.use(Scope("t", "a")).cache_bytes > empty.cache_bytes


@in_loop
async def test_a_bank_with_a_command_in_flight_is_never_passivated():
    host = Host(idle_s=1.0, high_bytes=1, low_bytes=1)
    host.gate.clear()
    busy = asyncio.create_task(host.retain("busy"))
    await idle()
    await asyncio.sleep(0)
    host.cache.use(Scope("t", "resting"))
    host.now_s = 100.0
    assert host.cache.passivate() == 1
    assert host.names() == ["busy"]
    with pytest.raises(ValueError, match="in flight"):
        host.cache.use(Scope("t", "busy")).passivate()
    host.gate.set()
    assert (await busy).documents[0].version == 1
    await idle()
    host.now_s = 200.0
    assert host.cache.passivate() == 1


@in_loop
async def test_a_bank_that_is_being_taken_counts_as_busy_even_if_nobody_waits_any_more():
    host = Host()
    bank = host.cache.use(Scope("t", "a"))
    asked = asyncio.create_task(bank.perform(retain("one")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bank.state is State.ACTIVATING
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    host.now_s = 100.0
    assert host.cache.passivate() == 0
    await idle(100)
    assert bank.state is State.ACTIVE
    assert host.cache.passivate() == 1


@in_loop
async def test_many_new_banks_are_looked_at_without_waiting_for_a_round():
    host = Host(idle_s=1.0)
    for number in range(SWEEP_EVERY_BANKS - 1):
        host.cache.use(Scope("t", str(number)))
    host.now_s = 10.0
    host.cache.use(Scope("t", "one more"))
    assert len(host.cache) == 1


@in_loop
async def test_many_banks_are_carried_at_once_and_all_can_go():
    host = Host()
    await asyncio.gather(*(host.retain(f"bank-{number}") for number in range(100)))
    assert host.cache.active == 100
    await idle()
    host.now_s = 100.0
    assert host.cache.passivate() == 100
    assert len(host.cache) == 0


@in_loop
async def test_a_bank_that_left_is_gone_at_once_and_does_not_wait_for_a_collection():
    """What a collection has set aside is looked at again once in an hour."""
    host = Host()
    await host.retain("a")
    await idle()
    left = weakref.ref(host.cache.use(Scope("t", "a")))
    gc.collect()
    gc.disable()
    try:
        host.now_s = 11.0
        assert host.cache.passivate() == 1
        assert left() is None
    finally:
        gc.enable()
