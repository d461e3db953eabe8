"""The embedded engine: two collections in one directory, owned by one process."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar, cast

from qdrant_edge import EdgeShard

from memory.errors import LorebankError
from memory.ids import Scope
from memory.records import Unit
from memory.store_calls import Call, HeadPage
from storage import schema
from storage.damage import heal
from storage.edge_reads import EdgeReads
from storage.edge_scan import EdgeScan
from storage.edge_shard import open_records, open_units
from storage.edge_writes import WRITES, EdgeWrites
from storage.operation_marks import OperationMarks
from storage.payload_cache import PayloadCache
from storage.translate_errors import translate_edge

T = TypeVar("T")

MARKS_FILE: Final = "operations"
CACHED_PAYLOADS: Final = 20_000
"""Payloads of units kept in memory, about 1.5 KB each."""


class EdgeStore:
    """Engine on qdrant-edge. Not safe for several writing threads; reads may run beside one writer.

    Every method raises StoreDamaged, StoreLocked or Unavailable where the engine fails (storage.translate_errors).
    """

    def __init__(self, directory: Path, dim: int, lock_timeout_s: float = 10.0) -> None:
        self._directory = directory
        self._units: EdgeShard = open_units(directory / schema.UNITS, dim, lock_timeout_s)
        self._records: EdgeShard = open_records(directory / schema.RECORDS, lock_timeout_s)
        cache = PayloadCache(CACHED_PAYLOADS)
        self._reads = EdgeReads(self._units, self._records, cache)
        self._writes = EdgeWrites(self._units, self._records, cache, dim)
        self._marks = OperationMarks(directory / MARKS_FILE, self._units, self._records)
        self.report = heal(self, directory, EdgeScan(self._units, self._records), *self._marks.compare())
        """What was found lost when the directory was opened; None where nothing was."""
        self._marks.accept()

    @property
    def dirty_bytes(self) -> int:
        """Roughly what was written since the last flush."""
        return self._writes.dirty_bytes

    def count_operation(self) -> None:
        """Count what was written since the last time as one operation, where a loss of it would be seen."""
        writes = self._writes
        if writes.wrote_units or writes.wrote_records:
            units, records = writes.wrote_units, writes.wrote_records
            writes.wrote_units = writes.wrote_records = False
            _guarded(lambda: self._marks.count(units=units, records=records))

    def flush(self) -> None:
        """Make everything written so far survive power loss; units before records, so that no record outlives them.

        Then the texts of commits whose units are on disk by that are let go; that is on disk after the next flush.
        """
        self.count_operation()
        forgettable = self._writes.texts_to_forget
        self._writes.dirty_bytes = 0
        _guarded(self._units.flush)
        _guarded(self._records.flush)
        self._marks.flushed()
        _guarded(lambda: self._writes.forget_texts(forgettable))
        self.count_operation()

    def close(self) -> None:
        """Flush and release the directory."""
        self.flush()
        if self.dirty_bytes:
            self.flush()
        self._units.close()
        self._records.close()
        self._marks.close()

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length.
        """
        perform = self._writes.perform if isinstance(call, WRITES) else self._reads.perform
        return cast("T", _guarded(lambda: perform(scope, call)))

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks that exist, by name."""
        return _guarded(lambda: self._reads.list_heads(tenant, limit, offset))

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`."""
        return _guarded(lambda: self._reads.list_due(now, limit))

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        return _guarded(lambda: self._reads.find_unit(tenant, unit_id))


def _guarded(action: Callable[[], T]) -> T:
    try:
        return action()
    except LorebankError:
        raise
    except Exception as exc:
        raise translate_edge(exc) from exc
