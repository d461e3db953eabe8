"""Recall as a bank stood at an earlier time, over every engine and against a plain reading of what was told when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.as_of import plan_recall
from memory.ids import Scope
from memory.query import understand
from memory.recall import RecallQuery, answer
from memory.recipes import HYBRID
from memory.records import Head, Record, RecordKind, Source, UnitKind
from memory.store_calls import CreateHead, WriteRecords
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.builders import DIM, embedding, fresh_scope, new_unit, put_live

START = datetime(2024, 1, 1, tzinfo=UTC)
TOLD = st.integers(0, 6)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def recalled(engine, scope: Scope, when: datetime | None):
    query = RecallQuery("red bicycle", as_of=when)
    understood = understand(query.query, ())
    found = run(engine, scope, plan_recall(query, understood, embedding(query.query), HYBRID))
    return answer(query, understood, found, HYBRID)


def test_what_was_told_later_is_hidden_in_both_lanes_and_beside_them(engine):
    scope = fresh_scope()
    told = {
        "red bicycle": {"mentioned_at": day(1), "recorded_at": day(9)},
        "red boat": {"mentioned_at": day(3), "recorded_at": day(3)},
        "bicycle shop": {"recorded_at": day(2)},
        "a garden": {"recorded_at": day(5)},
    }
    units = [new_unit(scope, text, document_id=f"d{n}", **fields) for n, (text, fields) in enumerate(told.items())]
    put_live(engine, scope, *units)
    shown = {
        number: {result.payload["text"] for result in recalled(engine, scope, day(number)).results}
        for number in (0, 1, 2, 4, 9)
    }
    assert shown[0] == set()
    assert shown[1] == {"red bicycle"}
    assert shown[2] == {"red bicycle", "bicycle shop"}
    assert shown[4] == {"red bicycle", "bicycle shop", "red boat"}
    assert shown[9] == {result.payload["text"] for result in recalled(engine, scope, None).results} == set(told)


@settings(max_examples=60)
@given(told=st.lists(TOLD, min_size=1, max_size=5), when=TOLD)
def test_a_fact_is_shown_unless_one_that_had_been_told_had_closed_it(told, when):
    """Facts of one slot in the order of their chain, each told at any time."""
    scope, engine = Scope("t", "b"), ReferenceStore(DIM)
    chunk = new_unit(scope, "red bicycle", mentioned_at=day(0))
    facts = [
        new_unit(
            scope,
            f"red bicycle {place}",
            occurrence=place,
            kind=UnitKind.FACT,
            mentioned_at=day(at),
            sources=(Source(chunk.unit.id, 1, "x"),),
            valid_from=day(place),
        )
        for place, at in enumerate(told)
    ]
    closed = [
        replace(one, unit=replace(one.unit, superseded_by=after.unit.id, valid_to=after.unit.valid_from))
        for one, after in pairwise(facts)
    ]
    put_live(engine, scope, chunk, *closed, facts[-1])
    expected = {
        f"red bicycle {place}"
        for place, at in enumerate(told)
        if at <= when and not any(later <= when for later in told[place + 1 :])
    }
    (result,) = recalled(engine, scope, day(when)).results
    assert {fact.payload["text"] for fact in result.facts} == expected
    assert all("valid_to" not in fact.payload for fact in result.facts)
    (today,) = recalled(engine, scope, None).results
    assert {fact.payload["text"] for fact in today.facts} == {f"red bicycle {len(told) - 1}"}


def commit(number: int, at: int | None, *, retired: int = 0, clear: bool = False) -> Record:
    body = {"settled": True, "retired": retired, "clear": clear, "at": day(at).isoformat() if at is not None else None}
    return Record(RecordKind.COMMIT, f"c{number}", body, order=number)


@pytest.mark.parametrize(
    ("commits", "last", "incomplete"),
    [
        ([commit(1, 1), commit(2, 4)], 2, False),
        ([commit(1, 1), commit(2, 2, retired=3), commit(3, 4)], 3, False),
        ([commit(1, 1), commit(2, 4, retired=1)], 2, True),
        ([commit(1, 1), commit(2, 4, clear=True)], 2, True),
        ([commit(1, 1), commit(2, None, retired=1)], 2, True),
        ([commit(7, 2), commit(8, 4)], 8, False),
        ([commit(7, 4), commit(8, 5)], 8, True),
        ([commit(7, None), commit(8, 5)], 8, True),
        ([], 8, True),
        ([commit(1, 1), commit(2, 4), commit(3, 4, retired=1)], 2, False),
    ],
    ids=["nothing went", "before", "after", "cleared", "unknown when", "reaches back", "swept", "old", "none", "open"],
)
def test_history_is_incomplete_where_something_went_since_or_nobody_knows(engine, commits, last, incomplete):
    scope = fresh_scope()
    head = Head(epoch=1, commit=last, settled=last, commits={last: f"c{last}"}, exists=True, updated_at=day(5))
    engine.call(scope, CreateHead(head))
    engine.call(scope, WriteRecords(tuple(commits)))
    assert recalled(engine, scope, day(3)).incomplete is incomplete
    assert recalled(engine, scope, None).incomplete is False


def test_a_bank_that_never_was_has_lost_nothing(engine):
    assert recalled(engine, fresh_scope(), day(3)).incomplete is False
