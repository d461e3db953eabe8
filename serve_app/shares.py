"""Shares: how many requests each bank may have at a replica at once, alone there or beside others."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from memory.errors import Overloaded

BESIDE_S = 5.0
"""For so long after its last request a bank counts as one of those that others stand beside."""
FLOODS_S = 2.0
"""For so long after a refusal beside others a bank's requests are worked on one at a time, with rests."""
RESTS = 2.0
"""How long such a bank rests after each request, in times of what that took."""
LONGEST_REST_S = 1.0
HELD_S = 1.0
"""How long a refusal is held back: who asks again at once is slowed down by it, and costs the others less."""
HELD_REFUSALS = 96
"""Refusals held back at once; more are given at once."""

Bank = tuple[str, str]
"""Tenant and name."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Requests of one bank at once, where no other bank asks and where some do."""

    alone: int
    beside: int


@dataclass(slots=True)
class _Asking:
    """A bank that asked not long ago."""

    asked_s: float
    handled: int = 0
    floods_until_s: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shares:
    """Requests by bank. Not for several threads.

    A bank that asks for more than its share while others ask floods: what it may have is then worked on one at a time,
    with rests. A few requests at once fill the processors as well as many do, and others would wait for those.
    """

    def __init__(self, bounds: Bounds, now_s: Callable[[], float]) -> None:
        self._bounds = bounds
        self._now_s = now_s
        self._asking: OrderedDict[Bank, _Asking] = OrderedDict()
        self._held = 0

    @asynccontextmanager
    async def held(self, bank: Bank) -> AsyncIterator[None]:
        """Hold one of the bank's requests while it is worked on.

        Raises:
            Overloaded: the bank has as many as it may; the refusal is held back, so that a flood is slowed down.
        """
        asking = self._asked(bank)
        beside = len(self._asking) > 1
        bound = self._bounds.beside if beside else self._bounds.alone
        if asking.handled >= bound:
            if beside:
                asking.floods_until_s = asking.asked_s + FLOODS_S
            await self._hold_back()
            raise Overloaded(f"{bound} requests for this bank are being worked on", 1.0)
        asking.handled += 1
        try:
            if beside and asking.asked_s < asking.floods_until_s:
                await asking.turn.acquire()
                began_s = self._now_s()
                try:
                    yield
                finally:
                    rest_s = min(LONGEST_REST_S, RESTS * (self._now_s() - began_s))
                    asyncio.get_running_loop().call_later(rest_s, asking.turn.release)
            else:
                yield
        finally:
            asking.handled -= 1

    def _asked(self, bank: Bank) -> _Asking:
        """What the bank has here now; banks that have not asked for a while are forgotten."""
        now_s = self._now_s()
        asking = self._asking.setdefault(bank, _Asking(now_s))
        asking.asked_s = now_s
        self._asking.move_to_end(bank)
        while (oldest := next(iter(self._asking.items())))[1].asked_s < now_s - BESIDE_S:
            if oldest[1].handled:  # it asks still
                oldest[1].asked_s = now_s
                self._asking.move_to_end(oldest[0])
            else:
                del self._asking[oldest[0]]
        return asking

    async def _hold_back(self) -> None:
        if self._held >= HELD_REFUSALS:
            return
        self._held += 1
        try:
            await asyncio.sleep(HELD_S)
        finally:
            self._held -= 1
