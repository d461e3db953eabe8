"""Grace periods: what is retired goes only after the reads that may still count on it have ended."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from memory.ids import Scope
from memory.store_calls import Call, ClearBank, RetireUnits
from storage.run import Engine

T = TypeVar("T")

LONGEST_WAIT_S: Final = 2.0
"""A read that takes longer than this is not waited for; it asks again where what it found has gone."""


class ReadGrace:
    """Knows which reads run, so that a retirement can wait for those that began before it (read-copy-update).

    A read of several calls, or of several segments, that began before a plan's new units went live finds the old ones
    until it ends; one that begins later finds the new ones. So none finds neither.
    """

    def __init__(self, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._changed = threading.Condition()
        self._generation = 0
        self._running: Counter[int] = Counter()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The length of one read."""
        with self._changed:
            mine = self._generation
            self._running[mine] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[mine] -= 1
                if not self._running[mine]:
                    del self._running[mine]
                    self._changed.notify_all()

    def wait_for_earlier(self) -> bool:
        """Wait until every read that has begun by now has ended; False if one takes too long."""
        with self._changed:
            self._generation += 1
            mine = self._generation
            return self._changed.wait_for(
                lambda: all(generation >= mine for generation in self._running), self._longest_wait_s
            )


class GracefulEngine:
    """Engine that retires after a grace period; everything else it hands on as it is."""

    def __init__(self, engine: Engine, grace: ReadGrace) -> None:
        self._engine = engine
        self._grace = grace

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank."""
        if isinstance(call, RetireUnits) or (isinstance(call, ClearBank) and call.start is None):
            self._grace.wait_for_earlier()
        return self._engine.call(scope, call)
