"""Shares: how many requests each bank may have at a replica at once, alone there or beside others."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from memory.errors import Overloaded

BESIDE_S = 5.0
"""For so long after its last request a bank counts as one of those that others stand beside."""
HELD_S = 0.5
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


class Shares:
    """Requests by bank. Not for several threads."""

    def __init__(self, bounds: Bounds, now_s: Callable[[], float]) -> None:
        self._bounds = bounds
        self._now_s = now_s
        self._handled: Counter[Bank] = Counter()
        self._asked_s: OrderedDict[Bank, float] = OrderedDict()
        self._held = 0

    @asynccontextmanager
    async def held(self, bank: Bank) -> AsyncIterator[None]:
        """Hold one of the bank's requests while it is worked on.

        Raises:
            Overloaded: the bank has as many as it may; the refusal is held back, so that a flood is slowed down.
        """
        bound = self._bound(bank)
        if self._handled[bank] >= bound:
            await self._hold_back()
            raise Overloaded(f"{bound} requests for this bank are being worked on", 1.0)
        self._handled[bank] += 1
        try:
            yield
        finally:
            self._handled[bank] -= 1
            if not self._handled[bank]:
                del self._handled[bank]

    def _bound(self, bank: Bank) -> int:
        now_s = self._now_s()
        self._asked_s[bank] = now_s
        self._asked_s.move_to_end(bank)
        while (oldest := next(iter(self._asked_s.items())))[1] < now_s - BESIDE_S:
            del self._asked_s[oldest[0]]
        return self._bounds.alone if len(self._asked_s) == 1 else self._bounds.beside

    async def _hold_back(self) -> None:
        if self._held >= HELD_REFUSALS:
            return
        self._held += 1
        try:
            await asyncio.sleep(HELD_S)
        finally:
            self._held -= 1
