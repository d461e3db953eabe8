"""The read calls of the store on a Qdrant server."""

import asyncio
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from memory.filters import EVIDENCE, AnyOf, Between, Filter, HasId
from memory.ids import Scope, bucket_of_id, record_id
from memory.records import Embedding, Head, Record, RecordKind, Unit, UnitState
from memory.store_calls import (
    RECALLED_KEYS,
    Call,
    CompleteHits,
    CountValues,
    FindLive,
    GetChunks,
    GetDense,
    GetRecords,
    GetUnits,
    HeadPage,
    Hits,
    Lane,
    LaneHits,
    ListRecords,
    ListUnits,
    ReadHead,
    RecordPage,
    SearchLanes,
    UnitPage,
)
from memory.upkeep_calls import FindUnembedded, GetEmbeddings, UnembeddedPage
from storage import codec, schema
from storage.bm25 import query_weights
from storage.query_to_client import scoped, unscoped
from storage.server_client import Collection
from storage.server_scroll import all_payloads, ordered_page
from storage.server_spaces import ServerSpaces
from storage.vectors import check_dense

_LIVE: Final = AnyOf(schema.STATE, (UnitState.LIVE.value,))
_OF_LIVE: Final = frozenset({UnitState.LIVE.value})
_OF_COMMITTED: Final = frozenset({UnitState.LIVE.value, UnitState.PENDING.value})


class ServerReads:
    """Reads over the two collections; nothing is cached, for other processes write."""

    def __init__(self, units: Collection, records: Collection, spaces: ServerSpaces) -> None:
        self._units = units
        self._records = records
        self._spaces = spaces

    @property
    def collections(self) -> tuple[Collection, Collection]:
        """Those of units and of records."""
        return self._units, self._records

    async def perform(self, scope: Scope, call: Call[Any]) -> Any:
        """The answer to a read call.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length, or an id is none.
            TypeError: it is no read call that this engine knows.
        """
        match call:
            case SearchLanes():
                return await self._search(scope, call)
            case CompleteHits():
                return await self._complete(scope, call)
            case ReadHead():
                return await self._head(scope)
            case GetRecords():
                return await self._get_records(scope, call)
            case ListRecords():
                return await self._list_records(scope, call)
            case GetUnits(ids):
                return await self._get_units(scope, ids, _OF_LIVE)
            case GetChunks(ids):
                return await self._get_units(scope, ids, _OF_COMMITTED)
            case GetDense(ids, _):
                return await self._get_dense(scope, ids, call.space)
            case GetEmbeddings(ids):
                return await self._get_embeddings(scope, ids)
            case FindUnembedded():
                return await self._find_unembedded(scope, call)
            case ListUnits():
                return await self._list_units(scope, call)
            case CountValues(field, limit, where):
                schema.check_counted(field)
                return await self._units.facet(scope.bucket, field, scoped(scope, _LIVE, where), limit)
            case FindLive(ids):
                found = await self._units.retrieve(scope.bucket, ids, [schema.STATE, schema.BANK_KEY])
                return frozenset(str(record.id) for record in found if _is_live(scope, record))
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")

    async def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks that exist, by name, over all shards."""
        where = unscoped(AnyOf(schema.TENANT, (tenant,)), _kind(RecordKind.HEAD), codec.of_status(schema.HEAD_EXISTS))
        found = [(payload[schema.BANK], payload) async for payload in all_payloads(self._records, where)]
        found.sort(key=lambda pair: pair[0])
        banks = tuple((bank, codec.head_of(payload)) for bank, payload in found[offset : offset + limit])
        return HeadPage(banks, len(found))

    async def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`, over all shards."""
        where = unscoped(_kind(RecordKind.HEAD), Between(schema.DUE_AT, lte=now))
        scopes: list[Scope] = []
        async for payload in all_payloads(self._records, where):
            if len(scopes) >= limit:
                break
            scopes.append(Scope(payload[schema.TENANT], payload[schema.BANK]))
        return tuple(scopes)

    async def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, whose bucket says where it lives; ids that are none of ours are not found."""
        try:
            bucket = bucket_of_id(unit_id)
        except ValueError:
            return None
        for record in await self._units.retrieve(bucket, [unit_id], payload=True):
            payload = record.payload or {}
            if payload[schema.TENANT] == tenant and payload[schema.STATE] == UnitState.LIVE.value:
                return Scope(tenant, payload[schema.BANK]), codec.unit_of(str(record.id), payload)
        return None

    async def _search(self, scope: Scope, call: SearchLanes) -> tuple[LaneHits, ...]:
        keys = [schema.DOCUMENT_ID, schema.POSITION] if call.places else None
        for space in {lane.space for lane in call.lanes}:
            await self._spaces.has(space)
        asked = [self._lane(scope, lane, scoped(scope, _LIVE, call.where, lane.where), keys) for lane in call.lanes]
        answers = iter(await self._units.query([request for request in asked if request]) if any(asked) else ())
        lanes = [next(answers) if request else [] for request in asked]
        return tuple(
            LaneHits(
                tuple(str(point.id) for point in points),
                tuple(point.score for point in points),
                tuple(_place(point.payload or {}) for point in points[: call.places]),
            )
            for points in lanes
        )

    def _lane(
        self, scope: Scope, lane: Lane, where: models.Filter, keys: list[str] | None = None
    ) -> models.QueryRequest | None:
        """The query of a lane; None where it can bring nothing: no word to look for, or nothing wanted."""
        if lane.limit <= 0:
            return None
        sent: dict[str, Any] = {"filter": where, "limit": lane.limit, "shard_key": self._units.shard_key(scope.bucket)}
        if keys:
            sent["with_payload"] = keys
        if lane.dense is not None:
            dim = self._spaces.dim(lane.space)
            if dim is None:
                return None
            check_dense(lane.dense, dim, "the query")
            return models.QueryRequest(query=lane.dense.tolist(), using=schema.dense_name(lane.space), **sent)
        weights = query_weights(lane.lexical or "")
        if not len(weights.indices):
            return None
        idf = models.IdfCorpusParams(corpus=scoped(scope, _LIVE, EVIDENCE))
        return models.QueryRequest(
            query=models.SparseVector(indices=list(weights.indices), values=list(weights.values)),
            using=schema.LEXICAL,
            params=models.SearchParams(idf=idf),
            **sent,
        )

    async def _complete(self, scope: Scope, call: CompleteHits) -> Hits:
        """One round trip: the missing scores of both lanes, what stands near, and payloads of all that can be there."""
        semantic, keyword = dict(call.semantic), dict(call.keyword)
        wanted = [*RECALLED_KEYS, *([schema.tokens_key(call.space)] if call.with_tokens else ())]
        nearest: dict[str, float] = {}
        beside: dict[str, float] = {}
        missing: list[tuple[dict[str, float], Lane, Filter, list[str] | None]] = [
            (semantic, Lane(len(call.dense_for), dense=call.dense, space=call.space), HasId(call.dense_for), None),
            (keyword, Lane(len(call.lexical_for), lexical=call.lexical), HasId(call.lexical_for), None),
        ]
        if call.near:
            near = call.near
            close = Lane(near.limit, dense=call.dense, space=call.space)
            missing.append((nearest, close, near.matching, wanted))
            words = Lane(near.limit if near.with_words else 0, lexical=call.lexical)
            missing.append((beside, words, near.matching, None))
        asked = [
            (scores, request)
            for scores, lane, where, keys in missing
            if (request := self._lane(scope, lane, scoped(scope, _LIVE, where), keys))
        ]
        ids = {*semantic, *keyword, *call.dense_for, *call.lexical_for}
        if ids:
            whole = models.QueryRequest(  # without a query it brings points by id
                filter=scoped(scope, _LIVE, HasId(tuple(ids))),
                limit=len(ids),
                with_payload=wanted,
                shard_key=self._units.shard_key(scope.bucket),
            )
            asked.append(({}, whole))
        payloads: dict[str, dict[str, Any]] = {}
        answers = await self._units.query([request for _, request in asked]) if asked else []
        for (scores, _), points in zip(asked, answers, strict=True):
            scores.update((str(point.id), point.score) for point in points)
            payloads.update((str(point.id), point.payload) for point in points if point.payload)
        semantic = nearest | semantic
        keyword = {unit: score for unit, score in beside.items() if unit in nearest} | keyword
        hits = sorted(unit for unit in payloads if unit in semantic or unit in keyword)
        tokens = tuple(codec.take_tokens(payloads[unit], call.space) for unit in hits) if call.with_tokens else ()
        return Hits(
            tuple(hits),
            tuple(payloads[unit] for unit in hits),
            np.array([semantic.get(unit, 0.0) for unit in hits], dtype=np.float64),
            np.array([keyword.get(unit, 0.0) for unit in hits], dtype=np.float64),
            tokens,
        )

    async def _head(self, scope: Scope) -> Head | None:
        found = await self._records.retrieve(scope.bucket, [codec.head_id(scope)], payload=True)
        return codec.head_of(found[0].payload or {}) if found else None

    async def _get_records(self, scope: Scope, call: GetRecords) -> dict[str, Record]:
        ids = [record_id(scope, call.kind.value, key) for key in call.keys]
        found = await self._records.retrieve(scope.bucket, ids, payload=True)
        return codec.records_of(record.payload or {} for record in found)

    async def _list_records(self, scope: Scope, call: ListRecords) -> RecordPage:
        where = scoped(scope, *codec.listed(call))
        total, payloads = await asyncio.gather(
            self._records.count(scope.bucket, where),
            ordered_page(self._records, scope.bucket, where, schema.ORDER, call.limit, call.offset),
        )
        return RecordPage(tuple(codec.record_of(payload) for _, payload in payloads), total)

    async def _get_units(self, scope: Scope, ids: Sequence[str], states: Container[str]) -> dict[str, Unit]:
        found = await self._units.retrieve(scope.bucket, ids, payload=True)
        return {str(r.id): codec.unit_of(str(r.id), r.payload or {}) for r in found if _is_of(scope, r, states)}

    async def _get_dense(self, scope: Scope, ids: Sequence[str], space: str) -> dict[str, NDArray[np.float32]]:
        if not await self._spaces.has(space):
            return {}
        name = schema.dense_name(space)
        found = await self._units.retrieve(scope.bucket, ids, [schema.BANK_KEY], [name])
        return {
            str(record.id): np.asarray(cast("Any", record.vector)[name], dtype=np.float32)
            for record in found
            if (record.payload or {}).get(schema.BANK_KEY) == scope.key and name in cast("Any", record.vector or {})
        }

    async def _get_embeddings(self, scope: Scope, ids: Sequence[str]) -> dict[str, Embedding]:
        found = await self._units.retrieve(scope.bucket, ids, payload=True, vectors=True)
        return {
            str(record.id): made
            for record in found
            if record.payload
            and record.payload.get(schema.BANK_KEY) == scope.key
            and (made := codec.embedding_of(record.payload, cast("Any", record.vector))) is not None
        }

    async def _find_unembedded(self, scope: Scope, call: FindUnembedded) -> UnembeddedPage:
        records, following = await self._units.scroll(
            scope.bucket, scoped(scope), call.limit, payload=True, offset=call.start
        )
        payloads = {str(record.id): record.payload or {} for record in records}
        there = await self._get_dense(scope, tuple(payloads), call.space)
        units = tuple(codec.unit_of(id_, payload) for id_, payload in payloads.items() if id_ not in there)
        return UnembeddedPage(units, len(payloads), None if following is None else str(following))

    async def _list_units(self, scope: Scope, call: ListUnits) -> UnitPage:
        where = scoped(scope, _LIVE, call.where)
        total, points = await asyncio.gather(
            self._units.count(scope.bucket, where),
            ordered_page(self._units, scope.bucket, where, schema.SEQ, call.limit, call.offset),
        )
        return UnitPage(tuple(codec.unit_of(point, payload) for point, payload in points), total)


def _place(payload: dict[str, Any]) -> tuple[str, int]:
    return payload[schema.DOCUMENT_ID], payload[schema.POSITION]


def _is_live(scope: Scope, record: models.Record) -> bool:
    return _is_of(scope, record, _OF_LIVE)


def _is_of(scope: Scope, record: models.Record, states: Container[str]) -> bool:
    """An id alone never suffices: the point must be the bank's own."""
    payload = record.payload or {}
    return payload.get(schema.BANK_KEY) == scope.key and payload.get(schema.STATE) in states


def _kind(kind: RecordKind) -> AnyOf:
    return AnyOf(schema.KIND, (kind.value,))
