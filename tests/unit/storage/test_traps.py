"""What the embedded engine does that nobody expects, and that our calls do not pass it on."""

import dataclasses
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from qdrant_edge import (
    CountRequest,
    EdgeShard,
    FieldCondition,
    Filter,
    MatchValue,
    OrderBy,
    Point,
    ScrollRequest,
    UpdateOperation,
)

from memory.encoding import encode_head, encode_unit
from memory.errors import Unprocessable
from memory.records import Head, Record, RecordKind, UnitState, Vectors
from memory.store_calls import CountValues, FindLive, InsertUnits, Lane, ReadHead, SearchLanes, SetLive, SwapHead
from storage import codec, schema
from storage.edge_shard import open_units
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_live
from tests.support.strategies import HEAD, RECORD, UNIT

ONE, TWO = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b")


@pytest.fixture
def raw(tmp_path) -> EdgeShard:
    shard = open_units(tmp_path / "units", DIM, 1.0)
    yield shard
    shard.close()


@pytest.fixture
def scope():
    return fresh_scope()


def put(shard: EdgeShard, id_: str, **payload) -> None:
    shard.update(UpdateOperation.upsert_points([Point(id_, {}, payload)]))


# -- booleans: a filter on one finds nothing, so none is ever stored


def test_the_engine_finds_no_boolean(raw):
    put(raw, ONE, flag=True)
    where = Filter(must=[FieldCondition(key="flag", match=MatchValue(value=True))])
    assert raw.count(CountRequest(filter=where, exact=True)) == 0


def values_of(payload):
    for value in payload.values():
        yield from value if isinstance(value, list) else [value]


@given(UNIT)
def test_units_store_no_boolean(unit):
    payload = codec.unit_payload(fresh_scope(), unit, UnitState.LIVE)
    assert not [value for value in values_of(payload) if isinstance(value, bool)]
    assert encode_unit(unit).keys() <= payload.keys()


@given(RECORD, HEAD)
def test_records_and_heads_store_no_boolean_outside_their_body(record, head):
    scope = fresh_scope()
    for payload in (codec.record_payload(scope, record), codec.head_payload(scope, head, "n")):
        assert not [value for value in values_of(payload) if isinstance(value, bool)]
    assert isinstance(encode_head(head)["exists"], bool)


# -- vectors that are no numbers: the engine takes them


def test_the_engine_takes_a_vector_of_nans(raw):
    raw.update(UpdateOperation.upsert_points([Point(ONE, {schema.DENSE: [math.nan] * DIM}, {})]))
    assert raw.retrieve([ONE], False, False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_store_takes_a_vector_that_is_not_finite(engine, scope, value):
    new = new_unit(scope, "red apple")
    vector = dense("red apple").copy()
    vector[3] = value
    with pytest.raises(Unprocessable):
        engine.call(scope, InsertUnits((dataclasses.replace(new, vectors=Vectors(vector, "red apple")),)))
    put_live(engine, scope, new)
    assert engine.call(scope, FindLive((new.unit.id,))) == {new.unit.id}


# -- conditions: an upsert with one inserts what is absent


def test_the_engine_inserts_what_is_absent_whatever_the_condition(raw):
    never = Filter(must=[FieldCondition(key="seq", match=MatchValue(value=7))])
    raw.update(UpdateOperation.upsert_points([Point(ONE, {}, {"seq": 1})], never))
    assert raw.retrieve([ONE], False, False)


def test_no_swap_makes_a_head(engine, scope):
    assert engine.call(scope, SwapHead(Head(), Head(epoch=1), "n")) is False
    assert engine.call(scope, ReadHead()) is None


# -- payloads of several points, some of which are not there


def test_the_engine_changes_some_and_then_fails(raw):
    put(raw, ONE, kind="chunk")
    with pytest.raises(Exception, match="No point with id"):
        raw.update(UpdateOperation.set_payload([ONE, TWO], {"kind": "fact"}))
    assert (raw.retrieve([ONE], True, False)[0].payload or {})["kind"] == "fact"


def test_units_that_are_absent_are_left_out_of_a_change(engine, scope):
    (here,) = put_live(engine, scope, new_unit(scope, "here"), seq=1)
    gone = new_unit(scope, "gone").unit.id
    engine.call(scope, SetLive((gone, here), 2, 1))
    assert engine.call(scope, FindLive((gone, here))) == {here}


# -- fields without an index


def test_the_engine_orders_by_no_field_without_an_index(raw):
    put(raw, ONE, free=1)
    with pytest.raises(Exception, match="index"):
        raw.scroll(ScrollRequest(limit=1, order_by=OrderBy("free")))


@pytest.mark.parametrize("field", ["text", "metadata.k", "mentioned_at", "nothing"])
def test_values_of_a_field_without_an_index_are_refused_as_the_callers_mistake(engine, scope, field):
    put_live(
        engine, scope, new_unit(scope, "red apple", metadata={"k": "v"}, mentioned_at=datetime(2026, 1, 1, tzinfo=UTC))
    )
    with pytest.raises(Unprocessable, match=field):
        engine.call(scope, CountValues(field, 5))


def test_listings_order_by_fields_that_have_an_index():
    assert schema.UNIT_INDEXES[schema.SEQ] == "integer"
    assert schema.RECORD_INDEXES[schema.ORDER] == "integer"
    assert Record(RecordKind.OPERATION, "k", {}).order == 0


# -- a stack of banks: one query for each, never one over all


def test_each_bank_of_a_stack_finds_its_own(engine):
    tenant = fresh_scope().tenant
    stack = [dataclasses.replace(fresh_scope(), tenant=tenant) for _ in range(4)]
    ids = [put_live(engine, scope, new_unit(scope, "red apple"), new_unit(scope, "green boat"))[0] for scope in stack]
    asked = SearchLanes((Lane(1, dense=dense("red apple")), Lane(1, lexical="red apple")))
    for scope, expected in zip(stack, ids, strict=True):
        assert [lane.ids for lane in engine.call(scope, asked)] == [(expected,), (expected,)]
