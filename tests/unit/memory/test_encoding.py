from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import encoding
from memory.ids import Scope
from memory.plans import Event, Plan, decode_plan, due_after, encode_plan, summarise_plan
from memory.records import Document, Head, RecallProfile, RecordKind, Unit, UnitKind, UnitState, UnitType
from memory.store_calls import NewUnit
from tests.support.builders import new_unit
from tests.support.strategies import COUNT, DOCUMENT, HEAD, INSTANT, RECALL_PROFILE, RECORD, RELINKED, TEXT, UNIT


def through_json(body):
    return orjson.loads(orjson.dumps(body))


@given(UNIT)
def test_a_unit_survives_its_payload(unit: Unit):
    assert encoding.decode_unit(unit.id, through_json(encoding.encode_unit(unit))) == unit


@given(DOCUMENT)
def test_a_document_survives_its_record(document: Document):
    assert encoding.decode_document(document.id, through_json(encoding.encode_document(document))) == document


@given(HEAD)
def test_a_head_survives_its_record(head: Head):
    assert encoding.decode_head(through_json(encoding.encode_head(head))) == head


@given(RECALL_PROFILE)
def test_a_recall_profile_survives_its_record(profile: RecallProfile):
    assert encoding.decode_recall_profile(through_json(encoding.encode_recall_profile(profile))) == profile


@pytest.mark.parametrize("kind", [Unit, Document, Head, RecallProfile])
def test_a_new_field_needs_a_place_on_disk(kind):
    """The strategies above name every field; one they leave out would not be tested."""
    strategies = {Unit: UNIT, Document: DOCUMENT, Head: HEAD, RecallProfile: RECALL_PROFILE}
    drawn = strategies[kind].wrapped_strategy.kwargs
    assert set(drawn) == {field.name for field in fields(kind)}


def test_a_plain_unit_costs_only_what_it_says():
    unit = Unit("i", UnitKind.CHUNK, UnitType.WORLD, "t", "d", "h")
    assert set(encoding.encode_unit(unit)) == {
        *("kind", "type", "state", "text", "document_id", "content_hash", "position", "born_version", "seq", "epoch"),
        *("proof_count", "text_tokens"),
    }


def test_fields_of_a_later_version_are_ignored():
    unit = new_unit(Scope("t", "b"), "text").unit
    assert encoding.decode_unit(unit.id, encoding.encode_unit(unit) | {"colour": "red", "bank_key": "k"}) == unit


@given(st.lists(INSTANT, max_size=6))
def test_the_order_of_instants_is_the_order_of_their_texts(instants: list[datetime]):
    assert sorted(map(encoding.instant_to_text, instants)) == list(map(encoding.instant_to_text, sorted(instants)))
    assert [encoding.instant_from_text(encoding.instant_to_text(at)) for at in instants] == instants


def test_instants_of_other_zones_are_stored_in_utc():
    at = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert encoding.instant_to_text(at) == "2025-12-31T23:00:00.000000Z"
    assert encoding.instant_from_text("2026-01-01T01:00:00+02:00").tzinfo == UTC


KEYS = st.lists(st.tuples(st.sampled_from(RecordKind), TEXT), max_size=3).map(tuple)
PLAN = st.builds(
    Plan,
    command=TEXT,
    operation_id=TEXT,
    seq=COUNT,
    head_after=st.just(Head()),
    add=st.lists(UNIT.map(lambda unit: NewUnit(unit, None)), max_size=2).map(tuple),
    remake=st.lists(TEXT, max_size=2).map(tuple),
    retire=st.lists(TEXT, max_size=3).map(tuple),
    moves=st.dictionaries(TEXT, st.integers(-(1 << 53), 1 << 53), max_size=3),
    relink=st.lists(RELINKED, max_size=2).map(tuple),
    records=st.lists(RECORD, max_size=2).map(tuple),
    remove=KEYS,
    clear=st.booleans(),
    events=st.lists(st.builds(Event, TEXT, TEXT, INSTANT), max_size=2).map(tuple),
    own_seqs=st.booleans(),
)


@given(PLAN)
def test_a_plan_survives_its_commit_record_but_for_vectors(plan: Plan):
    assert decode_plan(through_json(encode_plan(plan, "k")), Head()) == plan


@given(PLAN, INSTANT)
def test_when_a_bank_is_due_after_a_plan_survives_its_commit_record(plan: Plan, due: datetime):
    plan = replace(plan, head_after=Head(due_at=due))
    assert decode_plan(through_json(encode_plan(plan, "k")), Head(epoch=3)).head_after == Head(epoch=3, due_at=due)
    assert due_after(through_json(summarise_plan(plan))) == due


def test_a_new_field_of_a_plan_needs_a_place_in_the_commit_record():
    assert set(PLAN.wrapped_strategy.kwargs) == {field.name for field in fields(Plan)}


@given(PLAN)
def test_the_history_of_a_plan_holds_no_text(plan: Plan):
    summary = through_json(summarise_plan(plan))
    assert summary["settled"] is True
    assert (summary["added"], summary["retired"]) == (len(plan.add), len(plan.retire))
    assert summary["documents"] == [r.key for r in plan.records if r.kind is RecordKind.DOCUMENT]
    assert "add" not in summary
    assert not any(isinstance(value, dict) for value in summary.values())


def test_vectors_are_left_out_of_the_commit_record():
    new = new_unit(Scope("t", "b"), "hello")
    plan = Plan("retain", "op", 1, Head(), add=(new,))
    assert decode_plan(encode_plan(plan, "k"), Head()).add == (NewUnit(new.unit, None),)


@given(st.sampled_from(UnitState))
def test_the_state_is_stored_as_a_keyword(state: UnitState):
    unit = Unit("i", UnitKind.CHUNK, UnitType.WORLD, "t", "d", "h", state=state)
    assert encoding.encode_unit(unit)["state"] == state.value
