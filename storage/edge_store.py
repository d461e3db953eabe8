"""The store's calls on the embedded engine: two collections in one directory, one writer process."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import (
    CountRequest,
    EdgeShard,
    FacetRequest,
    Filter,
    IdfParams,
    Point,
    Query,
    QueryBatchRequest,
    QueryRequest,
    SearchParams,
    SparseVector,
    UpdateMode,
    UpdateOperation,
)

from memory.errors import LorebankError, Unprocessable
from memory.filters import AnyOf, Between, HasId, Not
from memory.filters import Filter as NeutralFilter
from memory.ids import Scope, record_id
from memory.records import Head, Record, RecordKind, Unit, UnitState
from memory.store_calls import (
    RECALLED_KEYS,
    Call,
    ClearBank,
    CompleteHits,
    CountValues,
    CreateHead,
    FindLive,
    GetDense,
    GetRecords,
    GetUnits,
    HeadPage,
    Hits,
    InsertUnits,
    Lane,
    LaneHits,
    ListRecords,
    ListUnits,
    MoveUnits,
    NewUnit,
    ReadHead,
    RecordPage,
    RemoveRecords,
    RetireUnits,
    SearchLanes,
    SetLive,
    SwapHead,
    SweepPending,
    TrimCommits,
    UnitPage,
    WriteRecords,
)
from storage import codec, schema
from storage.bm25 import document_weights, query_weights
from storage.edge_scroll import all_payloads, ordered_page
from storage.edge_shard import open_records, open_units
from storage.query_to_edge import condition, scoped
from storage.translate_errors import translate_edge

T = TypeVar("T")
_LIVE: Final = AnyOf(schema.STATE, (UnitState.LIVE.value,))
_PENDING: Final = AnyOf(schema.STATE, (UnitState.PENDING.value,))
_TOKEN_BYTES: Final = 12


class EdgeStore:
    """Engine on qdrant-edge. Not safe for several writing threads; reads may run beside one writer."""

    def __init__(self, directory: Path, dim: int, lock_timeout_s: float = 10.0) -> None:
        self._dim = dim
        self._units: EdgeShard = open_units(directory / schema.UNITS, dim, lock_timeout_s)
        self._records: EdgeShard = open_records(directory / schema.RECORDS, lock_timeout_s)
        self.dirty_bytes = 0
        """Roughly what was written since the last flush."""

    def flush(self) -> None:
        """Make everything written so far survive power loss; units before records, so that no record outlives them."""
        self.dirty_bytes = 0
        self._guarded(self._units.flush)
        self._guarded(self._records.flush)

    def close(self) -> None:
        """Flush and release the directory."""
        self.flush()
        self._units.close()
        self._records.close()

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length.
            StoreDamaged, Unavailable: as storage.translate_errors says.
        """
        try:
            return cast("T", self._perform(scope, call))
        except LorebankError:
            raise
        except Exception as exc:
            raise translate_edge(exc) from exc

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks that exist, by name."""
        where = Filter(must=[_equals(schema.TENANT, tenant), *_head_exists()])
        heads = self._guarded(lambda: list(all_payloads(self._records, where)))
        found = [(payload[schema.BANK], payload) for payload in heads]
        found.sort(key=lambda pair: pair[0])
        banks = tuple((bank, codec.head_of(payload)) for bank, payload in found[offset : offset + limit])
        return HeadPage(banks, len(found))

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`."""
        head = condition(AnyOf(schema.KIND, (RecordKind.HEAD.value,)))
        where = Filter(must=[head, condition(Between(schema.DUE_AT, lte=now))])
        found = self._guarded(lambda: list(islice(all_payloads(self._records, where), limit)))
        return tuple(Scope(payload[schema.TENANT], payload[schema.BANK]) for payload in found)

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        for record in self._guarded(lambda: self._units.retrieve([unit_id], True, False)):
            payload = record.payload or {}
            if payload[schema.TENANT] == tenant and payload[schema.STATE] == UnitState.LIVE.value:
                return Scope(tenant, payload[schema.BANK]), codec.unit_of(str(record.id), payload)
        return None

    # -- dispatch

    def _perform(self, scope: Scope, call: Call[Any]) -> Any:
        match call:
            case SearchLanes():
                return self._search(scope, call)
            case CompleteHits():
                return self._complete(scope, call)
            case ReadHead():
                return self._head(scope)
            case GetRecords():
                return self._get_records(scope, call)
            case ListRecords():
                return self._list_records(scope, call)
            case GetUnits():
                return self._get_units(scope, call.ids)
            case GetDense():
                return self._get_dense(scope, call.ids)
            case ListUnits():
                return self._list_units(scope, call)
            case CountValues():
                return self._count_values(scope, call)
            case FindLive():
                return frozenset(self._get_states(scope, call.ids))
            case _:
                return self._write(scope, call)

    def _write(self, scope: Scope, call: Call[Any]) -> Any:
        match call:
            case InsertUnits(units):
                self._insert(scope, units)
            case CreateHead(head):
                point = Point(_head_id(scope), {}, codec.head_payload(scope, head, ""))
                self._records.update(UpdateOperation.upsert_points([point], update_mode=UpdateMode.InsertOnly))
            case SwapHead(expected, head, nonce):
                return self._swap_head(scope, expected, head, nonce)
            case WriteRecords(records):
                self._write_records(scope, records)
            case SetLive(ids, seq, epoch):
                where = scoped(scope, HasId(ids), _not_after(schema.SEQ, seq), _not_after(schema.EPOCH, epoch))
                payload = {schema.STATE: UnitState.LIVE.value, schema.SEQ: seq, schema.EPOCH: epoch}
                self._units.update(UpdateOperation.set_payload_by_filter(where, payload))
            case MoveUnits(positions, epoch):
                for unit, at in positions.items():
                    where = scoped(scope, HasId((unit,)), _not_after(schema.EPOCH, epoch))
                    payload = {schema.POSITION: at, schema.EPOCH: epoch}
                    self._units.update(UpdateOperation.set_payload_by_filter(where, payload))
            case RetireUnits(ids, seq, epoch):
                where = scoped(scope, HasId(ids), *_older(seq, epoch))
                self._units.update(UpdateOperation.delete_points_by_filter(where))
            case RemoveRecords(kind, keys, seq, epoch):
                ids = tuple(record_id(scope, kind.value, key) for key in keys)
                where = scoped(scope, HasId(ids), *_older(seq, epoch))
                self._records.update(UpdateOperation.set_payload_by_filter(where, codec.removal(seq, epoch)))
            case ClearBank(seq, epoch):
                self._clear(scope, seq, epoch)
            case SweepPending(epoch):
                where = scoped(scope, _PENDING, _not_after(schema.EPOCH, epoch))
                self._units.update(UpdateOperation.delete_points_by_filter(where))
            case TrimCommits(commit):
                commits = AnyOf(schema.KIND, (RecordKind.COMMIT.value,))
                where = scoped(scope, commits, Between(schema.ORDER, lte=commit))
                self._records.update(UpdateOperation.delete_points_by_filter(where))
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")
        return None

    # -- reads

    def _search(self, scope: Scope, call: SearchLanes) -> tuple[LaneHits, ...]:
        where = scoped(scope, _LIVE, call.where)
        answers = self._units.query_batch(QueryBatchRequest([self._lane(scope, lane, where) for lane in call.lanes]))
        return tuple(
            LaneHits(tuple(str(point.id) for point in points), tuple(point.score for point in points))
            for points in answers
        )

    def _lane(self, scope: Scope, lane: Lane, where: Filter) -> QueryRequest:
        if lane.dense is not None:
            return QueryRequest(limit=lane.limit, query=_nearest(lane.dense), filter=where)
        return QueryRequest(
            limit=lane.limit,
            query=Query.Nearest(query_weights(lane.lexical or ""), schema.LEXICAL),
            filter=where,
            params=SearchParams(idf=IdfParams(corpus=scoped(scope, _LIVE))),
        )

    def _complete(self, scope: Scope, call: CompleteHits) -> Hits:
        semantic, keyword = dict(call.semantic), dict(call.keyword)
        self._score(scope, call.dense_for, Lane(len(call.dense_for), dense=call.dense), semantic)
        self._score(scope, call.lexical_for, Lane(len(call.lexical_for), lexical=call.lexical), keyword)
        wanted: list[Any] = list(semantic.keys() | keyword.keys())
        found = self._units.retrieve(wanted, True, False)
        payloads = {str(record.id): record.payload or {} for record in found}
        ids = sorted(unit for unit, payload in payloads.items() if _is_live(scope, payload))
        return Hits(
            tuple(ids),
            tuple(_recalled(payloads[unit]) for unit in ids),
            np.array([semantic.get(unit, 0.0) for unit in ids], dtype=np.float64),
            np.array([keyword.get(unit, 0.0) for unit in ids], dtype=np.float64),
        )

    def _score(self, scope: Scope, ids: tuple[str, ...], lane: Lane, scores: dict[str, float]) -> None:
        """Add the lane's scores of the named units."""
        if ids:
            points = self._units.query(self._lane(scope, lane, scoped(scope, _LIVE, HasId(ids))))
            scores.update((str(point.id), point.score) for point in points)

    def _head(self, scope: Scope) -> Head | None:
        found = self._records.retrieve([_head_id(scope)], True, False)
        return codec.head_of(found[0].payload or {}) if found else None

    def _get_records(self, scope: Scope, call: GetRecords) -> dict[str, Record]:
        ids: list[Any] = [record_id(scope, call.kind.value, key) for key in call.keys]
        return codec.records_of(record.payload or {} for record in self._records.retrieve(ids, True, False))

    def _list_records(self, scope: Scope, call: ListRecords) -> RecordPage:
        where = scoped(scope, AnyOf(schema.KIND, (call.kind.value,)), codec.of_status(call.status))
        total = self._records.count(CountRequest(filter=where, exact=True))
        payloads = ordered_page(self._records, where, schema.ORDER, call.limit, call.offset)
        return RecordPage(tuple(codec.record_of(payload) for _, payload in payloads), total)

    def _get_units(self, scope: Scope, ids: Sequence[str]) -> dict[str, Unit]:
        found = self._units.retrieve(list(ids), True, False)
        return {
            str(record.id): codec.unit_of(str(record.id), record.payload or {})
            for record in found
            if _is_live(scope, record.payload)
        }

    def _get_states(self, scope: Scope, ids: Sequence[str]) -> list[str]:
        found = self._units.retrieve(list(ids), [schema.STATE, schema.BANK_KEY], False)
        return [str(record.id) for record in found if _is_live(scope, record.payload)]

    def _get_dense(self, scope: Scope, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        found = self._units.retrieve(list(ids), [schema.BANK_KEY], [schema.DENSE])
        return {
            str(record.id): np.asarray(cast("Any", record.vector)[schema.DENSE], dtype=np.float32)
            for record in found
            if (record.payload or {}).get(schema.BANK_KEY) == scope.key
        }

    def _list_units(self, scope: Scope, call: ListUnits) -> UnitPage:
        where = scoped(scope, _LIVE, call.where)
        total = self._units.count(CountRequest(filter=where, exact=True))
        points = ordered_page(self._units, where, schema.SEQ, call.limit, call.offset)
        return UnitPage(tuple(codec.unit_of(point, payload) for point, payload in points), total)

    def _count_values(self, scope: Scope, call: CountValues) -> dict[str, int]:
        where = scoped(scope, _LIVE, call.where)
        answer = self._units.facet(FacetRequest(key=call.field, limit=call.limit, exact=True, filter=where))
        return {str(hit.value): hit.count for hit in answer.hits}

    # -- writes

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
        vectors: Any = {schema.DENSE: dense, schema.LEXICAL: lexical}
        return Point(new.unit.id, vectors, payload)

    def _swap_head(self, scope: Scope, expected: Head, head: Head, nonce: str) -> bool:
        """UpdateOnly with a condition changes nothing where it does not hold; the nonce read back tells who won."""
        condition = scoped(
            scope,
            HasId((_head_id(scope),)),
            AnyOf(schema.EPOCH, (expected.epoch,)),
            AnyOf(schema.COMMIT, (expected.commit,)),
            AnyOf(schema.SETTLED, (expected.settled,)),
        )
        point = Point(_head_id(scope), {}, codec.head_payload(scope, head, nonce))
        self._records.update(UpdateOperation.upsert_points([point], condition, UpdateMode.UpdateOnly))
        self.dirty_bytes += 1
        found = self._records.retrieve([_head_id(scope)], [schema.NONCE], False)
        return bool(found) and (found[0].payload or {}).get(schema.NONCE) == nonce

    def _write_records(self, scope: Scope, records: Sequence[Record]) -> None:
        for stamp in {(record.seq, record.epoch) for record in records}:
            points = []
            for record in records:
                if (record.seq, record.epoch) == stamp:
                    payload = codec.record_payload(scope, record)
                    self.dirty_bytes += len(payload[schema.BODY])
                    points.append(Point(record_id(scope, record.kind.value, record.key), {}, payload))
            condition = scoped(scope, _not_after(schema.SEQ, stamp[0]), _not_after(schema.EPOCH, stamp[1]))
            self._records.update(UpdateOperation.upsert_points(points, condition))

    def _clear(self, scope: Scope, seq: int, epoch: int) -> None:
        older = _older(seq, epoch)
        kept = Not(AnyOf(schema.KIND, (RecordKind.HEAD.value, RecordKind.COMMIT.value)))
        self._units.update(UpdateOperation.delete_points_by_filter(scoped(scope, *older)))
        where = scoped(scope, kept, *older)
        self._records.update(UpdateOperation.set_payload_by_filter(where, codec.removal(seq, epoch)))

    def _guarded(self, action: Any) -> Any:
        try:
            return action()
        except Exception as exc:
            raise translate_edge(exc) from exc


def _head_id(scope: Scope) -> str:
    return record_id(scope, RecordKind.HEAD.value, codec.HEAD_KEY)


def _is_live(scope: Scope, payload: dict[str, Any] | None) -> bool:
    live = UnitState.LIVE.value
    return payload is not None and payload[schema.BANK_KEY] == scope.key and payload[schema.STATE] == live


def _recalled(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: payload[key] for key in RECALLED_KEYS if key in payload}


def _nearest(dense: NDArray[np.float32]) -> Query:
    vector: Any = dense  # the engine takes numpy arrays; its stubs do not say so
    return Query.Nearest(vector, schema.DENSE)


def _not_after(field: str, bound: int) -> NeutralFilter:
    return Between(field, lte=bound)


def _older(seq: int, epoch: int) -> tuple[NeutralFilter, NeutralFilter]:
    return Between(schema.SEQ, lte=seq - 1), Between(schema.EPOCH, lte=epoch)


def _equals(field: str, value: str) -> Any:
    return condition(AnyOf(field, (value,)))


def _head_exists() -> list[Any]:
    return [_equals(schema.KIND, RecordKind.HEAD.value), _equals(schema.STATUS, schema.HEAD_EXISTS)]
