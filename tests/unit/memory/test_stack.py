from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory.query import understand
from memory.recall import Candidates, RecallQuery, answer
from memory.recipes import HYBRID, LATE
from memory.stack import NO_LANES, Stack
from memory.store_calls import Hits

QUERY = RecallQuery("what is said", trace=True)
UNDERSTOOD = understand(QUERY.query, ())
ROW = st.tuples(st.sampled_from("abcde"), st.floats(-1, 1), st.floats(0, 20))


def candidates(bank: str, rows, matches=None) -> Candidates:
    rows = list(rows)
    ids = tuple(f"{bank}-{number}" for number in range(len(rows)))
    payloads = tuple(
        {
            "kind": "chunk",
            "text": text,
            "type": "world",
            "document_id": f"d{number // 3}",
            "position": number % 3 << 20,
            "text_tokens": 1,
        }
        for number, (text, _, _) in enumerate(rows)
    )
    scores = [np.array([row[column] for row in rows], dtype=np.float64) for column in (1, 2)]
    return Candidates(Hits(ids, payloads, *scores), NO_LANES, matches=matches)


@given(st.lists(st.lists(ROW, max_size=6), min_size=1, max_size=4))
def test_what_says_the_same_scores_alike_and_the_nearest_comes_first(banks):
    found = [(f"bank-{place}", candidates(f"bank-{place}", rows)) for place, rows in enumerate(banks)]
    results = Stack.of(found).answer(QUERY, UNDERSTOOD, LATE).results
    assert sorted(result.id for result in results) == sorted(unit for _, one in found for unit in one.hits.ids)
    finals = [result.final for result in results]
    assert finals == sorted(finals, reverse=True)
    for text in "abcde":
        same = [result for result in results if result.payload["text"] == text]
        assert len({result.final for result in same}) <= 1
        assert [(result.bank, result.id) for result in same] == sorted((result.bank, result.id) for result in same)
    originals = {unit: (bank, one.hits.payloads[n]) for bank, one in found for n, unit in enumerate(one.hits.ids)}
    assert all((result.bank, dict(result.payload)) == originals[result.id] for result in results)


@given(st.lists(ROW, min_size=1, max_size=8, unique_by=lambda row: row[0]))
def test_one_bank_is_answered_as_alone(rows):
    one = candidates("b", rows)
    alone = answer(QUERY, UNDERSTOOD, one, LATE).results
    stacked = Stack.of([("b", one)]).answer(QUERY, UNDERSTOOD, LATE).results
    assert [(result.id, result.final) for result in stacked] == [(result.id, result.final) for result in alone]


def test_documents_of_two_banks_are_not_one():
    """What stands beside a unit in its document lifts it; the same place in another bank's document is elsewhere."""
    near = candidates("near", [("a", 0.9, 5.0)])
    far = candidates("far", [("b", 0.1, 0.0), ("c", 0.1, 0.0)])
    moved = replace(far.hits, payloads=(far.hits.payloads[0], {**far.hits.payloads[1], "document_id": "other"}))
    apart = Stack.of([("near", near), ("far", replace(far, hits=moved))]).answer(QUERY, UNDERSTOOD, LATE).results
    scores = {result.id: result.final for result in apart}
    assert scores["far-0"] == scores["far-1"]


def test_a_bank_that_is_not_compared_token_by_token_is_neither_lifted_nor_lowered():
    rows = [("a", 0.9, 1.0), ("b", 0.5, 2.0), ("c", 0.1, 3.0)]
    matches = np.array([[0.9, 0.2, 0.1], [0.3, 0.2, 0.8]], dtype=np.float32)
    found = [("one", candidates("one", rows, matches)), ("two", candidates("two", rows))]
    trace = Stack.of(found).answer(QUERY, UNDERSTOOD, LATE).trace
    assert trace is not None
    late = {row["id"]: row["late"] for row in trace["ranked"]}
    assert [late[f"two-{n}"] for n in range(3)] == [None] * 3
    assert all(late[f"one-{n}"] is not None for n in range(3))
    assert trace["banks"] == ["one", "two"]
    assert {row["bank_id"] for row in trace["ranked"]} == {"one", "two"}


def test_no_bank_has_nothing():
    answered = Stack.of([]).answer(QUERY, UNDERSTOOD, HYBRID)
    assert answered.results == ()
    assert answered.trace is not None
