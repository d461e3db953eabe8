"""The embedded engine: two collections in one directory, owned by one process."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar, cast

from qdrant_edge import EdgeShard

from memory.audit_calls import ScopePage, Stray
from memory.errors import LorebankError, Unavailable
from memory.ids import Scope
from memory.records import Head, Unit
from memory.store_calls import (
    Call,
    ClearBank,
    CreateHead,
    GetRecords,
    HeadPage,
    ListRecords,
    ReadHead,
    RemoveRecords,
    SetLive,
    SwapHead,
    TrimCommits,
    WriteRecords,
)
from memory.upkeep_calls import SweepRemoved
from storage import schema
from storage.backup import copy_shard
from storage.bank_indexes import BankIndexes
from storage.bank_words import BankWords
from storage.courtesy import MOST_PASS_S, Crowd, courteous
from storage.damage import heal
from storage.directory import CLEAN_FILE, MARKS_FILE
from storage.document_places import DocumentPlaces
from storage.edge_errors import translate_edge
from storage.edge_reads import EdgeReads
from storage.edge_scan import EdgeScan
from storage.edge_shard import LOG, SEGMENTS, open_records, open_units, write_anew
from storage.edge_spaces import EdgeSpaces
from storage.edge_writes import WRITES, EdgeWrites
from storage.log_memory import let_go
from storage.log_sync import LogSync
from storage.operation_marks import OperationMarks
from storage.payload_cache import PayloadCache
from storage.read_ahead import read_ahead
from storage.write_back import write_back

T = TypeVar("T")

ON_RECORDS: Final = (
    *(ReadHead, GetRecords, ListRecords, CreateHead, SwapHead),
    *(WriteRecords, RemoveRecords, SweepRemoved, TrimCommits),
)
"""Calls that touch the records alone."""
CACHED_PAYLOADS: Final = 20_000
"""Payloads of units kept in memory, about 1.5 KB each."""
CACHED_PLACES: Final = 100_000
"""Units whose places in their documents are kept in memory, about 150 bytes each."""


class EdgeStore:
    """Engine on qdrant-edge. Not safe for several writing threads; reads may run beside one writer.

    Every method raises StoreDamaged, StoreLocked or Unavailable where the engine fails (storage.edge_errors).
    """

    def __init__(self, directory: Path, dim: int, lock_timeout_s: float = 10.0, index_units: int | None = None) -> None:
        """`index_units`: banks with at least so many units are searched by an index; 0 or None: as of BankIndexes."""
        self._directory, self._dim = directory, dim
        self._units_path, self._records_path = directory / schema.UNITS, directory / schema.RECORDS
        self._units: EdgeShard = open_units(self._units_path, dim, lock_timeout_s)
        self._records: EdgeShard = open_records(self._records_path, lock_timeout_s)
        cache, places = PayloadCache(CACHED_PAYLOADS), DocumentPlaces(CACHED_PLACES)
        self._spaces = spaces = EdgeSpaces(self._units, self._units_path)
        self._indexes = BankIndexes(directory, self._units, spaces, self._read_head, index_units)
        self._words = BankWords(self._units)
        self._crowd = Crowd()
        units, records = courteous(self._units, self._crowd), courteous(self._records, self._crowd)
        self._reads = EdgeReads(units, records, cache, places, self._indexes, self._words, spaces)
        self._writes = EdgeWrites(self._units, self._records, cache, places, self._words, spaces)
        self._logs = LogSync(self._units_path / LOG, self._records_path / LOG)
        self._marks = OperationMarks(directory / MARKS_FILE, self._units, self._records)
        self.report = heal(self, directory, EdgeScan(self._units, self._records), *self._marks.compare())
        """What was found lost when the directory was opened; None where nothing was."""
        self._indexes.clean(everything=self.report is not None)
        self._marks.accept()
        self._synced = 0
        self._closed = False
        (directory / CLEAN_FILE).unlink(missing_ok=True)

    @property
    def losses(self) -> list[str]:
        """What was found lost when the directory was opened, in sentences."""
        return self.report.sentences() if self.report else []

    @property
    def dirty_bytes(self) -> int:
        """Roughly what was written since the last flush."""
        return self._writes.dirty_bytes

    @property
    def unsynced(self) -> bool:
        """Whether something was counted that might not survive a power loss yet."""
        return self._marks.number > self._synced

    def count_operation(self) -> None:
        """Count what was written since the last time as one operation, where a loss of it would be seen."""
        writes = self._writes
        if writes.wrote_units or writes.wrote_records:
            units, records = writes.wrote_units, writes.wrote_records
            writes.wrote_units = writes.wrote_records = False
            _guarded(lambda: self._marks.count(units=units, records=records), self._directory)

    def sync(self) -> None:
        """Make everything counted so far survive power loss: in the logs, from which the engine makes it anew.

        May run beside writers and readers, in any thread; the interpreter's lock is free meanwhile.

        Raises:
            Unavailable: the disk does not take it.
        """
        number = self._marks.number
        try:
            self._logs.sync()
            self._marks.sync()
        except OSError as exc:
            raise Unavailable(f"{self._directory} cannot be written to disk: {exc.strerror or exc}") from exc
        self._synced = max(self._synced, number)

    def flush(self) -> None:
        """Write what the logs hold to the engine's own files, units before records, and let it forget those logs.

        So that a start has little to do anew. Everything written so far survives a power loss afterwards, too. Then
        the texts of commits whose units are on disk by that are let go; that is on disk after the next flush.
        """
        self.count_operation()
        forgettable = self._writes.texts_to_forget
        dirty_bytes, self._writes.dirty_bytes = self._writes.dirty_bytes, 0
        try:
            _guarded(self._units.flush, self._units_path)
            self._crowd.let_pass(MOST_PASS_S)
            _guarded(self._records.flush, self._records_path)
        except LorebankError:
            self._writes.dirty_bytes += dirty_bytes
            raise
        self._marks.flushed()
        self._synced = self._marks.number
        for path in (self._units_path, self._records_path):
            let_go(path / LOG)
        _guarded(lambda: self._writes.forget_texts(forgettable), self._records_path)
        self.count_operation()

    def write_back(self) -> None:
        """Write to disk ahead of a flush, which then holds readers up for less; writers and readers go on meanwhile."""
        write_back(self._units_path)
        write_back(self._records_path)

    def read_ahead(self, most_bytes: int, stopped: Callable[[], bool]) -> int:
        """Have the files in memory, records before units, before they are asked for; the bytes read.

        May run beside writers and readers, in any thread; the interpreter's lock is free meanwhile.
        """
        read = read_ahead(self._records_path / SEGMENTS, most_bytes, stopped)
        return read + read_ahead(self._units_path / SEGMENTS, most_bytes - read, stopped)

    def copy_to(self, target: Path) -> dict[str, int]:
        """Copy the files as they are after a flush; nobody may write meanwhile. Points of each collection."""
        while self.dirty_bytes:
            self.flush()
        self.flush()
        copy_shard(self._directory, target)
        shards = {schema.UNITS: self._units, schema.RECORDS: self._records}
        return {name: shard.info().points_count for name, shard in shards.items()}

    def compact(self) -> None:
        """Close the directory with files that hold no removed point any more, and no index that might know one."""
        self._indexes.clean(everything=True)
        self._indexes.close()
        self._words.close()
        while self.dirty_bytes:
            self.flush()
        self.flush()
        write_anew(self._units_path, self._units, lambda path: open_units(path, self._dim, 0.0))
        write_anew(self._records_path, self._records, lambda path: open_records(path, 0.0))
        self._marks.close()
        (self._directory / CLEAN_FILE).touch()
        self._closed = True

    def close(self) -> None:
        """Flush and release the directory."""
        if self._closed:
            return
        self._indexes.close()
        self._words.close()
        self.flush()
        if self.dirty_bytes:
            self.flush()
        self._units.close()
        self._records.close()
        self._marks.close()
        (self._directory / CLEAN_FILE).touch()

    def reading(self) -> AbstractContextManager[None]:
        """The length of one read, of however many calls: beside it those with long calls let others pass."""
        return self._crowd.reading()

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length.
        """
        where = self._records_path if isinstance(call, ON_RECORDS) else self._units_path
        perform = self._writes.perform if isinstance(call, WRITES) else self._reads.perform
        answer = cast("T", _guarded(lambda: perform(scope, call), where))
        if isinstance(call, SetLive):
            self._indexes.came(scope, call.ids)
        elif isinstance(call, ClearBank):
            self._indexes.drop(scope)
        return answer

    def _read_head(self, scope: Scope) -> Head | None:
        return self.call(scope, ReadHead())

    def stored_spaces(self) -> frozenset[str]:
        """Spaces that units may have vectors of."""
        return self._spaces.all

    def drop_space(self, space: str) -> None:
        """Let go of the vectors of a space in all banks, at once and with the room they take. Nobody asks for them.

        Token vectors are in payloads: those go by DropVectors.
        """
        if self._spaces.has(space):
            if space == self._spaces.indexed:
                self._indexes.drop_all()
            _guarded(lambda: self._spaces.drop(space), self._units_path)
            self._writes.wrote_units = True
            self._writes.dirty_bytes += 1

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks that exist, by name."""
        return _guarded(lambda: self._reads.list_heads(tenant, limit, offset), self._records_path)

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`."""
        return _guarded(lambda: self._reads.list_due(now, limit), self._records_path)

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        return _guarded(lambda: self._reads.find_unit(tenant, unit_id), self._units_path)

    def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Banks that have a head, for audits."""
        return _guarded(lambda: self._reads.audit.list_scopes(start, limit), self._records_path)

    def list_strays(self) -> tuple[Stray, ...]:
        """Points of banks without a head, for audits."""
        return _guarded(self._reads.audit.list_strays, self._directory)


def _guarded(action: Callable[[], T], where: Path) -> T:
    try:
        return action()
    except LorebankError:
        raise
    except Exception as exc:
        raise translate_edge(exc, str(where)) from exc
