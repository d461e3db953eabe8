"""Which banks of a shard have a cell index, and when one is built: beside the readers, in a process of its own.

Everything here may be lost at any time: a bank without a whole index is searched exactly, and gets another.
"""

import contextlib
import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from qdrant_edge import CountRequest, EdgeShard

from memory.cascade import DERIVED
from memory.filters import EVIDENCE, Any_, AnyOf, Between
from memory.ids import Scope, scope_of_key
from memory.records import Head, UnitState
from storage import schema
from storage.cell_index import CellIndex, Unusable, open_index, read_card
from storage.edge_scroll import all_points
from storage.edge_spaces import EdgeSpaces
from storage.index_making import MAKING, IndexMaker, Stopped, name_of
from storage.query_to_edge import scoped

log = logging.getLogger("lorebank.indexes")

DIRECTORY: Final = "indexes"
OUTDATED_SHARE: Final = 0.05
"""An index is built anew once so many of its units have gone, or as many have come since."""
RETRY_S: Final = 60.0
"""How long a bank whose index could not be built is left alone."""
_LOOK_EVERY: Final = 16
"""Searches of a bank between two looks at its size."""
_MOST_LOOKED: Final = 20_000
"""Banks that are remembered."""
_LIVE: Final = AnyOf(schema.STATE, (UnitState.LIVE.value,))


@dataclass(frozen=True, slots=True)
class Use:
    """An open index, and the units made live since what it was built of was read, or before; some may have gone."""

    index: CellIndex
    came: tuple[str, ...]


@dataclass(slots=True)
class _Bank:
    """A bank that was searched: its index, whether it is looked after, how many searches pass before the next look.

    came, coming: what was made live since the index was built, and since the next one was begun.
    """

    index: CellIndex | None = None
    came: dict[str, None] = field(default_factory=dict)
    coming: dict[str, None] = field(default_factory=dict)
    busy: bool = False
    left: int = 0
    retry_at_s: float = 0.0
    gone: threading.Event = field(default_factory=threading.Event)


class BankIndexes:
    """Indexes of the banks of one shard that hold at least `least_units`; safe for several readers beside one writer.

    0: none are used, and those that are there removed; None: none are used, for this time.
    A bank is looked after when it is searched: nobody waits for that.
    """

    def __init__(
        self,
        directory: Path,
        units: EdgeShard,
        spaces: EdgeSpaces,
        read_head: Callable[[Scope], Head | None],
        least_units: int | None,
    ) -> None:
        self._directory = directory / DIRECTORY
        self._units = units
        self._spaces = spaces
        self._read_head = read_head
        self._least_units = least_units
        self._banks: dict[str, _Bank] = {}
        self._lock = threading.Lock()
        self._wanted: queue.SimpleQueue[Scope | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._maker = IndexMaker(self._directory, units, spaces)
        self._worker: threading.Thread | None = None

    def clean(self, *, everything: bool) -> None:
        """Remove what a killed process left half made, and indexes of banks that are small by now.

        everything: all indexes, for the units are not what they were. Where they cannot be removed none is used.
        """
        try:
            self._clean(everything=everything)
        except OSError:
            log.exception("%s cannot be cleaned; big banks are searched exactly", self._directory)
            self._least_units = None

    def find(self, scope: Scope) -> Use | None:
        """The bank's index if there is one now; a bank that should have one, or a newer one, will be looked after."""
        if not self._least_units:
            return None
        key = scope.key
        bank = self._banks.get(key)
        if bank is None or bank.left <= 0:
            bank = self._look(scope, key)
        bank.left -= 1
        if bank.index is None:
            return None
        with self._lock:
            return Use(bank.index, tuple(bank.came))

    def came(self, scope: Scope, ids: tuple[str, ...]) -> None:
        """Units of the bank were made live."""
        bank = self._banks.get(scope.key)
        if bank is not None and (bank.index is not None or bank.busy):
            with self._lock:
                bank.came.update(dict.fromkeys(ids))
                if bank.busy:
                    bank.coming.update(dict.fromkeys(ids))

    def drop(self, scope: Scope) -> None:
        """The bank was deleted: so is its index, and one that is being built."""
        with self._lock:
            bank = self._banks.pop(scope.key, None)
        if bank is not None:
            bank.gone.set()
        for path in self._made(scope.key):
            shutil.rmtree(path, ignore_errors=True)

    def drop_all(self) -> None:
        """The vectors they hold go: so do they all, and those that are being built. Big banks get others."""
        with self._lock:
            banks, self._banks = self._banks, {}
        for bank in banks.values():
            bank.gone.set()
        self.clean(everything=True)

    def close(self) -> None:
        """End what is being built, and wait for it."""
        self._stop.set()
        self._wanted.put(None)
        if self._worker is not None:
            self._worker.join()

    @property
    def builder_pid(self) -> int | None:
        """Id of the process that builds now."""
        return self._maker.builder_pid

    def _clean(self, *, everything: bool) -> None:
        if not self._directory.exists():
            return
        kept = [] if everything else [scope for scope in indexed_banks(self._directory) if not self._is_small(scope)]
        names = {name_of(scope.key) for scope in kept}
        for path in self._directory.iterdir():
            if path.stem not in names:  # nor is that of one half made
                shutil.rmtree(path)

    def _look(self, scope: Scope, key: str) -> _Bank:
        """Have the bank looked after if need be; it is left alone for the next searches."""
        with self._lock:
            if len(self._banks) >= _MOST_LOOKED:  # small banks, nearly all; what is open stays
                self._banks = {known: one for known, one in self._banks.items() if one.index or one.busy}
            bank = self._banks.setdefault(key, _Bank())
            bank.left = _LOOK_EVERY
            if bank.busy or time.monotonic() < bank.retry_at_s or not self._wants(scope, bank):
                return bank
            bank.coming = {}
            bank.busy = True
            if self._worker is None and not self._stop.is_set():
                self._worker = threading.Thread(target=self._work, name="indexes", daemon=True)
                self._worker.start()
        self._wanted.put(scope)
        return bank

    def _wants(self, scope: Scope, bank: _Bank) -> bool:
        live = self._count(scope)
        if bank.index is None:
            return live >= (self._least_units or 0)
        gone = bank.index.card.units + len(bank.came) - live
        return max(len(bank.came), gone) > _most_changed(bank.index)

    def _is_small(self, scope: Scope) -> bool:
        """Half of what makes a bank a big one, so that one at the threshold does not come and go."""
        least = self._least_units
        return least is not None and (not least or 2 * self._count(scope) < least)

    def _count(self, scope: Scope) -> int:
        """Live evidence of the bank, about. The engine guesses all units well, not so what a second filter leaves."""
        head = self._read_head(scope)
        derived = head.counters.get(DERIVED, 0) if head else 0
        return self._units.count(CountRequest(filter=scoped(scope, _LIVE), exact=False)) - derived

    def _work(self) -> None:
        while (scope := self._wanted.get()) is not None and not self._stop.is_set():
            with self._lock:
                bank = self._banks.get(scope.key)
            if bank is None:
                continue
            try:
                self._look_after(scope, bank)
            except Stopped:
                log.info("the index of bank %r is not built: bank or shard is going", scope.bank)
            except Exception:  # a bank without an index is searched exactly; the next attempt may have more luck
                log.exception("the index of bank %r of tenant %r cannot be built", scope.bank, scope.tenant)
                bank.retry_at_s = time.monotonic() + RETRY_S
            finally:
                bank.busy = False

    def _look_after(self, scope: Scope, bank: _Bank) -> None:
        """Open the index that is there, else, or if it is outdated, build one."""
        if bank.index is None and (found := self._open(scope)) is not None:
            came = self._came_since(scope, found)
            if came is not None:
                with self._lock:
                    bank.index, bank.came = found, came | bank.coming
        if not self._wants(scope, bank):
            return
        if self._is_small(scope):
            self.drop(scope)
            return
        head = self._read_head(scope)
        if head is None or head.settled != head.commit:  # units of a plan that is not settled may be yet to come
            return
        index = self._build(scope, bank, head)
        with self._lock:
            bank.index, bank.came = index, bank.coming

    def _open(self, scope: Scope) -> CellIndex | None:
        """The newest whole index of the bank; what else there is of it is removed."""
        found: CellIndex | None = None
        for path in sorted(self._made(scope.key), key=_age, reverse=True):
            if found is None:
                try:
                    found = open_index(path)
                    if (found.card.bank_key, found.card.space) == (scope.key, self._spaces.indexed):
                        continue
                    found = None
                except Unusable as exc:
                    log.warning("%s; the bank is searched exactly until it has another", exc)
            shutil.rmtree(path, ignore_errors=True)
        return found

    def _came_since(self, scope: Scope, index: CellIndex) -> dict[str, None] | None:
        """Units of later seqs than the index was built of, or put back by later owners; None if it is outdated."""
        later = Any_((Between(schema.SEQ, gte=index.card.seq + 1), Between(schema.EPOCH, gte=index.card.epoch + 1)))
        found = all_points(self._units, scoped(scope, _LIVE, EVIDENCE, later), ())
        most = _most_changed(index)
        came = {str(point.id): None for point in islice(found, most + 1)}
        return came if len(came) <= most else None

    def _build(self, scope: Scope, bank: _Bank, head: Head) -> CellIndex:
        began_s = time.monotonic()
        old = self._made(scope.key)
        path = self._maker.make(scope, head, lambda: self._is_going(bank))
        if bank.gone.is_set():
            shutil.rmtree(path, ignore_errors=True)
            raise Stopped
        index = open_index(path)
        for one in old:
            shutil.rmtree(one, ignore_errors=True)
        log.info("index of bank %r: %d units in %.1f s", scope.bank, index.card.units, time.monotonic() - began_s)
        return index

    def _is_going(self, bank: _Bank) -> bool:
        return self._stop.is_set() or bank.gone.is_set()

    def _made(self, bank_key: str) -> list[Path]:
        return [path for path in self._directory.glob(f"{name_of(bank_key)}.*") if path.suffix != MAKING]


def indexed_banks(directory: Path) -> set[Scope]:
    """Banks that have an index in the directory, as their cards say."""
    found: set[Scope] = set()
    for path in directory.glob("*.*"):
        with contextlib.suppress(Unusable):  # half made, or damaged
            found.add(scope_of_key(read_card(path).bank_key))
    return found


def _most_changed(index: CellIndex) -> int:
    return int(OUTDATED_SHARE * index.card.units)


def _age(path: Path) -> tuple[int, int]:
    try:
        card = read_card(path)
    except Unusable:
        return (-1, -1)
    return (card.seq, card.epoch)
