"""Payloads of live units, kept in memory by their directory's process: reading them costs most of a search."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from memory.store_calls import RECALLED_KEYS
from storage import codec

Payload = Mapping[str, Any]


class Recalled(NamedTuple):
    """What recall reads of a unit: the payload it ranks by and returns, and packed token vectors by space."""

    payload: Payload
    tokens: Mapping[str, bytes] = {}


def recalled(payload: Payload) -> Recalled:
    """What recall reads of a stored payload."""
    return Recalled({key: payload[key] for key in RECALLED_KEYS if key in payload}, codec.all_tokens(payload))


_NONE: tuple[str, Recalled] = ("", Recalled({}))


class PayloadCache:
    """Up to `capacity` payloads by unit id. Safe for several readers beside one writer.

    The writer forgets what it changes after it has changed it. A reader takes the generation before it reads the
    engine and hands it back with what it read: if anything was forgotten in between, nothing is kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._payloads: OrderedDict[str, tuple[str, Recalled]] = OrderedDict()  # a dict finds its oldest by a walk
        self._generation = 0
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        """Number that grows whenever something is forgotten."""
        return self._generation

    def find(self, bank_key: str, ids: Iterable[str]) -> tuple[dict[str, Recalled], list[str]]:
        """Payloads of the bank's units that are kept, and the ids of those that are not."""
        kept: dict[str, Recalled] = {}
        missing: list[str] = []
        for unit in ids:
            owner, payload = self._payloads.get(unit, _NONE)
            if owner == bank_key:
                kept[unit] = payload
            else:
                missing.append(unit)
        return kept, missing

    def keep(self, bank_key: str, payloads: Mapping[str, Recalled], generation: int) -> None:
        """Keep what was read since `generation`; the oldest make room."""
        with self._lock:
            if generation != self._generation:
                return
            self._payloads.update((unit, (bank_key, payload)) for unit, payload in payloads.items())
            while len(self._payloads) > self._capacity:
                self._payloads.popitem(last=False)

    def forget(self, ids: Iterable[str] | None = None) -> None:
        """Drop these, or all."""
        with self._lock:
            self._generation += 1
            if ids is None:
                self._payloads.clear()
            else:
                for unit in ids:
                    self._payloads.pop(unit, None)
