"""A small cache of recall answers: bounded, expiring, and emptied for a bank by every write through its client."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

Key = tuple[str, bytes]
"""Bank and body of the recall."""

MAX_ENTRIES = 256


class RecallCache:
    """Bodies of recall answers by bank and request; `ttl_s` 0 keeps nothing. Safe to share between threads."""

    def __init__(self, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()
        self._writes = 0

    def find(self, key: Key) -> bytes | None:
        """The body kept for a request, unless it has expired."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry[0] <= self._clock():
                return None
            self._entries.move_to_end(key)
            return entry[1]

    def mark(self) -> int:
        """Number of writes so far; take it before a recall and hand it to keep()."""
        with self._lock:
            return self._writes

    def keep(self, key: Key, body: bytes, mark: int) -> None:
        """Keep an answer, unless a write since `mark` may have made it old."""
        with self._lock:
            if self._ttl_s <= 0 or mark != self._writes:
                return
            self._entries[key] = (self._clock() + self._ttl_s, body)
            self._entries.move_to_end(key)
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)

    def forget(self, bank_id: str | None) -> None:
        """Drop what is kept for a bank, None: for all; call it after every write to it, whatever its outcome."""
        with self._lock:
            self._writes += 1
            for key in [key for key in self._entries if bank_id in {None, key[0]}]:
                del self._entries[key]
