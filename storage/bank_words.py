"""How many units of a bank hold each word, kept in memory by their directory's process for banks that are asked again.

The engine counts it anew in every search by words: in a bank of 10,000 that takes three quarters of the search, and
more the more other banks there are. Everything here may be lost at any time: the engine counts then.
"""

import logging
import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import CountRequest, EdgeShard, ScrollRequest

from memory.ids import Scope, first_id
from memory.records import UnitKind, UnitState
from storage import schema
from storage.cell_index import over_constant
from storage.query_to_edge import scoped

log = logging.getLogger("lorebank.indexes")

LEAST_POINTS: Final = 500
"""In smaller banks counting takes no time."""
MOST_POINTS: Final = 50_000
"""Bigger ones get a cell index, which has counted."""
ASKED: Final = 4
"""A bank's words are counted once so many searches came."""
_LOOK_AGAIN: Final = 256
"""Searches more until a bank is looked at again that was too small or too big, or written while it was counted."""
_CAPACITY_WORDS: Final = 2_000_000
"""Words of all banks kept, 12 bytes each."""
_MOST_KNOWN: Final = 20_000
"""Banks that are remembered as asked."""
_FOLDED: Final = 2_000
"""Words that changed since a table was made, until it is made anew: some 100 bytes each."""
_PAGE_UNITS: Final = 64
_REST: Final = 3.0
"""For so many times as long as a page kept the interpreter, it is left to others."""
_POLL_S: Final = 0.001
_KEYS: Final = [schema.BANK_KEY, schema.STATE, schema.KIND]
_DERIVED: Final = (UnitKind.FACT.value, UnitKind.REFLECTION.value)


@dataclass(slots=True)
class Table:
    """Live evidence of a bank: its units, and how many of them hold each word; `changed` comes on top of `counts`.

    words: uint32, ascending; counts: int64; of equal length.
    """

    units: int
    words: NDArray[np.uint32]
    counts: NDArray[np.int64]
    changed: Counter[int] = field(default_factory=Counter)

    def idf_over_constant(self, words: Sequence[int]) -> list[float]:
        """As storage.cell_index.CellIndex.idf_over_constant."""
        asked = np.array(words, dtype=np.uint32)
        held = np.zeros(len(asked), dtype=np.float64)
        if len(self.words):
            places = np.minimum(np.searchsorted(self.words, asked), len(self.words) - 1)
            held = np.where(self.words[places] == asked, self.counts[places], 0).astype(np.float64)
        held += [self.changed[word] for word in words]
        return over_constant(self.units, held)

    def folded(self) -> "Table":
        """The same without `changed`."""
        words = np.concatenate([self.words, np.fromiter(self.changed.keys(), np.uint32, len(self.changed))])
        counts = np.concatenate([self.counts, np.fromiter(self.changed.values(), np.int64, len(self.changed))])
        found, places = np.unique(words, return_inverse=True)
        sums = np.bincount(places, counts, len(found)).astype(np.int64)
        return Table(self.units, found[sums > 0], sums[sums > 0])


@dataclass(slots=True)
class _Bank:
    """A bank that was asked: its table once counted; `disturbed`: it was written while it was being counted."""

    asked: int = 0
    busy: bool = False
    disturbed: bool = False
    table: Table | None = None


class BankWords:
    """Counts of one shard's banks; safe for several readers beside one writer.

    A bank is counted by a thread of its own once it was searched several times: nobody waits for that.
    """

    def __init__(self, units: EdgeShard, capacity_words: int = _CAPACITY_WORDS) -> None:
        self._units = units
        self._capacity_words = capacity_words
        self._banks: OrderedDict[str, _Bank] = OrderedDict()
        self._lock = threading.Lock()
        self._written: str | None = None
        self._wanted: queue.SimpleQueue[Scope | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None

    def find(self, scope: Scope) -> Table | None:
        """The bank's counts if they are there; a bank that is searched again and again will be counted."""
        bank = self._banks.get(scope.key)
        if bank is None:
            bank = self._remember(scope.key)
        if bank.table is None:
            bank.asked += 1
            if bank.asked >= ASKED and not bank.busy:
                self._want(scope, bank)
        return bank.table

    @contextmanager
    def changing(self, scope: Scope, ids: Sequence[str]) -> Iterator[None]:
        """The length of a write that changes these units of the bank, or adds or removes them."""
        self._written = scope.key  # before it is looked whether the bank is known: `count` looks the other way round
        try:
            bank = self._banks.get(scope.key)
            if bank is None or (bank.table is None and not bank.busy):
                yield
                return
            bank.disturbed = True
            before = self._words_of(scope, ids) if bank.table is not None else []
            try:
                yield
            except BaseException:
                bank.table = None  # who knows what was written
                raise
            if bank.table is not None:
                bank.table = _changed(bank.table, before, self._words_of(scope, ids))
        finally:
            self._written = None

    def drop(self, scope: Scope) -> None:
        """Much of the bank goes: forget its counts."""
        with self._lock:
            bank = self._banks.pop(scope.key, None)
        if bank is not None:
            bank.disturbed = True
            bank.table = None

    def count(self, scope: Scope) -> bool:
        """Count a bank's words now; False: it is too small or too big, it is written meanwhile, or the shard closes."""
        bank = self._remember(scope.key)
        bank.busy, bank.disturbed, bank.asked = True, False, -_LOOK_AGAIN
        try:
            while self._written == scope.key:  # a write that began before it could know
                time.sleep(_POLL_S)
            points = self._units.count(CountRequest(filter=scoped(scope), exact=False))
            table = self._read(scope, bank) if LEAST_POINTS <= points <= MOST_POINTS else None
            with self._lock:
                if table is not None and not bank.disturbed:
                    bank.table = table
                    self._make_room()
            return bank.table is not None
        finally:
            bank.busy = False

    def close(self) -> None:
        """End what is being counted, and wait for it."""
        self._stop.set()
        self._wanted.put(None)
        if self._worker is not None:
            self._worker.join()

    def _remember(self, key: str) -> _Bank:
        with self._lock:
            bank = self._banks.setdefault(key, _Bank())
            self._banks.move_to_end(key)
            while len(self._banks) > _MOST_KNOWN:
                self._banks.popitem(last=False)[1].disturbed = True
        return bank

    def _want(self, scope: Scope, bank: _Bank) -> None:
        with self._lock:
            if bank.busy or self._stop.is_set():
                return
            bank.busy = True
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="words", daemon=True)
                self._worker.start()
        self._wanted.put(scope)

    def _work(self) -> None:
        while (scope := self._wanted.get()) is not None and not self._stop.is_set():
            try:
                self.count(scope)
            except Exception:  # the engine counts itself then
                log.exception("the words of bank %r of tenant %r cannot be counted", scope.bank, scope.tenant)

    def _read(self, scope: Scope, bank: _Bank) -> Table | None:
        """Read the bank as a range of ids, in pages small enough to hold nobody up; None: it is in vain."""
        held: list[NDArray[np.uint32]] = []
        seen = 0
        start, end = first_id(scope.bucket), first_id(scope.bucket + 1)
        while start < end:
            if bank.disturbed or self._stop.is_set() or seen > 2 * MOST_POINTS:  # a big bank stands among its units
                return None
            began_s = time.thread_time()
            request = ScrollRequest(
                offset=cast("Any", start), limit=_PAGE_UNITS, with_payload=_KEYS, with_vector=[schema.LEXICAL]
            )
            records, following = self._units.scroll(request)
            seen += len(records)
            held += [_words(record.vector) for record in records if _counts(scope, record.payload)]
            start = end if following is None else str(following)
            time.sleep(_REST * (time.thread_time() - began_s))
        words, counts = np.unique(np.concatenate([*held, np.zeros(0, np.uint32)]), return_counts=True)
        return Table(len(held), words, counts.astype(np.int64))

    def _words_of(self, scope: Scope, ids: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Of those that are live evidence of the bank now."""
        records = self._units.retrieve(list(ids), _KEYS, [schema.LEXICAL]) if ids else []
        return [_words(record.vector) for record in records if _counts(scope, record.payload)]

    def _make_room(self) -> None:
        total = sum(len(bank.table.words) for bank in self._banks.values() if bank.table is not None)
        for bank in self._banks.values():
            if total <= self._capacity_words:
                return
            if bank.table is not None:
                total -= len(bank.table.words)
                bank.table = None


def _changed(table: Table, before: Sequence[NDArray[np.uint32]], after: Sequence[NDArray[np.uint32]]) -> Table:
    """A new table, for a reader may hold the old one; what has changed on top is copied, and folded in now and then."""
    changed = Counter(table.changed)
    for sign, held in ((-1, before), (1, after)):
        for words in held:
            for word in words.tolist():
                changed[word] += sign
    changed = Counter({word: count for word, count in changed.items() if count})
    made = Table(table.units + len(after) - len(before), table.words, table.counts, changed)
    return made.folded() if len(changed) > _FOLDED else made


def _counts(scope: Scope, payload: dict[str, Any] | None) -> bool:
    """Whether a unit is live evidence of the bank."""
    stored = payload or {}
    own = stored.get(schema.BANK_KEY) == scope.key and stored.get(schema.STATE) == UnitState.LIVE.value
    return bool(own and stored.get(schema.KIND) not in _DERIVED)


def _words(vector: Any) -> NDArray[np.uint32]:
    lexical = (vector or {}).get(schema.LEXICAL)
    return np.array([] if lexical is None else lexical.indices, dtype=np.uint32)
