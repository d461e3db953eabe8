"""The store's calls in plain Python: what the other engines are compared with, and what fast tests run on."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self, TypeVar, cast

import numpy as np

from memory import store_calls as calls
from memory.audit_calls import FindUnlike, ScanRecords, ScanUnits, ScopePage, Stray
from memory.encoding import encode_relinked
from memory.errors import Unavailable
from memory.filters import EVIDENCE, AnyOf, Between, Filter, HasId, Not, every, holds
from memory.ids import Scope, record_id
from memory.neighbours import Near
from memory.plans import WHOLE
from memory.records import Head, RecordKind, Unit, UnitState
from memory.store_calls import Call
from memory.upkeep_calls import (
    AddVectors,
    DropVectors,
    FindUnembedded,
    GetEmbeddings,
    RelinkUnits,
    SweepRemoved,
    Swept,
)
from storage import codec, reference_audit, schema
from storage.bm25 import query_weights
from storage.reference_vectors import Kept, Spaces, drop_vectors, unembedded

T = TypeVar("T")
Payload = dict[str, Any]
_LIVE: Final = AnyOf(schema.STATE, (UnitState.LIVE.value,))

_PENDING: Final = AnyOf(schema.STATE, (UnitState.PENDING.value,))
_RETIRED: Final = AnyOf(schema.STATE, (UnitState.RETIRED.value,))


class ReferenceStore:
    """Engine on dictionaries of payloads, which are replaced and never changed. Loses everything with its process."""

    def __init__(self, dim: int) -> None:
        self._spaces = Spaces(dim)
        self._units: dict[str, Payload] = {}
        self._vectors: dict[str, Kept] = {}
        self._records: dict[str, Payload] = {}
        self._closed = False
        self.dirty_bytes = 0
        """Calls that wrote since the last flush."""

    def copy(self) -> Self:
        """An independent store with the same contents."""
        twin = copy(self)
        vars(twin).update(_units=dict(self._units), _vectors=dict(self._vectors), _records=dict(self._records))
        return twin

    def dump(self) -> tuple[dict[str, Payload], dict[str, Payload]]:
        """Payloads of all units and of all records, by id."""
        return dict(self._units), dict(self._records)

    def count_operation(self) -> None:
        """Nothing to do: there is no log to load short."""

    def stored_spaces(self) -> frozenset[str]:
        """Spaces that units may have vectors of."""
        return self._spaces.all

    def drop_space(self, space: str) -> None:
        """Let go of the vectors of a space in all banks."""
        self._spaces.drop(space)
        for point, kept in self._vectors.items():
            self._vectors[point] = kept.without(space)

    def flush(self) -> None:
        """Nothing to do: there is no disk."""
        self.dirty_bytes = 0

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank.

        Raises:
            Unprocessable: a vector is not finite or has the wrong length.
            Unavailable: the store is closed.
        """
        if self._closed:
            raise Unavailable("the store is closing")
        return cast("T", self._read(scope, call))

    def list_heads(self, tenant: str, limit: int, offset: int) -> calls.HeadPage:
        """Heads of the tenant's banks that exist, by name."""
        where = every(
            AnyOf(schema.TENANT, (tenant,)),
            AnyOf(schema.KIND, (RecordKind.HEAD.value,)),
            AnyOf(schema.STATUS, (schema.HEAD_EXISTS,)),
        )
        found = [payload for point, payload in self._records.items() if holds(where, point, payload)]
        banks = sorted(((payload[schema.BANK], codec.head_of(payload)) for payload in found), key=lambda pair: pair[0])
        return calls.HeadPage(tuple(banks[offset : offset + limit]), len(found))

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due, at most `limit`."""
        due = every(AnyOf(schema.KIND, (RecordKind.HEAD.value,)), Between(schema.DUE_AT, lte=now))
        found = [payload for point, payload in self._records.items() if holds(due, point, payload)]
        return tuple(Scope(payload[schema.TENANT], payload[schema.BANK]) for payload in found[:limit])

    def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Banks that have a head, for audits."""
        return reference_audit.scope_page(self._records, start, limit)

    def list_strays(self) -> tuple[Stray, ...]:
        """Points of banks without a head, for audits."""
        return reference_audit.strays(self._units, self._records)

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        payload = self._units.get(unit_id)
        if payload is None or payload[schema.TENANT] != tenant or payload[schema.STATE] != UnitState.LIVE.value:
            return None
        return Scope(tenant, payload[schema.BANK]), codec.unit_of(unit_id, payload)

    # -- reads

    def _read(self, scope: Scope, call: Call[Any]) -> Any:
        match call:
            case calls.ReadHead():
                head = self._records.get(codec.head_id(scope))
                return codec.head_of(head) if head else None
            case calls.GetRecords(kind, keys):
                ids = [record_id(scope, kind.value, key) for key in keys]
                return codec.records_of(self._records[point] for point in ids if point in self._records)
            case calls.ListRecords():
                return self._list_records(scope, call)
            case calls.GetUnits(ids):
                return {point: codec.unit_of(point, payload) for point, payload in self._live(scope, HasId(ids))}
            case calls.GetChunks(ids):
                kept = _matching(self._units, scope, HasId(ids), Not(_RETIRED))
                return {point: codec.unit_of(point, payload) for point, payload in kept}
            case calls.GetDense(ids, space):
                bank = [point for point, _ in _matching(self._units, scope, HasId(ids))]
                stored = {point: self._vectors[point].dense.get(space) for point in bank}
                return {point: one.astype(np.float32) for point, one in stored.items() if one is not None}
            case GetEmbeddings(ids):
                named = _matching(self._units, scope, HasId(ids))
                return {point: codec.embedding_of(unit, self._vectors[point].named) for point, unit in named}
            case FindUnembedded(space, limit, start):
                return unembedded(list(_matching(self._units, scope)), self._vectors, space, limit, start or "")
            case calls.FindLive(ids):
                return frozenset(point for point, _ in self._live(scope, HasId(ids)))
            case calls.ListUnits(limit, offset, where):
                live = sorted(self._live(scope, where), key=lambda pair: (-pair[1][schema.SEQ], pair[0]))
                page = live[offset : offset + max(limit, 0)]
                return calls.UnitPage(tuple(codec.unit_of(point, payload) for point, payload in page), len(live))
            case calls.CountValues(field, limit, where):
                schema.check_counted(field)
                counts = Counter(value for _, payload in self._live(scope, where) for value in _values(payload, field))
                return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit])
            case calls.SearchLanes(lanes, where, places):
                return tuple(self._placed(self._search(scope, lane, where), places) for lane in lanes)
            case calls.CompleteHits():
                return self._complete(scope, call)
            case FindUnlike(texts):
                bank = [point for point, _ in _matching(self._units, scope, HasId(tuple(texts)))]
                return frozenset(point for point in bank if not self._vectors[point].is_of(texts[point]))
            case ScanUnits(start, limit):
                return reference_audit.raw_page(self._units, _of_bank(scope), start, limit)
            case ScanRecords(start, limit, kind):
                kinds = None if kind is None else AnyOf(schema.KIND, (kind.value,))
                return reference_audit.raw_page(self._records, every(_of_bank(scope), kinds), start, limit)
            case _:
                self.dirty_bytes += 1
                return self._write(scope, call)

    def _live(self, scope: Scope, *where: Filter) -> Iterator[tuple[str, Payload]]:
        return _matching(self._units, scope, _LIVE, *where)

    def _list_records(self, scope: Scope, call: calls.ListRecords) -> calls.RecordPage:
        where = every(*codec.listed(call))
        found = sorted(_matching(self._records, scope, where), key=lambda pair: (-pair[1][schema.ORDER], pair[0]))
        page = found[call.offset : call.offset + max(call.limit, 0)]
        return calls.RecordPage(tuple(codec.record_of(payload) for _, payload in page), len(found))

    def _search(self, scope: Scope, lane: calls.Lane, where: Filter) -> calls.LaneHits:
        """Best first, ties by id; the keyword lane brings only units with a word in common."""
        ids = [point for point, _ in self._live(scope, where, lane.where)]
        if lane.dense is not None:
            query = self._spaces.normalised(lane.dense, lane.space)
            having = [point for point in ids if lane.space in self._vectors[point].dense]
            scores = {point: float(self._vectors[point].dense[lane.space] @ query) for point in having}
        else:
            scores = self._bm25(scope, lane.lexical or "", ids)
        best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[: lane.limit]
        return calls.LaneHits(tuple(point for point, _ in best), tuple(score for _, score in best))

    def _bm25(self, scope: Scope, text: str, ids: Sequence[str]) -> dict[str, float]:
        """Scores of those of the units that share a word with the text; IDF over the live ones that were told."""
        query = query_weights(text)
        weights = dict(zip(query.indices, query.values, strict=True))
        corpus = [self._vectors[point].lexical for point, _ in self._live(scope, EVIDENCE)]
        idf = {token: _idf(len(corpus), sum(token in unit for unit in corpus)) for token in weights}
        scores: dict[str, float] = {}
        for point in ids:
            unit = self._vectors[point].lexical
            common = weights.keys() & unit.keys()
            if common:
                scores[point] = sum(weights[token] * unit[token] * idf[token] for token in common)
        return scores

    def _placed(self, hits: calls.LaneHits, count: int) -> calls.LaneHits:
        first = [self._units[point] for point in hits.ids[:count]]
        places = tuple((unit[schema.DOCUMENT_ID], unit[schema.POSITION]) for unit in first)
        return replace(hits, places=places)

    def _complete(self, scope: Scope, call: calls.CompleteHits) -> calls.Hits:
        semantic, keyword = dict(call.semantic), dict(call.keyword)
        if call.near:
            self._bring_near(scope, call, call.near, semantic, keyword)
        for ids, lane, scores in (
            (call.dense_for, calls.Lane(len(call.dense_for), dense=call.dense, space=call.space), semantic),
            (call.lexical_for, calls.Lane(len(call.lexical_for), lexical=call.lexical), keyword),
        ):
            found = self._search(scope, lane, HasId(ids))
            scores.update(zip(found.ids, found.scores, strict=True))
        live = dict(self._live(scope, HasId(tuple(semantic.keys() | keyword.keys()))))
        ids = tuple(sorted(live))
        return calls.Hits(
            ids,
            tuple({key: live[point][key] for key in calls.RECALLED_KEYS if key in live[point]} for point in ids),
            np.array([semantic.get(point, 0.0) for point in ids], dtype=np.float64),
            np.array([keyword.get(point, 0.0) for point in ids], dtype=np.float64),
            tuple(codec.tokens_of(live[point], call.space) for point in ids) if call.with_tokens else (),
        )

    def _bring_near(
        self,
        scope: Scope,
        call: calls.CompleteHits,
        near: Near,
        semantic: dict[str, float],
        keyword: dict[str, float],
    ) -> None:
        """Add the scores of what stands near; those known stay."""
        found = self._search(scope, calls.Lane(near.limit, dense=call.dense, space=call.space), near.matching)
        for point, score in zip(found.ids, found.scores, strict=True):
            semantic.setdefault(point, score)
        if near.with_words:
            words = self._search(scope, calls.Lane(near.limit, lexical=call.lexical), HasId(found.ids))
            for point, score in zip(words.ids, words.scores, strict=True):
                keyword.setdefault(point, score)

    # -- writes

    def _write(self, scope: Scope, call: Call[Any]) -> Any:
        match call:
            case calls.InsertUnits(units):
                self._insert(scope, units)
            case calls.CreateHead(head):
                self._records.setdefault(codec.head_id(scope), codec.head_payload(scope, head, ""))
            case calls.SwapHead(expected, head, nonce):
                return self._swap_head(scope, expected, head, nonce)
            case calls.WriteRecords(records):
                for record in records:
                    point = record_id(scope, record.kind.value, record.key)
                    stored = self._records.get(point)
                    if stored is None or holds(every(*_not_after(record.seq, record.epoch)), point, stored):
                        self._records[point] = codec.record_payload(scope, record)
            case calls.SetLive(ids, seq, epoch):
                change = {schema.STATE: UnitState.LIVE.value, schema.SEQ: seq, schema.EPOCH: epoch}
                for point, payload in list(_matching(self._units, scope, HasId(ids), *_not_after(seq, epoch))):
                    self._units[point] = payload | change
            case calls.MoveUnits(positions, epoch):
                where = (HasId(tuple(positions)), Between(schema.EPOCH, lte=epoch))
                for point, payload in list(_matching(self._units, scope, *where)):
                    self._units[point] = payload | {schema.POSITION: positions[point], schema.EPOCH: epoch}
            case RelinkUnits(units, epoch):
                changes = {one.unit_id: encode_relinked(one) | {schema.EPOCH: epoch} for one in units}
                where = (HasId(tuple(changes)), Between(schema.EPOCH, lte=epoch))
                for point, payload in list(_matching(self._units, scope, *where)):
                    self._units[point] = payload | changes[point]
            case AddVectors(vectors):
                for point, payload in list(_matching(self._units, scope, HasId(tuple(vectors)))):
                    kept, made = self._vectors[point], vectors[point]
                    self._vectors[point] = replace(kept, dense={**kept.dense, **self._spaces.of([made])})
                    self._units[point] = payload | codec.tokens_payload(made)
            case DropVectors():
                return drop_vectors(self._units, self._vectors, list(_matching(self._units, scope)), call)
            case calls.RetireUnits(ids, seq, epoch):
                self._drop_units(scope, HasId(ids), *_older(seq, epoch))
            case calls.RemoveRecords(kind, keys, seq, epoch, at_us):
                ids = tuple(record_id(scope, kind.value, key) for key in keys)
                self._remove_records(scope, codec.removal(seq, epoch, at_us), HasId(ids))
            case calls.ClearBank():
                return self._clear(scope, call)
            case SweepRemoved(before_us, limit):
                return self._sweep_removed(scope, before_us, limit)
            case calls.SweepPending(epoch):
                self._drop_units(scope, _PENDING, Between(schema.EPOCH, lte=epoch))
            case calls.ForgetText(summary):
                point = record_id(scope, summary.kind.value, summary.key)
                if self._records.get(point, {}).get(schema.STATUS) == WHOLE:
                    self._records[point] = codec.record_payload(scope, summary)
            case calls.TrimCommits(commit):
                history = every(AnyOf(schema.KIND, (RecordKind.COMMIT.value,)), Not(AnyOf(schema.STATUS, (WHOLE,))))
                self._drop_records(scope, history, Between(schema.ORDER, lte=commit))
            case _:
                raise TypeError(f"the store does not know the call {type(call).__name__}")
        return None

    def _insert(self, scope: Scope, units: Sequence[calls.NewUnit]) -> None:
        made = {new.unit.id: (codec.new_payload(scope, new), self._spaces.kept(new)) for new in units}
        for point, (payload, vectors) in made.items():
            leftover = every(_PENDING, *_not_after(payload[schema.SEQ], payload[schema.EPOCH]))
            if point not in self._units or holds(leftover, point, self._units[point]):
                self._units[point], self._vectors[point] = payload, vectors

    def _swap_head(self, scope: Scope, expected: Head, head: Head, nonce: str) -> bool:
        point = codec.head_id(scope)
        stored = self._records.get(point)
        if stored is None:
            return False
        if (stored[schema.EPOCH], stored[schema.COMMIT], stored[schema.SETTLED]) == (
            expected.epoch,
            expected.commit,
            expected.settled,
        ):
            self._records[point] = codec.head_payload(scope, head, nonce)
        return bool(self._records[point][schema.NONCE] == nonce)

    def _clear(self, scope: Scope, call: calls.ClearBank) -> str | None:
        """Units before records, each by id."""
        found = [f"0/{point}" for point, _ in _matching(self._units, scope)]
        found += [f"1/{point}" for point, _ in _matching(self._records, scope)]
        left = sorted(name for name in found if name >= (call.start or ""))
        ids = tuple(name.partition("/")[2] for name in left[: call.limit])
        self._drop_units(scope, HasId(ids), *_older(call.seq, call.epoch))
        kept = Not(AnyOf(schema.KIND, (RecordKind.HEAD.value, RecordKind.COMMIT.value)))
        self._remove_records(scope, codec.removal(call.seq, call.epoch, call.at_us), every(HasId(ids), kept))
        return left[call.limit] if len(left) > call.limit else None

    def _drop_units(self, scope: Scope, *where: Filter) -> None:
        for point, _ in list(_matching(self._units, scope, *where)):
            del self._units[point], self._vectors[point]

    def _remove_records(self, scope: Scope, removal: Payload, where: Filter) -> None:
        older = _older(removal[schema.SEQ], removal[schema.EPOCH])
        for point, payload in list(_matching(self._records, scope, where, *older)):
            self._records[point] = payload | removal

    def _sweep_removed(self, scope: Scope, before_us: int, limit: int) -> Swept:
        old = sorted(point for point, _ in _matching(self._records, scope, *codec.removed(before_us)))[:limit]
        self._drop_records(scope, HasId(tuple(old)))
        return Swept(len(old), sum(1 for _ in _matching(self._records, scope, *codec.removed())))

    def _drop_records(self, scope: Scope, *where: Filter) -> None:
        for point, _ in list(_matching(self._records, scope, *where)):
            del self._records[point]


def _of_bank(scope: Scope) -> Filter:
    return AnyOf(schema.BANK_KEY, (scope.key,))


def _matching(points: Mapping[str, Payload], scope: Scope, *where: Filter) -> Iterator[tuple[str, Payload]]:
    tree = every(_of_bank(scope), *where)
    return ((point, payload) for point, payload in points.items() if holds(tree, point, payload))


def _not_after(seq: int, epoch: int) -> tuple[Filter, Filter]:
    return Between(schema.SEQ, lte=seq), Between(schema.EPOCH, lte=epoch)


def _older(seq: int, epoch: int) -> tuple[Filter, Filter]:
    return _not_after(seq - 1, epoch)


def _values(payload: Payload, field: str) -> set[str]:
    value = payload.get(field, [])
    return {str(part) for part in value} if isinstance(value, list) else {str(value)}


def _idf(units: int, holding: int) -> float:
    return math.log((units - holding + 0.5) / (holding + 0.5) + 1)
