"""Reflections that one replica waits for."""

from collections.abc import AsyncIterator, Callable

from actors.reflecting import Progress
from memory.errors import Overloaded
from memory.ids import Scope
from memory.reflecting.port import Answered, Question

Watch = Callable[[Scope, Question], AsyncIterator[Progress | Answered]]
"""A reflection as it goes on; its answer comes last."""
REFLECTING_MOST = 32
"""Reflections that a replica waits for at once: most of what it handles is for those who recall."""


class Reflections:
    """Reflections that one replica waits for, a bounded number of them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._waiting = 0

    async def watch(self, scope: Scope, question: Question) -> AsyncIterator[Progress | Answered]:
        """A reflection as it goes on; its answer comes last.

        Raises:
            Overloaded: too many are waited for.
        """
        if self._waiting >= REFLECTING_MOST:
            raise Overloaded(f"{REFLECTING_MOST} reflections are being worked on", 2.0)
        self._waiting += 1
        try:
            async for event in self._watch(scope, question):
                yield event
        finally:
            self._waiting -= 1
