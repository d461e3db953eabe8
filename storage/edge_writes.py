"""The write calls of the store on the embedded engine: each is one atomic update of one collection."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from qdrant_edge import EdgeShard, Point, SparseVector, UpdateMode, UpdateOperation
from qdrant_edge import Filter as EdgeFilter

from memory.errors import Unprocessable
from memory.filters import AnyOf, Between, Filter, HasId, Not
from memory.ids import Scope, record_id
from memory.plans import WHOLE
from memory.records import Head, Record, RecordKind, UnitState
from memory.store_calls import (
    Call,
    ClearBank,
    CreateHead,
    ForgetText,
    InsertUnits,
    MoveUnits,
    NewUnit,
    RemoveRecords,
    RetireUnits,
    SetLive,
    SwapHead,
    SweepPending,
    TrimCommits,
    WriteRecords,
)
from storage import codec, schema
from storage.bm25 import document_weights
from storage.payload_cache import PayloadCache
from storage.query_to_edge import condition, scoped

_PENDING: Final = AnyOf(schema.STATE, (UnitState.PENDING.value,))
_TOKEN_BYTES: Final = 12

WRITES: Final = (
    InsertUnits,
    CreateHead,
    SwapHead,
    WriteRecords,
    SetLive,
    MoveUnits,
    RetireUnits,
    RemoveRecords,
    ClearBank,
    SweepPending,
    ForgetText,
    TrimCommits,
)
_UNITS_ONLY: Final = (InsertUnits, SetLive, MoveUnits, RetireUnits, SweepPending)
_UPDATE_POINTS: Final = 64
"""Points of one update: bigger ones make readers wait."""


class EdgeWrites:
    """Writes over the two collections, by one thread at a time; what they change, `cache` forgets."""

    def __init__(self, units: EdgeShard, records: EdgeShard, cache: PayloadCache, dim: int) -> None:
        self._units = units
        self._records = records
        self._cache = cache
        self._dim = dim
        self.dirty_bytes = 0
        """Roughly what was written since it was last set to 0."""
        self.wrote_units = False
        """Whether units were written since it was last set to False; `wrote_records` likewise."""
        self.wrote_records = False
        self._texts: list[tuple[Scope, Record]] = []

    def perform(self, scope: Scope, call: Call[Any]) -> Any:
        """The answer to a write call.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length.
            TypeError: it is no write call that this engine knows.
        """
        self.wrote_units |= isinstance(call, (*_UNITS_ONLY, ClearBank))
        self.wrote_records |= not isinstance(call, (*_UNITS_ONLY, ForgetText))
        match call:
            case InsertUnits(units):
                self._insert(scope, units)
            case CreateHead(head):
                point = Point(codec.head_id(scope), {}, codec.head_payload(scope, head, ""))
                self._records.update(UpdateOperation.upsert_points([point], update_mode=UpdateMode.InsertOnly))
            case SwapHead(expected, head, nonce):
                return self._swap_head(scope, expected, head, nonce)
            case WriteRecords(records):
                self._write_records(scope, records)
            case SetLive(ids, seq, epoch):
                where = scoped(scope, HasId(ids), _not_after(schema.SEQ, seq), _not_after(schema.EPOCH, epoch))
                payload = {schema.STATE: UnitState.LIVE.value, schema.SEQ: seq, schema.EPOCH: epoch}
                self._units.update(UpdateOperation.set_payload_by_filter(where, payload))
                self._cache.forget(ids)
            case MoveUnits(positions, epoch):
                for unit, at in positions.items():
                    where = scoped(scope, HasId((unit,)), _not_after(schema.EPOCH, epoch))
                    payload = {schema.POSITION: at, schema.EPOCH: epoch}
                    self._units.update(UpdateOperation.set_payload_by_filter(where, payload))
                self._cache.forget(positions)
            case RetireUnits(ids, seq, epoch):
                where = scoped(scope, HasId(ids), *_older(seq, epoch))
                self._units.update(UpdateOperation.delete_points_by_filter(where))
                self._cache.forget(ids)
            case RemoveRecords(kind, keys, seq, epoch):
                ids = tuple(record_id(scope, kind.value, key) for key in keys)
                where = scoped(scope, HasId(ids), *_older(seq, epoch))
                self._records.update(UpdateOperation.set_payload_by_filter(where, codec.removal(seq, epoch)))
            case ClearBank(seq, epoch):
                self._clear(scope, seq, epoch)
            case SweepPending(epoch):
                where = scoped(scope, _PENDING, _not_after(schema.EPOCH, epoch))
                self._units.update(UpdateOperation.delete_points_by_filter(where))
            case ForgetText(summary):
                self._texts.append((scope, summary))
                self.dirty_bytes += 1
            case TrimCommits(commit):
                history = (AnyOf(schema.KIND, (RecordKind.COMMIT.value,)), Not(AnyOf(schema.STATUS, (WHOLE,))))
                where = scoped(scope, *history, Between(schema.ORDER, lte=commit))
                self._records.update(UpdateOperation.delete_points_by_filter(where))
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")
        return None

    def forget_texts(self, count: int) -> None:
        """Replace the oldest `count` commit records that were to be forgotten by their summaries."""
        for start in range(0, count, _UPDATE_POINTS):
            part = self._texts[: min(_UPDATE_POINTS, count - start)]
            points = [
                Point(record_id(scope, summary.kind.value, summary.key), {}, codec.record_payload(scope, summary))
                for scope, summary in part
            ]
            still_whole = EdgeFilter(must=[condition(AnyOf(schema.STATUS, (WHOLE,)))])
            self._records.update(UpdateOperation.upsert_points(points, still_whole, UpdateMode.UpdateOnly))
            del self._texts[: len(part)]
            self.wrote_records = True
            self.dirty_bytes += 1

    @property
    def texts_to_forget(self) -> int:
        """Commit records that wait for the units written before them to be on disk."""
        return len(self._texts)

    def _insert(self, scope: Scope, units: Sequence[NewUnit]) -> None:
        """A conditional upsert inserts what is absent and changes only what meets the condition."""
        points = [(new.unit, self._point(scope, new)) for new in units]
        for seq, epoch in {(unit.seq, unit.epoch) for unit, _ in points}:
            part = [point for unit, point in points if (unit.seq, unit.epoch) == (seq, epoch)]
            leftover = scoped(scope, _PENDING, _not_after(schema.SEQ, seq), _not_after(schema.EPOCH, epoch))
            self._units.update(UpdateOperation.upsert_points(part, leftover))

    def _point(self, scope: Scope, new: NewUnit) -> Point:
        if new.vectors is None:
            raise Unprocessable(f"unit {new.unit.id} has no vectors")
        dense = new.vectors.dense
        if dense.shape != (self._dim,) or not np.isfinite(dense).all():
            raise Unprocessable(f"unit {new.unit.id}: expected {self._dim} finite numbers, got {dense.shape}")
        lexical: SparseVector = document_weights(new.vectors.lexical)
        self.dirty_bytes += dense.nbytes + len(new.unit.text) + _TOKEN_BYTES * len(lexical.indices)
        payload = codec.unit_payload(scope, new.unit, UnitState.PENDING)
        vectors: Any = {schema.DENSE: dense.tolist(), schema.LEXICAL: lexical}
        return Point(new.unit.id, vectors, payload)

    def _swap_head(self, scope: Scope, expected: Head, head: Head, nonce: str) -> bool:
        """UpdateOnly with a condition changes nothing where it does not hold; the nonce read back tells who won."""
        unchanged = scoped(
            scope,
            HasId((codec.head_id(scope),)),
            AnyOf(schema.EPOCH, (expected.epoch,)),
            AnyOf(schema.COMMIT, (expected.commit,)),
            AnyOf(schema.SETTLED, (expected.settled,)),
        )
        point = Point(codec.head_id(scope), {}, codec.head_payload(scope, head, nonce))
        self._records.update(UpdateOperation.upsert_points([point], unchanged, UpdateMode.UpdateOnly))
        self.dirty_bytes += 1
        found = self._records.retrieve([codec.head_id(scope)], [schema.NONCE], False)
        return bool(found) and (found[0].payload or {}).get(schema.NONCE) == nonce

    def _write_records(self, scope: Scope, records: Sequence[Record]) -> None:
        for stamp in {(record.seq, record.epoch) for record in records}:
            points = []
            for record in records:
                if (record.seq, record.epoch) == stamp:
                    payload = codec.record_payload(scope, record)
                    self.dirty_bytes += len(payload[schema.BODY])
                    points.append(Point(record_id(scope, record.kind.value, record.key), {}, payload))
            older = scoped(scope, _not_after(schema.SEQ, stamp[0]), _not_after(schema.EPOCH, stamp[1]))
            self._records.update(UpdateOperation.upsert_points(points, older))

    def _clear(self, scope: Scope, seq: int, epoch: int) -> None:
        older = _older(seq, epoch)
        kept = Not(AnyOf(schema.KIND, (RecordKind.HEAD.value, RecordKind.COMMIT.value)))
        self._units.update(UpdateOperation.delete_points_by_filter(scoped(scope, *older)))
        self._cache.forget()
        where = scoped(scope, kept, *older)
        self._records.update(UpdateOperation.set_payload_by_filter(where, codec.removal(seq, epoch)))


def _not_after(field: str, bound: int) -> Filter:
    return Between(field, lte=bound)


def _older(seq: int, epoch: int) -> tuple[Filter, Filter]:
    return Between(schema.SEQ, lte=seq - 1), Between(schema.EPOCH, lte=epoch)
