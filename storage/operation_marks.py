"""How much each collection holds, counted outside its log: what tells a log that loads short from one that is whole.

Two counts of each collection are kept, and agree unless something was lost: one in a point of the collection itself,
which its log brings back, and one in a small mapped file beside the collections. What is in the file survives the end
of the process at once, as the logs do, and a power loss when it is synced, as the logs are.
"""

import mmap
import os
import struct
import uuid
import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

from qdrant_edge import EdgeShard, Point, UpdateOperation

from memory.errors import StoreDamaged
from storage import schema

COUNTER_ID: Final = "00000000-0000-4000-8000-000000000001"
"""Point of the counter in each collection. No bank's id is of this version, and it has no bank's key."""
OPERATIONS: Final = "operations"
_CHECKED: Final = "checked"
_RESERVED: Final = {schema.KIND: schema.RESERVED_KINDS[0]}
_FORMAT: Final = struct.Struct("<7QI")
_SLOT_BYTES: Final = 128
_SLOTS: Final = 2


class Loss(IntEnum):
    """What of a collection is missing."""

    NONE = 0
    WINDOW = 1
    """Nothing that was flushed: only what was written since the last flush."""
    FLUSHED = 2
    """What was flushed too, or points that no log brings back."""


@dataclass(frozen=True, slots=True)
class Count:
    """Of one collection: write operations, how many of them were flushed, and the points after the last one."""

    operations: int = 0
    flushed: int = 0
    points: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """Counts of both collections; `number` grows with every write of the file."""

    number: int = 0
    units: Count = Count()
    records: Count = Count()


@dataclass(frozen=True, slots=True)
class Found:
    """One collection compared with its mark."""

    loss: Loss
    lost_operations: int
    lost_points: int


class MarksFile:
    """Marks in a mapped file with two slots, written in turn, so that a process killed in a write leaves the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._file = path.open("r+b")
        if path.stat().st_size < _SLOT_BYTES * _SLOTS:
            self._file.truncate(_SLOT_BYTES * _SLOTS)
        self._map = mmap.mmap(self._file.fileno(), _SLOT_BYTES * _SLOTS)

    def read(self) -> Marks | None:
        """The last marks written; None where there are none."""
        slots = [self._slot(number) for number in range(_SLOTS)]
        return max((marks for marks in slots if marks), key=lambda marks: marks.number, default=None)

    def write(self, marks: Marks) -> None:
        """Survives the end of the process from here on."""
        u, r = marks.units, marks.records
        values = (marks.number, u.operations, u.flushed, u.points, r.operations, r.flushed, r.points)
        body = _FORMAT.pack(*values, 0)[:-4]
        at = marks.number % _SLOTS * _SLOT_BYTES
        self._map[at : at + _FORMAT.size] = body + zlib.crc32(body).to_bytes(4, "little")

    def sync(self) -> None:
        """Survives a power loss from here on. Other threads run on, as they would not in a flush of the mapping."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        self._file.close()

    def _slot(self, number: int) -> Marks | None:
        raw = self._map[number * _SLOT_BYTES : number * _SLOT_BYTES + _FORMAT.size]
        count, *values, check = _FORMAT.unpack(raw)
        if not count or zlib.crc32(raw[:-4]) != check:
            return None
        return Marks(count, Count(*values[:3]), Count(*values[3:]))


class OperationMarks:
    """The counts of one directory: compared when it is opened, moved on with every procedure that wrote."""

    def __init__(self, path: Path, units: EdgeShard, records: EdgeShard) -> None:
        self._file = MarksFile(path)
        self._units = units
        self._records = records
        self._marks = self._file.read() or Marks()

    def compare(self) -> tuple[Found, Found]:
        """What units and records have lost since the file was written."""
        return _compare(self._units, self._marks.units), _compare(self._records, self._marks.records)

    def accept(self) -> None:
        """Take what the collections hold now for the whole: they are new, or what they lost was dealt with."""
        units, records = self._marks.units, self._marks.records
        self._marks = replace(
            self._marks,
            units=replace(units, operations=max(units.operations, _stored(self._units))),
            records=replace(records, operations=max(records.operations, _stored(self._records))),
        )
        self.count(units=True, records=True)

    def count(self, *, units: bool, records: bool) -> None:
        """One more operation on the named collections."""
        marks = self._marks
        if units:
            marks = replace(marks, units=_counted(self._units, marks.units))
        if records:
            marks = replace(marks, records=_counted(self._records, marks.records))
        self._write(marks)

    def flushed(self) -> None:
        """Both collections are on disk as they were counted last."""
        units, records = self._marks.units, self._marks.records
        self._write(
            replace(
                self._marks,
                units=replace(units, flushed=units.operations),
                records=replace(records, flushed=records.operations),
            )
        )
        self._file.sync()

    @property
    def number(self) -> int:
        """Grows with everything that is counted."""
        return self._marks.number

    def sync(self) -> None:
        """What was counted so far survives a power loss."""
        self._file.sync()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write(self, marks: Marks) -> None:
        self._marks = replace(marks, number=marks.number + 1)
        self._file.write(self._marks)


def _counted(shard: EdgeShard, count: Count) -> Count:
    operations = count.operations + 1
    shard.update(UpdateOperation.upsert_points([Point(COUNTER_ID, {}, {**_RESERVED, OPERATIONS: operations})]))
    return Count(operations, count.flushed, shard.info().points_count)


def _compare(shard: EdgeShard, count: Count) -> Found:
    stored = _stored(shard)
    points = shard.info().points_count
    if stored >= count.operations:
        # A procedure that a killed process left in the middle may have removed points after the last count.
        missing = max(0, count.points - points) if stored == count.operations else 0
        return Found(Loss.FLUSHED if missing else Loss.NONE, 0, missing)
    loss = Loss.WINDOW if stored >= count.flushed else Loss.FLUSHED
    return Found(loss, count.operations - stored, max(0, count.points - points))


def _stored(shard: EdgeShard) -> int:
    found = shard.retrieve([COUNTER_ID], [OPERATIONS], False)
    if not found:
        return 0
    value = (found[0].payload or {}).get(OPERATIONS)
    if not isinstance(value, int):
        raise StoreDamaged(f"the operation counter holds {value!r}; restore a backup")
    return value


def takes_writes(shard: EdgeShard) -> bool:
    """Whether the counter, the point written last, can still be written.

    The engine numbers its operations by its log and takes one whose number is lower than a point's for an old one. A
    log that was deleted, or cut back behind what was flushed, starts with such numbers: it would ignore every change.
    """
    found = shard.retrieve([COUNTER_ID], True, False)
    if not found:
        return True
    nonce = uuid.uuid4().hex
    payload = {**(found[0].payload or {}), _CHECKED: nonce}
    shard.update(UpdateOperation.upsert_points([Point(COUNTER_ID, {}, payload)]))
    return (shard.retrieve([COUNTER_ID], True, False)[0].payload or {}).get(_CHECKED) == nonce
