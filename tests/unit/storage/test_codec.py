from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from memory.ids import Scope
from memory.records import Head, Record, RecordKind, Unit, UnitState
from storage import codec, schema
from tests.support.strategies import COUNT, HEAD, RECORD, TEXT, UNIT

SCOPES = st.builds(Scope, TEXT, TEXT)


def through_json(payload):
    return orjson.loads(orjson.dumps(payload))


@given(SCOPES, UNIT, st.sampled_from(UnitState))
def test_a_unit_survives_its_payload_in_the_state_given(scope: Scope, unit: Unit, state: UnitState):
    payload = through_json(codec.unit_payload(scope, unit, state))
    found = codec.unit_of(unit.id, payload)
    assert found.state is state
    assert {**codec.unit_payload(scope, found, state)} == payload
    assert payload[schema.BANK_KEY] == scope.key


@given(SCOPES, RECORD, COUNT, COUNT)
def test_a_record_survives_its_payload(scope: Scope, record: Record, seq: int, epoch: int):
    record = replace(record, seq=seq, epoch=epoch)
    assert codec.record_of(through_json(codec.record_payload(scope, record))) == record


@given(SCOPES, HEAD)
def test_a_head_survives_its_payload_and_shows_what_is_compared(scope: Scope, head: Head):
    payload = through_json(codec.head_payload(scope, head, "nonce"))
    assert codec.head_of(payload) == head
    assert (payload["epoch"], payload["commit"], payload["settled"]) == (head.epoch, head.commit, head.settled)
    assert payload["status"] == ("exists" if head.exists else "deleted" if head.deleted else "empty")
    assert (schema.DUE_AT in payload) == (head.due_at is not None)


@given(SCOPES, UNIT, HEAD, RECORD)
def test_no_payload_holds_a_boolean_that_could_be_filtered_by(scope, unit, head, record):
    """The edge engine matches none; flags are keywords."""
    for payload in (
        codec.unit_payload(scope, unit, UnitState.LIVE),
        codec.head_payload(scope, head, "n"),
        codec.record_payload(scope, record),
    ):
        assert not [key for key, value in payload.items() if isinstance(value, bool)]


def test_everything_filtered_by_has_an_index():
    assert {schema.STATE, schema.KIND, schema.SEQ, schema.EPOCH, "tags", "type", "document_id"} <= set(
        schema.UNIT_INDEXES
    )
    assert [name for name, kind in schema.UNIT_INDEXES.items() if kind == "tenant"] == [schema.BANK_KEY]
    assert RecordKind.HEAD.value == "head"
