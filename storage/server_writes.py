"""The write calls of the store on a Qdrant server: each is one conditional update, safe to be sent by a late owner."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from qdrant_client import models

from memory.encoding import encode_relinked
from memory.errors import Unprocessable
from memory.filters import AnyOf, Between, Filter, HasId, Not
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
from storage.bm25 import document_weights
from storage.query_to_client import scoped
from storage.server_client import Collection
from storage.server_spaces import ServerSpaces
from storage.vectors import check_dense

_PENDING: Final = AnyOf(schema.STATE, (UnitState.PENDING.value,))


class ServerWrites:
    """Writes over the two collections, by any number of processes: conditions, not this process, keep them apart."""

    def __init__(self, units: Collection, records: Collection, spaces: ServerSpaces) -> None:
        self._units = units
        self._records = records
        self._spaces = spaces

    async def perform(self, scope: Scope, call: Call[Any]) -> Any:
        """The answer to a write call.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length.
            TypeError: it is no write call that this engine knows.
        """
        at = scope.bucket
        match call:
            case InsertUnits(units):
                await self._insert(scope, units)
            case CreateHead(head):
                point = _record(codec.head_id(scope), codec.head_payload(scope, head, ""))
                await self._records.upsert(at, [point], mode=models.UpdateMode.INSERT_ONLY)
            case SwapHead(expected, head, nonce):
                return await self._swap_head(scope, expected, head, nonce)
            case WriteRecords(records):
                await self._write_records(scope, records)
            case SetLive(ids, seq, epoch):
                where = scoped(scope, HasId(ids), *_not_after(seq, epoch))
                payload = {schema.STATE: UnitState.LIVE.value, schema.SEQ: seq, schema.EPOCH: epoch}
                await self._units.set_payload(at, where, payload)
            case MoveUnits(positions, epoch):
                await self._move(scope, positions.items(), epoch)
            case RelinkUnits(units, epoch):
                await self._relink(scope, units, epoch)
            case AddVectors(vectors):
                await self._add_vectors(scope, vectors)
            case DropVectors():
                return await self._drop_vectors(scope, call)
            case RetireUnits(ids, seq, epoch):
                await self._units.delete(at, scoped(scope, HasId(ids), *_older(seq, epoch)))
            case RemoveRecords(kind, keys, seq, epoch, at_us):
                ids = tuple(record_id(scope, kind.value, key) for key in keys)
                where = scoped(scope, HasId(ids), *_older(seq, epoch))
                await self._records.set_payload(at, where, codec.removal(seq, epoch, at_us))
            case ClearBank(seq, epoch, at_us):  # others do not wait for it there: all at once
                kept = Not(AnyOf(schema.KIND, (RecordKind.HEAD.value, RecordKind.COMMIT.value)))
                await self._units.delete(at, scoped(scope, *_older(seq, epoch)))
                where = scoped(scope, kept, *_older(seq, epoch))
                await self._records.set_payload(at, where, codec.removal(seq, epoch, at_us))
            case SweepRemoved(before_us, limit):
                return await self._sweep_removed(scope, before_us, limit)
            case SweepPending(epoch):
                await self._units.delete(at, scoped(scope, _PENDING, Between(schema.EPOCH, lte=epoch)))
            case ForgetText(summary):
                made = _record(record_id(scope, summary.kind.value, summary.key), codec.record_payload(scope, summary))
                whole = scoped(scope, AnyOf(schema.STATUS, (WHOLE,)))
                await self._records.upsert(at, [made], whole, models.UpdateMode.UPDATE_ONLY)
            case TrimCommits(commit):
                history = (AnyOf(schema.KIND, (RecordKind.COMMIT.value,)), Not(AnyOf(schema.STATUS, (WHOLE,))))
                await self._records.delete(at, scoped(scope, *history, Between(schema.ORDER, lte=commit)))
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")
        return None

    async def _insert(self, scope: Scope, units: Sequence[NewUnit]) -> None:
        """A conditional upsert inserts what is absent and changes only what meets the condition."""
        points = [(new.unit, await self._point(scope, new)) for new in units]
        for seq, epoch in {(unit.seq, unit.epoch) for unit, _ in points}:
            part = [point for unit, point in points if (unit.seq, unit.epoch) == (seq, epoch)]
            leftover = scoped(scope, _PENDING, *_not_after(seq, epoch))
            await self._units.upsert(scope.bucket, part, leftover)

    async def _point(self, scope: Scope, new: NewUnit) -> models.PointStruct:
        if new.vectors is None:
            raise Unprocessable(f"unit {new.unit.id} has no vectors")
        weights = document_weights(new.vectors.lexical)
        lexical = models.SparseVector(indices=list(weights.indices), values=list(weights.values))
        vectors: Any = {schema.LEXICAL: lexical}
        for made in new.vectors.embeddings:
            vectors |= await self._named(new.unit.id, made)
        payload = codec.new_payload(scope, new)
        return models.PointStruct(id=new.unit.id, vector=vectors, payload=payload)

    async def _named(self, unit: str, made: Embedding) -> dict[str, list[float]]:
        """A sentence vector by its name, of a space that is there from now on."""
        check_dense(made.dense, self._spaces.dim(made.space) or made.dense.size, f"unit {unit}")
        await self._spaces.ensure(made.space, len(made.dense))
        return {schema.dense_name(made.space): made.dense.tolist()}

    async def _add_vectors(self, scope: Scope, vectors: Mapping[str, Embedding]) -> None:
        """Of units that go meanwhile the filter knows; those that have gone already are left out before."""
        found = await self._units.retrieve(scope.bucket, tuple(vectors), [schema.BANK_KEY])
        there = {str(point.id) for point in found if (point.payload or {}).get(schema.BANK_KEY) == scope.key}
        if not there:
            return
        made = [
            models.PointVectors(id=unit, vector=cast("Any", await self._named(unit, vectors[unit])))
            for unit in sorted(there)
        ]
        await self._units.update_vectors(scope.bucket, made, scoped(scope))
        changes = [(scoped(scope, HasId((unit,))), codec.tokens_payload(vectors[unit])) for unit in sorted(there)]
        if changes := [(where, payload) for where, payload in changes if payload]:
            await self._units.set_payloads(scope.bucket, changes)

    async def _drop_vectors(self, scope: Scope, call: DropVectors) -> DroppedPage:
        at, name, key = scope.bucket, schema.dense_name(call.space), schema.tokens_key(call.space)
        found, following = await self._units.scroll(at, scoped(scope), call.limit, payload=[key], offset=call.start)
        ids = [str(record.id) for record in found]
        packed = {str(record.id) for record in found if key in (record.payload or {})}
        there: set[str] = set()
        if await self._spaces.has(call.space):
            named = await self._units.retrieve(at, ids, False, [name])
            there = {str(record.id) for record in named if name in cast("Any", record.vector or {})}
        if there:
            await self._units.delete_vectors(at, scoped(scope, HasId(tuple(sorted(there)))), name)
        if packed:
            await self._units.delete_payload(at, scoped(scope, HasId(tuple(sorted(packed)))), [key])
        return DroppedPage(len(there | packed), len(ids), None if following is None else str(following))

    async def _swap_head(self, scope: Scope, expected: Head, head: Head, nonce: str) -> bool:
        """An update with a condition changes nothing where it does not hold; the nonce read back tells who won."""
        point = codec.head_id(scope)
        where = scoped(
            scope,
            HasId((point,)),
            AnyOf(schema.EPOCH, (expected.epoch,)),
            AnyOf(schema.COMMIT, (expected.commit,)),
            AnyOf(schema.SETTLED, (expected.settled,)),
        )
        made = _record(point, codec.head_payload(scope, head, nonce))
        await self._records.upsert(scope.bucket, [made], where, models.UpdateMode.UPDATE_ONLY)
        found = await self._records.retrieve(scope.bucket, [point], [schema.NONCE])
        return bool(found) and (found[0].payload or {}).get(schema.NONCE) == nonce

    async def _sweep_removed(self, scope: Scope, before_us: int, limit: int) -> Swept:
        at, old = scope.bucket, codec.removed(before_us)
        found, _ = await self._records.scroll(at, scoped(scope, *old), limit, payload=False)
        if found:  # the filter again: one of them may have been written anew meanwhile
            ids = tuple(str(record.id) for record in found)
            await self._records.delete(at, scoped(scope, HasId(ids), *old))
        return Swept(len(found), await self._records.count(at, scoped(scope, *codec.removed())))

    async def _write_records(self, scope: Scope, records: Sequence[Record]) -> None:
        for seq, epoch in {(record.seq, record.epoch) for record in records}:
            part = [
                _record(record_id(scope, record.kind.value, record.key), codec.record_payload(scope, record))
                for record in records
                if (record.seq, record.epoch) == (seq, epoch)
            ]
            await self._records.upsert(scope.bucket, part, scoped(scope, *_not_after(seq, epoch)))

    async def _relink(self, scope: Scope, units: Sequence[Relinked], epoch: int) -> None:
        changes = [
            (
                scoped(scope, HasId((one.unit_id,)), Between(schema.EPOCH, lte=epoch)),
                encode_relinked(one) | {schema.EPOCH: epoch},
            )
            for one in units
        ]
        if changes:
            await self._units.set_payloads(scope.bucket, changes)

    async def _move(self, scope: Scope, positions: Any, epoch: int) -> None:
        changes = [
            (
                scoped(scope, HasId((unit,)), Between(schema.EPOCH, lte=epoch)),
                {schema.POSITION: position, schema.EPOCH: epoch},
            )
            for unit, position in positions
        ]
        if changes:
            await self._units.set_payloads(scope.bucket, changes)


def _record(point: str, payload: dict[str, Any]) -> models.PointStruct:
    return models.PointStruct(id=point, vector={}, payload=payload)


def _not_after(seq: int, epoch: int) -> tuple[Filter, Filter]:
    return Between(schema.SEQ, lte=seq), Between(schema.EPOCH, lte=epoch)


def _older(seq: int, epoch: int) -> tuple[Filter, Filter]:
    return _not_after(seq - 1, epoch)
