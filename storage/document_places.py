"""Where the units of documents stand, kept in memory by their directory's process for documents asked for again."""

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from memory.neighbours import Spans

_SEEN: Final = 20_000
"""Documents remembered as asked for once."""


class Places(NamedTuple):
    """Positions in order, and the unit at each, pending ones, too; both empty where a document is too long to keep."""

    positions: Sequence[int]
    units: Sequence[str]
    too_long: bool = False


class DocumentPlaces:
    """Those of up to `capacity` units. Safe for several readers beside one writer, as storage.payload_cache is.

    What is kept names every unit that stands in a document, and may name units that have gone.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, str], Places] = OrderedDict()
        self._units = 0
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._generation = 0
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        """Number that grows whenever something is forgotten."""
        return self._generation

    def find(self, bank_key: str, spans: Spans) -> tuple[list[str], list[str]]:
        """Units of the stretches whose documents are kept, and the documents that are not."""
        found: list[str] = []
        unknown: list[str] = []
        for document, stretches in spans.items():
            places = self._kept.get((bank_key, document))
            if places is None or places.too_long:
                unknown.append(document)
                continue
            for low, high in stretches:
                first, last = bisect_left(places.positions, low), bisect_right(places.positions, high)
                found.extend(places.units[first:last])
        return found, unknown

    def asked_again(self, bank_key: str, documents: Iterable[str], most: int) -> list[str]:
        """Up to `most` of the documents that were asked for before and are not kept: they are worth being read."""
        with self._lock:
            again = [
                document
                for document in documents
                if (bank_key, document) in self._seen and (bank_key, document) not in self._kept
            ]
            self._seen.update(((bank_key, document), None) for document in documents)
            while len(self._seen) > _SEEN:
                self._seen.popitem(last=False)
        return again[:most]

    def keep(self, bank_key: str, document: str, places: Places, generation: int) -> None:
        """Keep what was read since `generation`; the oldest make room."""
        with self._lock:
            if generation != self._generation:
                return
            self._drop((bank_key, document))
            self._kept[bank_key, document] = places
            self._units += len(places.units)
            while self._units > self._capacity:
                self._drop(next(iter(self._kept)))

    def forget(self, bank_key: str, documents: Iterable[str] | None = None) -> None:
        """Drop these documents of a bank, or all of it: units came or stand elsewhere now."""
        with self._lock:
            self._generation += 1
            keys = [key for key in self._kept if key[0] == bank_key] if documents is None else None
            for key in keys if keys is not None else [(bank_key, document) for document in documents or ()]:
                self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        dropped = self._kept.pop(key, None)
        self._units -= len(dropped.units) if dropped else 0
