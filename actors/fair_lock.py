"""A lock that is had in the order of asking, so that a long piece of work can let the others pass in between."""

import threading
from collections import deque
from types import TracebackType
from typing import Final, Self

NO_LIMIT: Final = -1.0


class FairLock:
    """Mutual exclusion, first come, first served; not re-entrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Lock] = deque()

    @property
    def contended(self) -> bool:
        """Whether another thread waits."""
        return bool(self._waiting)

    def acquire(self, timeout_s: float = NO_LIMIT) -> bool:
        """Wait for all who asked earlier, then hold it; False if that takes too long, and the place is given up."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=timeout_s):  # released by the one who hands over
            return True
        with self._guard:
            if mine not in self._waiting:  # it was handed over in this moment
                return True
            self._waiting.remove(mine)
            return False

    def release(self) -> None:
        """Hand it to the one who has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def give_way(self) -> None:
        """Let all who wait now pass, then hold it again."""
        with self._guard:
            if not self._waiting:
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
            self._waiting.popleft().release()
        mine.acquire()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
