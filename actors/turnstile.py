"""A bank's mailbox: commands take a ticket at arrival and their turns in that order; what waits is bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.credits import Credits, Limits


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
    """Hands out tickets; refuses when too many commands, or too much memory for them, are waiting or running."""

    __slots__ = ("_credits", "_last")

    def __init__(self, limits: Limits) -> None:
        self._credits = Credits("of this bank", limits)
        self._last: asyncio.Future[None] | None = None

    @property
    def inside(self) -> int:
        """Commands waiting or running."""
        return self._credits.commands

    def ticket(self, size_bytes: int = 0) -> Ticket:
        """The next place in the line, for a command that takes so much memory.

        Raises:
            Overloaded: the line is full; nothing was accepted.
        """
        self._credits.take(size_bytes)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before = self._last if self._last is not None and not self._last.done() else None
        self._last = mine
        mine.add_done_callback(lambda _: self._leave(mine, size_bytes))
        return Ticket(before, mine)

    def _leave(self, mine: "asyncio.Future[None]", size_bytes: int) -> None:
        self._credits.give_back(size_bytes)
        if self._last is mine:
            self._last = None  # an empty line keeps nothing
