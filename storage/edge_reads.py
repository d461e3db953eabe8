"""The read calls of the store on the embedded engine."""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from qdrant_edge import CountRequest, EdgeShard, FacetRequest, Filter

from memory.audit_calls import FindUnlike, ScanRecords, ScanUnits
from memory.filters import AnyOf, Between, HasId
from memory.ids import Scope, record_id
from memory.records import Embedding, Head, Record, RecordKind, Unit, UnitState
from memory.store_calls import (
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
from storage.bank_indexes import BankIndexes
from storage.bank_words import BankWords
from storage.document_places import DocumentPlaces
from storage.edge_audit import EdgeAudit
from storage.edge_bank_scroll import bank_page
from storage.edge_lanes import EdgeLanes
from storage.edge_near import EdgeNear
from storage.edge_scroll import all_payloads, ordered_page
from storage.edge_spaces import EdgeSpaces
from storage.payload_cache import Payload, PayloadCache, Recalled, recalled
from storage.query_to_edge import condition, scoped

_LIVE: Final = AnyOf(schema.STATE, (UnitState.LIVE.value,))
_OF_LIVE: Final = frozenset({UnitState.LIVE.value})
_OF_COMMITTED: Final = frozenset({UnitState.LIVE.value, UnitState.PENDING.value})


class EdgeReads:
    """Reads over the two collections; what recall returns of live units is taken from `cache` where it is there."""

    def __init__(
        self,
        units: EdgeShard,
        records: EdgeShard,
        cache: PayloadCache,
        places: DocumentPlaces,
        indexes: BankIndexes,
        words: BankWords,
        spaces: EdgeSpaces,
    ) -> None:
        self._units = units
        self._records = records
        self._cache = cache
        self._lanes = EdgeLanes(units, indexes, words, spaces)
        self._near = EdgeNear(units, self._lanes, places)
        self._spaces = spaces
        self.audit = EdgeAudit(units, records)

    def perform(self, scope: Scope, call: Call[Any]) -> Any:
        """The answer to a read call.

        Raises:
            TypeError: it is no read call that this engine knows.
        """
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
                return self._get_units(scope, call.ids, _OF_LIVE)
            case GetChunks():
                return self._get_units(scope, call.ids, _OF_COMMITTED)
            case GetDense():
                return self._get_dense(scope, call)
            case GetEmbeddings():
                return self._get_embeddings(scope, call.ids)
            case FindUnembedded():
                return self._find_unembedded(scope, call)
            case ListUnits():
                return self._list_units(scope, call)
            case CountValues():
                return self._count_values(scope, call)
            case FindLive():
                return frozenset(self._get_states(scope, call.ids))
            case ScanUnits() | ScanRecords():
                return self.audit.scan(scope, call)
            case FindUnlike():
                return self.audit.find_unlike(scope, call)
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks that exist, by name."""
        where = Filter(must=[_equals(schema.TENANT, tenant), *_head_exists()])
        heads = list(all_payloads(self._records, where))
        found = [(payload[schema.BANK], payload) for payload in heads]
        found.sort(key=lambda pair: pair[0])
        banks = tuple((bank, codec.head_of(payload)) for bank, payload in found[offset : offset + limit])
        return HeadPage(banks, len(found))

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`."""
        head = condition(AnyOf(schema.KIND, (RecordKind.HEAD.value,)))
        where = Filter(must=[head, condition(Between(schema.DUE_AT, lte=now))])
        found = islice(all_payloads(self._records, where), limit)
        return tuple(Scope(payload[schema.TENANT], payload[schema.BANK]) for payload in found)

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        for record in self._units.retrieve([unit_id], True, False):
            payload = record.payload or {}
            if payload.get(schema.TENANT) == tenant and payload[schema.STATE] == UnitState.LIVE.value:
                return Scope(tenant, payload[schema.BANK]), codec.unit_of(str(record.id), payload)
        return None

    def _search(self, scope: Scope, call: SearchLanes) -> tuple[LaneHits, ...]:
        # One by one: the engine lets no other thread run meanwhile, and in a batch a big bank's lanes would add up.
        answers = [self._lanes.best(scope, lane, call.where) for lane in call.lanes]
        lanes = [(tuple(unit for unit, _ in found), tuple(score for _, score in found)) for found in answers]
        first = [ids[: call.places] for ids, _ in lanes]
        payloads = self._recalled(scope, {unit for ids in first for unit in ids})
        return tuple(
            LaneHits(ids, scores, tuple(_place(payloads[unit].payload) for unit in placed if unit in payloads))
            for (ids, scores), placed in zip(lanes, first, strict=True)
        )

    def _complete(self, scope: Scope, call: CompleteHits) -> Hits:
        semantic, keyword = dict(call.semantic), dict(call.keyword)
        near = self._score_vectors(scope, call, semantic)
        words = call.near is not None and call.near.with_words
        beside = tuple(near.difference(keyword, call.lexical_for)) if words else ()
        self._score_words(scope, call.lexical, call.lexical_for + beside, keyword)
        found = self._recalled(scope, semantic.keys() | keyword.keys())
        ids = sorted(found)
        return Hits(
            tuple(ids),
            tuple(found[unit].payload for unit in ids),
            np.array([semantic.get(unit, 0.0) for unit in ids], dtype=np.float64),
            np.array([keyword.get(unit, 0.0) for unit in ids], dtype=np.float64),
            tuple(found[unit].tokens.get(call.space, b"") for unit in ids) if call.with_tokens else (),
        )

    def _recalled(self, scope: Scope, units: Iterable[str]) -> dict[str, Recalled]:
        """What recall returns of those of the units that are live."""
        kept, missing = self._cache.find(scope.key, units)
        if missing:
            generation = self._cache.generation
            ids: list[Any] = missing
            found = [record for record in self._units.retrieve(ids, True, False) if _is_live(scope, record.payload)]
            read = {str(record.id): recalled(record.payload or {}) for record in found}
            self._cache.keep(scope.key, read, generation)
            kept |= read
        return kept

    def _score_vectors(self, scope: Scope, call: CompleteHits, semantic: dict[str, float]) -> set[str]:
        """Add the missing cosines, and those of what stands near; what stands near."""
        found: set[str] = set()
        if call.near:
            for unit, score in self._near.score(scope, call, call.near):
                found.add(unit)
                semantic.setdefault(unit, score)
        if call.dense_for:
            asked = Lane(len(call.dense_for), dense=call.dense, space=call.space)
            semantic.update(self._lanes.among(scope, asked, HasId(call.dense_for)))
        return found

    def _score_words(self, scope: Scope, lexical: str, ids: tuple[str, ...], keyword: dict[str, float]) -> None:
        """Add the BM25 scores of the named units."""
        if ids:
            keyword.update(self._lanes.among(scope, Lane(len(ids), lexical=lexical), HasId(ids)))

    def _head(self, scope: Scope) -> Head | None:
        found = self._records.retrieve([codec.head_id(scope)], True, False)
        return codec.head_of(found[0].payload or {}) if found else None

    def _get_records(self, scope: Scope, call: GetRecords) -> dict[str, Record]:
        ids: list[Any] = [record_id(scope, call.kind.value, key) for key in call.keys]
        return codec.records_of(record.payload or {} for record in self._records.retrieve(ids, True, False))

    def _list_records(self, scope: Scope, call: ListRecords) -> RecordPage:
        where = scoped(scope, *codec.listed(call))
        total = self._records.count(CountRequest(filter=where, exact=True))
        payloads = ordered_page(self._records, where, schema.ORDER, call.limit, call.offset)
        return RecordPage(tuple(codec.record_of(payload) for _, payload in payloads), total)

    def _get_units(self, scope: Scope, ids: Sequence[str], states: Container[str]) -> dict[str, Unit]:
        found = self._units.retrieve(list(ids), True, False)
        return {
            str(record.id): codec.unit_of(str(record.id), record.payload or {})
            for record in found
            if _is_of(scope, record.payload, states)
        }

    def _get_states(self, scope: Scope, ids: Sequence[str]) -> list[str]:
        found = self._units.retrieve(list(ids), [schema.STATE, schema.BANK_KEY], False)
        return [str(record.id) for record in found if _is_live(scope, record.payload)]

    def _get_dense(self, scope: Scope, call: GetDense) -> dict[str, NDArray[np.float32]]:
        name = schema.dense_name(call.space)
        found = self._units.retrieve(list(call.ids), [schema.BANK_KEY], [name]) if self._spaces.has(call.space) else []
        return {
            str(record.id): np.asarray(cast("Any", record.vector)[name], dtype=np.float32)
            for record in found
            if (record.payload or {}).get(schema.BANK_KEY) == scope.key and name in cast("Any", record.vector)
        }

    def _get_embeddings(self, scope: Scope, ids: Sequence[str]) -> dict[str, Embedding]:
        found = self._units.retrieve(list(ids), True, True)
        return {
            str(record.id): made
            for record in found
            if record.payload
            and record.payload.get(schema.BANK_KEY) == scope.key
            and (made := codec.embedding_of(record.payload, cast("Any", record.vector))) is not None
        }

    def _find_unembedded(self, scope: Scope, call: FindUnembedded) -> UnembeddedPage:
        records, following = bank_page(self._units, scope, call.start, call.limit)
        payloads = {str(record.id): record.payload or {} for record in records}
        there = self._get_dense(scope, GetDense(tuple(payloads), call.space))
        units = tuple(codec.unit_of(id_, payload) for id_, payload in payloads.items() if id_ not in there)
        return UnembeddedPage(units, len(payloads), following)

    def _list_units(self, scope: Scope, call: ListUnits) -> UnitPage:
        where = scoped(scope, _LIVE, call.where)
        total = self._units.count(CountRequest(filter=where, exact=True))
        points = ordered_page(self._units, where, schema.SEQ, call.limit, call.offset)
        return UnitPage(tuple(codec.unit_of(point, payload) for point, payload in points), total)

    def _count_values(self, scope: Scope, call: CountValues) -> dict[str, int]:
        schema.check_counted(call.field)
        where = scoped(scope, _LIVE, call.where)
        answer = self._units.facet(FacetRequest(key=call.field, limit=call.limit, exact=True, filter=where))
        return {str(hit.value): hit.count for hit in answer.hits}


def _is_live(scope: Scope, payload: dict[str, Any] | None) -> bool:
    return _is_of(scope, payload, _OF_LIVE)


def _is_of(scope: Scope, payload: dict[str, Any] | None, states: Container[str]) -> bool:
    return payload is not None and payload.get(schema.BANK_KEY) == scope.key and payload[schema.STATE] in states


def _place(payload: Payload) -> tuple[str, int]:
    return payload[schema.DOCUMENT_ID], payload[schema.POSITION]


def _equals(field: str, value: str) -> Any:
    return condition(AnyOf(field, (value,)))


def _head_exists() -> list[Any]:
    return [_equals(schema.KIND, RecordKind.HEAD.value), _equals(schema.STATUS, schema.HEAD_EXISTS)]
