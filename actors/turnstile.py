"""A bank's mailbox: commands take a ticket at arrival and their turns in that order; the number waiting is bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory.errors import Overloaded


class Ticket:
    """A place in the line. Give it back if the turn is not taken."""

    def __init__(self, before: "asyncio.Future[None] | None", mine: "asyncio.Future[None]") -> None:
        self._before = before
        self._mine = mine

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for all earlier tickets, hold the turn, pass it on however the body ends."""
        try:
            if self._before is not None:
                await asyncio.shield(self._before)
            yield
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Let the next ones pass as soon as all earlier ones have."""
        if self._mine.done():
            return
        if self._before is None or self._before.done():
            self._mine.set_result(None)
        else:
            self._before.add_done_callback(lambda _: None if self._mine.done() else self._mine.set_result(None))


class Turnstile:
    """Hands out tickets; refuses when `limit` commands are waiting or running."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last: asyncio.Future[None] | None = None
        self._inside = 0

    @property
    def inside(self) -> int:
        """Commands waiting or running."""
        return self._inside

    def ticket(self) -> Ticket:
        """The next place in the line.

        Raises:
            Overloaded: the line is full; nothing was accepted.
        """
        if self._inside >= self._limit:
            raise Overloaded(f"{self._inside} commands of this bank are waiting", 1.0)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before = self._last if self._last is not None and not self._last.done() else None
        self._last = mine
        self._inside += 1
        mine.add_done_callback(self._leave)
        return Ticket(before, mine)

    def _leave(self, _: "asyncio.Future[None]") -> None:
        self._inside -= 1
