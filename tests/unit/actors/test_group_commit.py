"""Group commit over a shard that answers when it is told to."""

import asyncio
from types import SimpleNamespace

import pytest

from actors.group_commit import CALLS_AT_ONCE, GROUP_WRITES, LARGE_AT_ONCE, LARGE_UNITS, GroupCommit
from memory.errors import StaleEpoch, Unavailable
from memory.ids import Scope
from memory.protocol import Execute, TakeEpoch
from memory.records import Head
from tests.support.loops import idle, in_loop

A, B = Scope("t", "a"), Scope("t", "b")


class Shard:
    """Writes down its calls; each waits for `go_on`."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gate = asyncio.Event()
        self.answer = lambda scope, request: f"done {request.nonce}"
        self.failure: Exception | None = None
        self.groups = GroupCommit(self.one, self.many)

    async def one(self, scope, request):
        (answer,) = await self._perform([(scope, request)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def many(self, writes):
        return await self._perform(writes)

    async def _perform(self, writes):
        self.calls.append([request.nonce for _, request in writes])
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return [self.answer(scope, request) for scope, request in writes]

    def ask(self, name: str, scope: Scope = A) -> "asyncio.Future[object]":
        return asyncio.ensure_future(self.groups.perform(scope, TakeEpoch(name)))


@in_loop
async def test_what_comes_while_calls_are_under_way_goes_together_in_order():
    shard = Shard()
    asked = []
    for number in range(CALLS_AT_ONCE + 3):
        asked.append(shard.ask(f"w{number}"))
        await idle()
    assert shard.calls == [["w0"], ["w1"]]
    shard.gate.set()
    assert await asyncio.gather(*asked) == [f"done w{number}" for number in range(CALLS_AT_ONCE + 3)]
    assert shard.calls[CALLS_AT_ONCE:] == [["w2", "w3", "w4"]]


@in_loop
async def test_groups_are_bounded():
    shard = Shard()
    asked = [shard.ask(f"w{number}") for number in range(CALLS_AT_ONCE + GROUP_WRITES + 5)]
    await idle()
    shard.gate.set()
    await asyncio.gather(*asked)
    assert [len(call) for call in shard.calls] == [1] * CALLS_AT_ONCE + [GROUP_WRITES, 5]


@in_loop
async def test_a_write_that_fails_fails_alone():
    shard = Shard()
    shard.answer = lambda scope, request: StaleEpoch("gone") if scope == B else "done"
    before = [shard.ask("x") for _ in range(CALLS_AT_ONCE)]
    await idle()
    first, second, third = shard.ask("a"), shard.ask("b", B), shard.ask("c")
    await idle()
    shard.gate.set()
    with pytest.raises(StaleEpoch):
        await second
    assert await asyncio.gather(first, third, *before) == ["done"] * (2 + CALLS_AT_ONCE)
    assert ["a", "b", "c"] in shard.calls


@in_loop
async def test_a_call_that_fails_fails_all_in_it_and_the_next_goes_on():
    shard = Shard()
    shard.gate.set()
    shard.failure = Unavailable("restarting")
    asked = [shard.ask(f"w{number}") for number in range(CALLS_AT_ONCE + 2)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Unavailable] * len(asked)
    shard.failure = None
    assert await shard.ask("again") == "done again"


@in_loop
async def test_who_gives_up_disturbs_nobody():
    shard = Shard()
    leaving, staying = shard.ask("a"), shard.ask("b")
    await idle()
    leaving.cancel()
    shard.gate.set()
    assert await staying == "done b"
    assert await shard.ask("c") == "done c"


@in_loop
async def test_large_plans_travel_alone_few_at_once_and_hold_up_no_small_one():
    shard = Shard()
    plan = SimpleNamespace(add=[None] * (LARGE_UNITS + 1))
    large = [
        asyncio.ensure_future(shard.groups.perform(A, Execute(Head(), plan, f"large-{number}")))
        for number in range(LARGE_AT_ONCE + 1)
    ]
    await idle()
    small = shard.ask("small")
    await idle()
    assert shard.calls == [*([f"large-{number}"] for number in range(LARGE_AT_ONCE)), ["small"]]
    shard.gate.set()
    await asyncio.gather(small, *large)
