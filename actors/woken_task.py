"""Work of a bank that runs by itself once it is woken, one run at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from memory.errors import LorebankError

log = logging.getLogger("lorebank.woken_task")


class WokenTask:
    """Runs what it is woken for; woken while it runs, it runs once more, so that nothing that came is missed.

    It stops at an error: whoever looks at the due bank next wakes it again.
    """

    __slots__ = ("_again", "_bank", "_task", "_what")

    def __init__(self, bank: str, what: str) -> None:
        self._bank = bank
        self._what = what
        self._task: asyncio.Task[None] | None = None
        self._again = False

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._task is not None and not self._task.done()

    def wake(self, work: Callable[[], Awaitable[None]]) -> None:
        """See that what is ready is done; `work`, which may refer to whoever holds this, is not kept."""
        self._again = True
        if not self.running:
            self._task = asyncio.get_running_loop().create_task(self._run(work))

    async def rest(self) -> None:
        """Wait until it does not run."""
        if self._task is not None:
            await self._task

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            while self._again:
                self._again = False
                await work()
        except LorebankError as exc:
            log.warning("bank %r: %s stop until it is looked at again: %s", self._bank, self._what, exc)
        except Exception:
            log.exception("bank %r: %s stop until it is looked at again", self._bank, self._what)
