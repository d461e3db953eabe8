"""The write calls of the store on the embedded engine: each changes one collection."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from qdrant_edge import CountRequest, EdgeShard, Point, PointVectors, SparseVector

from memory.encoding import encode_relinked
from memory.errors import Unprocessable
from memory.filters import AnyOf, Between, Not
from memory.ids import Scope, record_id
from memory.plans import WHOLE
from memory.records import Embedding, Head, Record, RecordKind, Relinked, UnitState
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
from memory.upkeep_calls import AddVectors, DroppedPage, DropVectors, RelinkUnits, SweepRemoved, Swept
from storage import codec, schema
from storage.bank_words import BankWords
from storage.bm25 import document_weights
from storage.document_places import DocumentPlaces
from storage.edge_collection import UPDATE_POINTS, EdgeCollection, Guard, Payload
from storage.edge_spaces import EdgeSpaces
from storage.payload_cache import PayloadCache
from storage.query_to_edge import scoped
from storage.vectors import check_dense

_PENDING: Final = AnyOf(schema.STATE, (UnitState.PENDING.value,))
_TOKEN_BYTES: Final = 12
_CHANGED_BYTES: Final = 512
"""What a change counts: a flush has indexes to write for it."""
_APART_CHANGES: Final = 24
"""A bank's removals count so many changes more: its units lie apart, and a flush writes other pages for each."""
_STAMPS: Final = (schema.BANK_KEY, schema.STATE, schema.SEQ, schema.EPOCH)

WRITES: Final = (
    InsertUnits,
    CreateHead,
    SwapHead,
    WriteRecords,
    SetLive,
    MoveUnits,
    RelinkUnits,
    AddVectors,
    DropVectors,
    RetireUnits,
    RemoveRecords,
    ClearBank,
    SweepPending,
    SweepRemoved,
    ForgetText,
    TrimCommits,
)
_UNITS_ONLY: Final = (
    *(InsertUnits, SetLive, MoveUnits, RelinkUnits),
    *(AddVectors, DropVectors, RetireUnits, SweepPending),
)


class EdgeWrites:
    """Writes over the two collections, by one thread at a time; what they change, `cache` and `places` forget."""

    def __init__(
        self,
        units: EdgeShard,
        records: EdgeShard,
        cache: PayloadCache,
        places: DocumentPlaces,
        words: BankWords,
        spaces: EdgeSpaces,
    ) -> None:
        self._units = EdgeCollection(units, self._changed_units)
        self._records = EdgeCollection(records, self._changed_records)
        self._cache = cache
        self._places = places
        self._words = words
        self._spaces = spaces
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
                if not self._records.stored([codec.head_id(scope)], _STAMPS):
                    self._records.put([Point(codec.head_id(scope), {}, codec.head_payload(scope, head, ""))])
            case SwapHead(expected, head, nonce):
                return self._swap_head(scope, expected, head, nonce)
            case WriteRecords(records):
                self._write_records(scope, records)
            case SetLive(ids, seq, epoch):
                found = self._own(self._units, scope, ids, _not_after(seq, epoch))
                with self._words.changing(scope, found):
                    self._units.change(
                        found, {schema.STATE: UnitState.LIVE.value, schema.SEQ: seq, schema.EPOCH: epoch}
                    )
                self._cache.forget(ids)
            case MoveUnits(positions, epoch):
                for unit in self._own(self._units, scope, tuple(positions), lambda p: p[schema.EPOCH] <= epoch):
                    self._units.change([unit], {schema.POSITION: positions[unit], schema.EPOCH: epoch})
                self._cache.forget(positions)
                self._places.forget(scope.key)
            case RelinkUnits(units, epoch):
                self._relink(scope, units, epoch)
            case AddVectors(vectors):
                self._add_vectors(scope, vectors)
            case DropVectors():
                return self._drop_vectors(scope, call)
            case RetireUnits(ids, seq, epoch):
                found = self._own(self._units, scope, ids, _not_after(seq - 1, epoch))
                with self._words.changing(scope, found):
                    self._units.drop(found)
                self._cache.forget(ids)
            case RemoveRecords(kind, keys, seq, epoch, at_us):
                ids = tuple(record_id(scope, kind.value, key) for key in keys)
                found = self._own(self._records, scope, ids, _not_after(seq - 1, epoch))
                self._records.change(found, codec.removal(seq, epoch, at_us))
            case ClearBank():
                return self._clear(scope, call)
            case SweepRemoved(before_us, limit):
                return self._sweep_removed(scope, before_us, limit)
            case SweepPending(epoch):
                pending = self._units.matching(scoped(scope, _PENDING), _STAMPS)
                self._units.drop([unit for unit, payload in pending if payload[schema.EPOCH] <= epoch])
            case ForgetText(summary):
                self._texts.append((scope, summary))
                self.dirty_bytes += 1
            case TrimCommits(commit):
                history = (AnyOf(schema.KIND, (RecordKind.COMMIT.value,)), Not(AnyOf(schema.STATUS, (WHOLE,))))
                where = scoped(scope, *history, Between(schema.ORDER, lte=commit))
                self._records.drop([record for record, _ in self._records.matching(where, _STAMPS)])
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")
        return None

    def _own(self, collection: EdgeCollection, scope: Scope, ids: Sequence[str], guard: Guard) -> list[str]:
        """Which of the points are there, are the bank's and pass the guard."""
        stored = collection.stored(ids, _STAMPS)
        return [
            point for point, payload in stored.items() if payload.get(schema.BANK_KEY) == scope.key and guard(payload)
        ]

    def forget_texts(self, count: int) -> None:
        """Replace the oldest `count` commit records that were to be forgotten by their summaries."""
        while count > 0:
            part = self._texts[: min(UPDATE_POINTS, count)]
            count -= len(part)
            summaries = {record_id(scope, made.kind.value, made.key): (scope, made) for scope, made in part}
            whole = self._records.stored(list(summaries), (schema.STATUS,))
            self._records.put(
                [
                    Point(id_, {}, codec.record_payload(*summaries[id_]))
                    for id_, payload in whole.items()
                    if payload[schema.STATUS] == WHOLE
                ]
            )
            del self._texts[: len(part)]
            self.wrote_records = True
            self.dirty_bytes += 1

    def _changed_units(self, points: int) -> None:
        self.dirty_bytes += _CHANGED_BYTES * points

    def _changed_records(self, points: int) -> None:
        self.dirty_bytes += _CHANGED_BYTES * points

    @property
    def texts_to_forget(self) -> int:
        """Commit records that wait for the units written before them to be on disk."""
        return len(self._texts)

    def _insert(self, scope: Scope, units: Sequence[NewUnit]) -> None:
        points = {new.unit.id: (new.unit, self._point(scope, new)) for new in units}
        stored = self._units.stored(list(points), _STAMPS)
        self._units.put(
            [
                point
                for id_, (unit, point) in points.items()
                if id_ not in stored or _is_leftover(stored[id_], scope, unit.seq, unit.epoch)
            ]
        )
        self._places.forget(scope.key, {new.unit.document_id for new in units})

    def _point(self, scope: Scope, new: NewUnit) -> Point:
        if new.vectors is None:
            raise Unprocessable(f"unit {new.unit.id} has no vectors")
        lexical: SparseVector = document_weights(new.vectors.lexical)
        self.dirty_bytes += len(new.unit.text) + _TOKEN_BYTES * len(lexical.indices)
        payload = codec.new_payload(scope, new)
        vectors: Any = {schema.LEXICAL: lexical}
        for made in new.vectors.embeddings:
            vectors |= self._named(new.unit.id, made)
        return Point(new.unit.id, vectors, payload)

    def _named(self, unit: str, made: Embedding) -> dict[str, Any]:
        """A sentence vector by its name, of a space that is there from now on."""
        check_dense(made.dense, self._spaces.dim(made.space) or made.dense.size, f"unit {unit}")
        self._spaces.ensure(made.space, len(made.dense))
        self.dirty_bytes += made.dense.nbytes + len(made.tokens)
        return {schema.dense_name(made.space): made.dense.tolist()}

    def _add_vectors(self, scope: Scope, vectors: Mapping[str, Embedding]) -> None:
        there = self._own(self._units, scope, tuple(vectors), lambda _: True)
        self._units.add_vectors(PointVectors(unit, self._named(unit, vectors[unit])) for unit in there)
        for unit in there:
            if payload := codec.tokens_payload(vectors[unit]):
                self._units.change([unit], payload)
        self._cache.forget(there)

    def _drop_vectors(self, scope: Scope, call: DropVectors) -> DroppedPage:
        name, key = schema.dense_name(call.space), schema.tokens_key(call.space)
        page, following = self._units.page_of_bank(scope, call.start, call.limit, [key])
        there = self._units.having(tuple(unit for unit, _ in page), name) if self._spaces.has(call.space) else set()
        packed = [unit for unit, payload in page if key in payload]
        self._units.drop_vectors(sorted(there), name)
        self._units.drop_keys(packed, [key])
        self._cache.forget(packed)
        return DroppedPage(len(there.union(packed)), len(page), following)

    def _swap_head(self, scope: Scope, expected: Head, head: Head, nonce: str) -> bool:
        point = codec.head_id(scope)
        stored = self._records.stored([point], (*_STAMPS, schema.COMMIT, schema.SETTLED, schema.NONCE)).get(point)
        if stored is None:
            return False
        found = (stored[schema.EPOCH], stored[schema.COMMIT], stored[schema.SETTLED])
        if found != (expected.epoch, expected.commit, expected.settled):
            return bool(stored[schema.NONCE] == nonce)
        self._records.put([Point(point, {}, codec.head_payload(scope, head, nonce))])
        self.dirty_bytes += 1
        return True

    def _write_records(self, scope: Scope, records: Sequence[Record]) -> None:
        by_id = {record_id(scope, record.kind.value, record.key): record for record in records}
        stored = self._records.stored(list(by_id), _STAMPS)
        points = []
        for id_, record in by_id.items():
            if id_ not in stored or _not_after(record.seq, record.epoch)(stored[id_]):
                payload = codec.record_payload(scope, record)
                self.dirty_bytes += len(payload[schema.BODY])
                points.append(Point(id_, {}, payload))
        self._records.put(points)

    def _relink(self, scope: Scope, units: Sequence[Relinked], epoch: int) -> None:
        changes = {one.unit_id: encode_relinked(one) | {schema.EPOCH: epoch} for one in units}
        for unit in self._own(self._units, scope, tuple(changes), lambda p: p[schema.EPOCH] <= epoch):
            self._units.change([unit], changes[unit])
        self._cache.forget(changes)

    def _sweep_removed(self, scope: Scope, before_us: int, limit: int) -> Swept:
        old = self._records.matching(scoped(scope, *codec.removed(before_us)), _STAMPS)
        ids = [record for record, _ in islice(old, limit)]
        self._records.drop(ids)
        left = CountRequest(filter=scoped(scope, *codec.removed()), exact=True)
        return Swept(len(ids), self._records.shard.count(left))

    def _clear(self, scope: Scope, call: ClearBank) -> str | None:
        """Units first. A page's last id is the next one's start, so what is removed meanwhile moves nothing."""
        older = _older(call.seq, call.epoch)
        name, _, start = (call.start or schema.UNITS).partition("/")
        left = call.limit
        if name == schema.UNITS:
            page, following = self._units.page_of_bank(scope, start or None, left, _STAMPS)
            gone = [unit for unit, payload in page if older(payload)]
            self._words.drop(scope)
            self._units.drop(gone)
            self._words.drop(scope)  # who counts meanwhile
            self._changed_units(_APART_CHANGES * len(gone))
            self._cache.forget(gone)
            left -= len(page)
            if following is not None or not left:
                return f"{schema.RECORDS}/" if following is None else f"{schema.UNITS}/{following}"
            start = ""
        kept = (RecordKind.HEAD.value, RecordKind.COMMIT.value)
        page, following = self._records.page_of_bank(scope, start or None, left, (*_STAMPS, schema.KIND))
        removed = [record for record, payload in page if older(payload) and payload.get(schema.KIND) not in kept]
        self._records.change(removed, codec.removal(call.seq, call.epoch, call.at_us))
        return None if following is None else f"{schema.RECORDS}/{following}"


def _not_after(seq: int, epoch: int) -> Guard:
    return lambda payload: bool(payload[schema.SEQ] <= seq and payload[schema.EPOCH] <= epoch)


def _is_leftover(payload: Payload, scope: Scope, seq: int, epoch: int) -> bool:
    pending = payload[schema.BANK_KEY] == scope.key and payload[schema.STATE] == UnitState.PENDING.value
    return pending and _not_after(seq, epoch)(payload)


def _older(seq: int, epoch: int) -> Guard:
    """What bears no seq and epoch is not older."""
    return lambda payload: payload.get(schema.SEQ, seq) < seq and payload.get(schema.EPOCH, epoch + 1) <= epoch
