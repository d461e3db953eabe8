"""Pure parts of consolidation: scopes, groups, what rules write, what is noted for later."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.consolidating.grouping import MAX_CITED, groups_of
from memory.consolidating.observations import (
    MAX_TEXT_CHARS,
    history_record,
    observation,
    with_earlier,
    without_versions,
)
from memory.consolidating.plans import (
    CONSOLIDATED,
    QUEUED_FACTS,
    UNCONSOLIDATED,
    cursor_record,
    noting,
    queue_records,
    read_cursor,
)
from memory.consolidating.rules import QUOTED, text_of
from memory.consolidating.scopes import MAX_SCOPES, MODES, encode_scoping, scopes_of
from memory.consolidating.targets import MAX_AHEAD, Cursor, covers, is_meant, targets_of
from memory.errors import Unprocessable
from memory.extraction.candidates import Claim
from memory.knowledge import Knowledge, LiveFact
from memory.plans import Plan
from memory.records import Head, Relinked, Unit, UnitKind, UnitType
from tests.support.clocks import START

TAGS = st.lists(st.sampled_from("abcdef"), max_size=6).map(tuple)


@pytest.mark.parametrize(
    ("tags", "scoping", "scopes"),
    [
        (("b", "a"), "combined", [("a", "b")]),
        ((), "combined", [()]),
        (("b", "a"), "shared", [()]),
        (("b", "a"), "per_tag", [("a",), ("b",)]),
        ((), "per_tag", [()]),
        (("a", "b"), "all_combinations", [("a",), ("b",), ("a", "b")]),
        (("a", "b", "c", "d", "e"), "all_combinations", [*((tag,) for tag in "abcde"), tuple("abcde")]),
        (("user:ana", "run:1"), '[["user:*"],["team"],[]]', [("user:ana",), ("team",), ()]),
        (("run:1",), '[["user:*"]]', []),
    ],
)
def test_scopes_of_tags(tags, scoping, scopes):
    assert list(scopes_of(tags, scoping)) == scopes


def test_all_combinations_of_four_tags_are_fifteen():
    assert len(scopes_of(tuple("abcd"), "all_combinations")) == 15


@given(tags=TAGS, scoping=st.sampled_from(MODES))
def test_scopes_are_distinct_sorted_and_made_of_the_tags(tags, scoping):
    scopes = scopes_of(tags, scoping)
    assert len(scopes) == len(set(scopes)) >= 1
    for scope in scopes:
        assert list(scope) == sorted(scope)
        assert set(scope) <= set(tags)


def test_scopings_that_are_none_are_refused():
    assert encode_scoping(None) is None
    assert json.loads(encode_scoping([["a"], []]) or "") == [["a"], []]
    for wrong in ("each", [["a"]] * (MAX_SCOPES + 1), [[1]], ["a"]):
        with pytest.raises(Unprocessable):
            encode_scoping(wrong)  # type: ignore[arg-type]  # that is the point


@given(
    tags=TAGS,
    named=st.lists(TAGS, max_size=3),
    others=st.lists(TAGS, max_size=3),
)
def test_a_fact_is_meant_by_a_scope_whose_tags_it_has_all(tags, named, others):
    targets = targets_of(named)
    assert is_meant(tags, targets) == (not named or any(set(scope) <= set(tags) for scope in named))
    if covers(targets, targets_of(others)) and is_meant(tags, targets_of(others)):
        assert is_meant(tags, targets)


def test_places_of_scopes_are_kept_for_the_last_ones_and_forgotten_once_the_bank_has_passed_them():
    cursor = Cursor()
    for number in range(MAX_AHEAD + 3):
        cursor = cursor.moved([(f"t{number}",)], number + 1, "u")
    assert [one.scope for one in cursor.ahead] == [(f"t{number}",) for number in range(3, MAX_AHEAD + 3)]
    assert read_cursor(cursor_record(cursor, START)) == cursor
    later = replace(cursor, seq=60, unit_id="z").moved([("x",)], 90, "u")
    assert [one.seq for one in later.ahead] == [61, 62, 63, 64, 65, 66, 67, 90]
    with pytest.raises(Unprocessable):
        targets_of([[str(number)] for number in range(MAX_SCOPES + 1)])


def fact(number: int, value: str = "Oslo", **fields) -> LiveFact:
    claims = (Claim("Ana", "residence", value),)
    at = START + timedelta(days=number)
    return LiveFact(f"f{number:03}", number, at, None, claims, (("Ana", "person"),), **fields)


def knowledge(*facts: LiveFact) -> Knowledge:
    made = Knowledge()
    for one in facts:
        made.add(one)
    return made


def test_a_group_holds_what_stands_in_one_slot_and_scope():
    facts = [fact(1), fact(2, tags=("x",)), fact(3), fact(4, scoping="shared", tags=("y",))]
    groups = groups_of(knowledge(*facts), [one.id for one in facts], "combined")
    assert [(group.scope, group.members) for group in groups] == [((), ("f001", "f003", "f004")), (("x",), ("f002",))]


def test_what_is_closed_is_in_no_group_and_an_observation_cites_the_latest():
    held = knowledge(fact(1, "Rome"), *(fact(number) for number in range(2, 100)))
    (group,) = groups_of(held, ["f001", "f005"], "combined")
    assert "f001" not in group.members
    assert (len(group.members), group.cited) == (98, group.members[-MAX_CITED:])


def test_facts_alike_about_the_same_are_one_group():
    def told(number: int, sketch: str, who: str) -> LiveFact:
        at = START + timedelta(days=number)
        return LiveFact(f"f{number}", number, at, None, (), ((who, "person"),), sketch=sketch)

    same, other = "A" * 64, "/" * 64
    held = knowledge(told(1, same, "Ana"), told(2, same, "Ana"), told(3, same, "Ben"), told(4, other, "Ana"))
    groups = groups_of(held, ["f1", "f3", "f4"], "combined")
    assert [group.members for group in groups] == [("f1", "f2"), ("f3",), ("f4",)]


def unit(number: int, text: str) -> Unit:
    at = START + timedelta(days=number)
    return Unit(f"u{number}", UnitKind.FACT, UnitType.WORLD, text, "d", "h", seq=number, mentioned_at=at)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6))
def test_rules_write_nothing_but_what_was_told_the_latest_first(texts):
    facts = [unit(number, text) for number, text in enumerate(texts)]
    text = text_of(facts)
    assert text.startswith(texts[-1].strip())
    assert len(text) <= max(MAX_TEXT_CHARS + QUOTED, len(texts[-1]) + 1)
    left = text
    for told in sorted({told.strip() for told in texts}, key=len, reverse=True):
        left = left.replace(told, "")
    assert set(left) <= set(". ")
    assert text_of(facts[::-1]) == text


def test_versions_are_kept_as_long_as_what_they_rested_on_is_pointed_at():
    first = observation("o", (), "first", [unit(1, "a"), unit(2, "b")], "rules", START)
    second = with_earlier(observation("o", (), "second", [unit(2, "b"), unit(3, "c")], "rules", START), first)
    assert [link.to for link in second.links] == ["u1"]
    record = history_record(second, history_record(first, None, None, "created", START), first, "refined", START)
    assert [version["text"] for version in record.body["versions"]] == ["first"]
    assert without_versions(record, {"u1"}).body["versions"] == []
    third = replace(observation("o", (), "third", [unit(3, "c"), unit(4, "d")], "rules", START), links=())
    again = history_record(third, record, second, "refined", START)
    assert again.body["versions"] == [], "a text whose facts are not pointed at could not be taken back"
    assert again.body["version"] == 3


def plan(seq: int, head: Head, **fields) -> Plan:
    return Plan("end_stage", "op", seq, replace(head, seq=seq), **fields)


def test_what_a_plan_leaves_to_be_consolidated_is_noted_once_a_bank_consolidates():
    head = Head(seq=8, exists=True)
    moved = plan(9, head, relink=(Relinked("f1", (), None, None), Relinked("chunk", (), None, None)))
    assert noting(moved, head, {"f1"}, 10.0, START, on=False) is moved
    noted = noting(moved, head, {"f1"}, 10.0, START, on=True)
    (record,) = noted.records
    assert record.body["sources"] == ["f1"]
    assert noted.head_after.counters == {UNCONSOLIDATED: 1}
    assert noted.head_after.due_at == START + timedelta(seconds=10)
    done = replace(head, counters={CONSOLIDATED: 8})
    noted = noting(plan(9, done, relink=moved.relink), done, {"f1"}, 10.0, START, on=False)
    assert (noted.head_after.counters[UNCONSOLIDATED], noted.head_after.due_at) == (9, None)
    assert len(queue_records("k", [str(number) for number in range(2 * QUEUED_FACTS + 1)], START)) == 3


def test_turning_it_on_makes_a_bank_due_from_its_beginning():
    before = Head(seq=8, exists=True)
    after = plan(9, replace(before, profile={"enable_observations": True}))
    noted = noting(after, before, set(), 10.0, START, on=True)
    assert noted.head_after.counters == {UNCONSOLIDATED: 1}
    assert noted.head_after.due_at is not None
