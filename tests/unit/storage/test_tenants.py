"""No call leaks: banks that share a store answer as if each had a store of its own, whatever is done to the others.

The shared store is the engine under test; beside it every bank has a reference store that no other bank ever touches.
Two banks bear the same name, at two tenants; all are given equal contents, and every call is also given ids of theirs.
"""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import store_calls as calls
from memory import upkeep_calls
from memory.filters import TRUE
from memory.ids import Scope
from memory.neighbours import Near
from memory.plans import WHOLE
from memory.records import Embedding, Head, Link, Record, RecordKind, Relinked
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, dense, fresh_scope, new_unit

TEXTS = ("red apple", "green apple", "red boat", "slow boat")
KEYS = ("one", "two")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
KINDS = st.sampled_from([RecordKind.DOCUMENT, RecordKind.OPERATION, RecordKind.COMMIT])
SEQS, EPOCHS = st.integers(0, 4), st.integers(0, 2)
INSTANTS = st.integers(0, 40)


def ids_of(scopes: list[Scope]) -> tuple[str, ...]:
    return tuple(new_unit(scope, text).unit.id for scope in scopes for text in TEXTS)


def relinked(scopes: list[Scope]) -> st.SearchStrategy[Relinked]:
    ids = st.sampled_from(ids_of(scopes))
    links = st.lists(st.builds(Link, ids, st.just("causes"), st.just(0.5)), max_size=2).map(tuple)
    return st.builds(Relinked, ids, links, st.none() | ids, st.sampled_from([None, NOW]))


def call_strategies(scope: Scope, scopes: list[Scope]) -> dict[type[calls.Call], st.SearchStrategy]:
    """One strategy per kind of call; ids are of all banks, what is inserted is the bank's own."""
    ids = st.lists(st.sampled_from(ids_of(scopes)), unique=True, max_size=6).map(tuple)
    keys = st.lists(st.sampled_from(KEYS), unique=True, max_size=2).map(tuple)
    queries = st.sampled_from(TEXTS)
    heads = st.builds(
        Head, epoch=EPOCHS, commit=SEQS, seq=SEQS, due_at=st.sampled_from([None, NOW]), exists=st.booleans()
    )
    news = st.builds(
        lambda text, seq, epoch: new_unit(scope, text, seq=seq, epoch=epoch, tags=("x",)),
        st.sampled_from(TEXTS),
        SEQS,
        EPOCHS,
    )
    records = st.builds(
        lambda kind, key, seq, epoch, status: Record(kind, key, {"n": seq}, seq, epoch, seq * 10 + len(key), status),
        KINDS,
        st.sampled_from(KEYS),
        SEQS,
        EPOCHS,
        st.sampled_from(["", WHOLE]),
    )
    distinct = st.lists(news, max_size=4, unique_by=lambda new: new.unit.id).map(tuple)
    return {
        calls.ReadHead: st.builds(calls.ReadHead),
        calls.GetRecords: st.builds(calls.GetRecords, KINDS, keys),
        calls.ListRecords: st.builds(
            calls.ListRecords, KINDS, st.integers(0, 5), st.integers(0, 2), until=st.none() | st.integers(-2, 5)
        ),
        calls.GetUnits: st.builds(calls.GetUnits, ids),
        calls.GetChunks: st.builds(calls.GetChunks, ids),
        calls.GetDense: st.builds(calls.GetDense, ids),
        upkeep_calls.GetEmbeddings: st.builds(upkeep_calls.GetEmbeddings, ids),
        upkeep_calls.FindUnembedded: st.builds(upkeep_calls.FindUnembedded, st.sampled_from(["", "new"]), st.just(9)),
        upkeep_calls.AddVectors: st.builds(
            lambda named, text: upkeep_calls.AddVectors(dict.fromkeys(named, Embedding(dense(text), space="new"))),
            ids,
            queries,
        ),
        upkeep_calls.DropVectors: st.builds(upkeep_calls.DropVectors, st.sampled_from(["", "new"]), st.just(9)),
        calls.ListUnits: st.builds(calls.ListUnits, st.integers(0, 9), st.integers(0, 2)),
        calls.CountValues: st.builds(calls.CountValues, st.sampled_from(["tags", "type", "document_id"]), st.just(9)),
        calls.SearchLanes: queries.map(
            lambda text: calls.SearchLanes((calls.Lane(9, dense=dense(text)), calls.Lane(9, lexical=text)), places=9)
        ),
        calls.CompleteHits: st.builds(
            lambda text, seen, near, with_tokens: calls.CompleteHits(
                dict.fromkeys(seen, 0.5), dict.fromkeys(seen, 0.5), dense(text), text, seen, seen, near, with_tokens
            ),
            queries,
            ids,
            st.none()
            | st.builds(
                Near, st.sampled_from([{"d": ((0, 9),)}, {"d": ((0, 2),), "e": ((0, 9),)}]), st.just(TRUE), st.just(9)
            ),
            st.booleans(),
        ),
        calls.FindLive: st.builds(calls.FindLive, ids),
        calls.InsertUnits: st.builds(calls.InsertUnits, distinct),
        calls.CreateHead: st.builds(calls.CreateHead, heads),
        calls.SwapHead: st.builds(
            lambda old, new, nonce: calls.SwapHead(replace(old, settled=0), new, nonce),
            heads,
            heads,
            st.sampled_from(["n1", "n2", "n3"]),
        ),
        calls.WriteRecords: st.builds(
            calls.WriteRecords, st.lists(records, max_size=3, unique_by=lambda r: (r.kind, r.key)).map(tuple)
        ),
        calls.SetLive: st.builds(calls.SetLive, ids, SEQS, EPOCHS),
        calls.MoveUnits: st.builds(calls.MoveUnits, st.dictionaries(st.sampled_from(ids_of(scopes)), SEQS), EPOCHS),
        calls.RetireUnits: st.builds(calls.RetireUnits, ids, SEQS, EPOCHS),
        calls.RemoveRecords: st.builds(calls.RemoveRecords, KINDS, keys, SEQS, EPOCHS, INSTANTS),
        calls.ClearBank: st.builds(calls.ClearBank, SEQS, EPOCHS, INSTANTS),
        calls.SweepPending: st.builds(calls.SweepPending, EPOCHS),
        upkeep_calls.RelinkUnits: st.builds(
            upkeep_calls.RelinkUnits,
            st.lists(relinked(scopes), max_size=2, unique_by=lambda one: one.unit_id).map(tuple),
            EPOCHS,
        ),
        upkeep_calls.SweepRemoved: st.builds(upkeep_calls.SweepRemoved, INSTANTS, st.just(9)),
        calls.ForgetText: records.map(lambda record: calls.ForgetText(replace(record, kind=RecordKind.COMMIT))),
        calls.TrimCommits: st.builds(calls.TrimCommits, st.integers(0, 40)),
    }


def kinds_of_call() -> set[type[calls.Call]]:
    names = [*vars(calls).values(), *vars(upkeep_calls).values()]
    found = {kind for kind in names if isinstance(kind, type) and issubclass(kind, calls.Call)}
    return found - {calls.Call}


def test_every_kind_of_call_is_tried():
    scopes = [fresh_scope(), fresh_scope()]
    assert set(call_strategies(scopes[0], scopes)) == kinds_of_call()


def test_equal_contents_of_two_tenants_share_no_id():
    ours, theirs, other = Scope("ours", "bank"), Scope("theirs", "bank"), Scope("ours", "tank")
    ids = ids_of([ours, theirs, other])
    assert len(set(ids)) == len(ids)


def comparable(answer: Any) -> Any:
    """Lanes without the order of ties, numbers rounded: engines compute in different precision."""
    match answer:
        case calls.LaneHits():
            return {unit: round(score, 3) for unit, score in zip(answer.ids, answer.scores, strict=True)}, answer.places
        case calls.Hits():
            scores = (np.round(answer.semantic, 3) + 0.0, np.round(answer.keyword, 3) + 0.0)
            return answer.ids, answer.payloads, *(score.tolist() for score in scores), answer.tokens
        case Embedding():
            return [(one.space, np.round(one.dense, 4).tolist(), one.tokens) for one in answer.all]
        case calls.RecordPage():
            return sorted(record.key for record in answer.records), answer.total
        case tuple():
            return [comparable(part) for part in answer]
        case dict():
            return {key: comparable(value) for key, value in answer.items()}
        case np.ndarray():
            return np.round(answer, 4).tolist()
        case float():
            return None if math.isnan(answer) else round(answer, 3)
        case _:
            return answer


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_banks_answer_as_if_they_were_alone(engine, data):
    tenant = fresh_scope().tenant  # the engine is shared by all examples, the banks are not
    scopes = [Scope(f"{tenant} a", "bank"), Scope(f"{tenant} b", "bank"), Scope(f"{tenant} a", "tank")]
    alone = {scope: ReferenceStore(DIM) for scope in scopes}
    strategies = {scope: st.one_of(*call_strategies(scope, scopes).values()) for scope in scopes}
    for scope in scopes:
        for store in (engine, alone[scope]):
            store.call(scope, calls.CreateHead(Head(exists=True)))
            store.call(scope, calls.InsertUnits(tuple(new_unit(scope, text, tags=("x",)) for text in TEXTS)))
            store.call(scope, calls.SetLive(ids_of([scope])[:3], 1, 1))
    for _ in range(data.draw(st.integers(1, 12))):
        scope = data.draw(st.sampled_from(scopes))
        call = data.draw(strategies[scope])
        assert comparable(engine.call(scope, call)) == comparable(alone[scope].call(scope, call)), (scope, call)
        if isinstance(call, calls.ForgetText):
            engine.flush()  # it is done after the next flush where there is a disk
    for scope in scopes:
        everything = (
            calls.ReadHead(),
            calls.ListUnits(100),
            *(calls.ListRecords(kind, 100) for kind in RecordKind if kind is not RecordKind.HEAD),
            calls.GetChunks(ids_of(scopes)),
        )
        for call in everything:
            assert comparable(engine.call(scope, call)) == comparable(alone[scope].call(scope, call)), (scope, call)
        for unit in ids_of(scopes):
            found, expected = (store.find_unit(scope.tenant, unit) for store in (engine, alone[scope]))
            assert (found if found is None or found[0] == scope else None) == expected
            assert found is None or found[0].tenant == scope.tenant
        mine = [other for other in scopes if other.tenant == scope.tenant]
        heads = [head for other in mine for head in alone[other].list_heads(scope.tenant, 9, 0).banks]
        assert list(engine.list_heads(scope.tenant, 9, 0).banks) == sorted(heads, key=lambda pair: pair[0])
