"""Time and nonces that tests drive."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeClock:
    """Implements memory.ports.Clock: moves on by one second at every look, so that no two instants are equal."""

    def __init__(self, start: datetime = START) -> None:
        self._next = start

    def now(self) -> datetime:
        self._next += timedelta(seconds=1)
        return self._next

    def pass_by(self, seconds: float) -> None:
        """Let time go by."""
        self._next += timedelta(seconds=seconds)


def nonces(prefix: str = "n") -> Callable[[], str]:
    """A source of nonces: prefix-0, prefix-1 ..."""
    numbers = itertools.count()
    return lambda: f"{prefix}-{next(numbers)}"
