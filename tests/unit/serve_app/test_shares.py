"""A bank alone has all it wants, beside others its share; refusals are held back, and only so many."""

import asyncio

import pytest

from memory.errors import Overloaded
from serve_app import shares
from serve_app.shares import BESIDE_S, Bounds, Shares
from tests.support.loops import idle, in_loop

FLOOD = ("t", "flood")
OTHER = ("t", "other")


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Requests:
    """Requests that stay until they are let go."""

    def __init__(self, held: Shares) -> None:
        self._held = held
        self._go = asyncio.Event()
        self.inside = 0
        self.refused = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, bank: shares.Bank, count: int = 1) -> None:
        self._tasks += [asyncio.create_task(self._stay(bank)) for _ in range(count)]
        await idle()

    async def _stay(self, bank: shares.Bank) -> None:
        try:
            async with self._held.held(bank):
                self.inside += 1
                await self._go.wait()
        except Overloaded:
            self.refused += 1

    async def end(self) -> None:
        self._go.set()
        await asyncio.gather(*self._tasks)


class Turns:
    """Requests of one bank that each end when they are told to, and know how many of them run at once."""

    def __init__(self, held: Shares, bank: shares.Bank) -> None:
        self._held = held
        self._bank = bank
        self._ends = asyncio.Semaphore(0)
        self.inside = 0
        self.refused = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, count: int) -> None:
        self._tasks += [asyncio.create_task(self._stay()) for _ in range(count)]
        await idle()

    async def _stay(self) -> None:
        try:
            async with self._held.held(self._bank):
                self.inside += 1
                try:
                    await self._ends.acquire()
                finally:
                    self.inside -= 1
        except Overloaded:
            self.refused += 1

    async def let_go(self, count: int) -> None:
        for _ in range(count):
            self._ends.release()
        await idle()

    async def cancel_last(self) -> None:
        self._tasks[-1].cancel()
        await asyncio.wait({self._tasks.pop()})

    async def gone(self) -> None:
        await asyncio.gather(*self._tasks)


@pytest.fixture(autouse=True)
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "HELD_S", 0.4)


@in_loop
async def test_a_bank_has_all_there_is_while_it_is_alone_and_its_share_beside_others() -> None:
    clock = Clock()
    asked = Requests(Shares(Bounds(alone=5, beside=2), clock))
    await asked.come(FLOOD, 7)
    assert asked.inside == 5
    await asked.come(OTHER)
    await asked.come(FLOOD)
    assert asked.inside == 6
    await asked.end()
    assert asked.refused == 3
    clock.now_s += shares.FLOODS_S + 0.1
    again = Requests(asked._held)
    await again.come(FLOOD, 3)
    assert again.inside == 2
    await again.end()
    clock.now_s += BESIDE_S + 1
    alone = Requests(asked._held)
    await alone.come(FLOOD, 5)
    assert alone.inside == 5
    await alone.end()


@in_loop
async def test_refusals_are_held_back_but_never_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "HELD_REFUSALS", 2)
    asked = Requests(Shares(Bounds(alone=1, beside=1), Clock()))
    await asked.come(FLOOD, 6)
    assert (asked.inside, asked.refused) == (1, 3), "two of the five are held back"
    await asked.come(OTHER)
    assert asked.inside == 2, "which keeps nobody else waiting"
    await asked.end()
    assert asked.refused == 5


@in_loop
async def test_whoever_goes_away_while_a_refusal_is_held_back_leaves_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "HELD_REFUSALS", 1)
    held = Shares(Bounds(alone=1, beside=1), Clock())
    first = Requests(held)
    await first.come(FLOOD)
    gone = asyncio.create_task(first._stay(FLOOD))
    await idle()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    late = asyncio.create_task(first._stay(FLOOD))
    await idle()
    assert first.refused == 0, "this one is held back too"
    await late
    assert first.refused == 1
    await first.end()


@in_loop
async def test_a_bank_that_was_refused_beside_others_goes_on_one_by_one_until_it_has_stopped_flooding() -> None:
    clock = Clock()
    held = Shares(Bounds(alone=9, beside=3), clock)
    other, flood = Turns(held, OTHER), Turns(held, FLOOD)
    await other.come(1)
    await flood.come(3)
    assert flood.inside == 3, "below its share it is not held up"
    await flood.come(1)
    await flood.let_go(3)
    await flood.come(3)
    assert flood.inside == 1, "it was refused: one at a time"
    await flood.cancel_last()
    assert flood.inside == 1, "who goes away while waiting leaves the turn to the others"
    await flood.let_go(1)
    assert flood.inside == 1
    await other.come(2)
    assert other.inside == 3, "which holds up nobody else"
    await flood.let_go(1)
    clock.now_s += shares.FLOODS_S + 0.1
    await flood.come(2)
    assert flood.inside == 2, "after a while without refusals it is a bank like others"
    await flood.let_go(2)
    await other.let_go(3)
    await asyncio.gather(flood.gone(), other.gone())
    assert (flood.refused, other.refused) == (1, 0)


@in_loop
async def test_a_flooding_bank_rests_after_each_request_in_proportion_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    held = Shares(Bounds(alone=9, beside=1), clock)
    other, flood = Turns(held, OTHER), Turns(held, FLOOD)
    await other.come(1)
    await flood.come(2)
    await flood.let_go(1)
    await flood.come(1)
    rests: list[float] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda rest_s, release: rests.append(rest_s) or release())
    clock.now_s += 0.1
    await flood.let_go(1)
    await flood.come(1)
    clock.now_s += 30.0
    await flood.let_go(1)
    monkeypatch.undo()
    await other.let_go(1)
    await asyncio.gather(flood.gone(), other.gone())
    assert rests == [pytest.approx(shares.RESTS * 0.1), shares.LONGEST_REST_S]
