"""Words counted in memory give the scores that the engine's own counting gives, whatever is written meanwhile."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.filters import EVIDENCE
from memory.records import UnitKind
from memory.store_calls import ClearBank, InsertUnits, Lane, RetireUnits, SearchLanes, SetLive
from storage import bank_words
from storage.edge_store import EdgeStore
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, fresh_scope, new_unit, put_live

TEXTS = ("apple pear", "apple fig plum", "pear pear pear", "fig", "plum apple grape", "grape kiwi")
STEP = st.tuples(
    st.sampled_from(("put", "prepare", "reveal", "retire", "fact", "again", "clear")), st.integers(0, len(TEXTS) - 1)
)


@pytest.fixture(autouse=True, scope="module")
def of_any_size():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_words, "LEAST_POINTS", 0)
        yield


def found(engine, scope):
    lane = Lane(20, lexical="apple pear fig grape kiwi melon", where=EVIDENCE)
    (hits,) = engine.call(scope, SearchLanes((lane,)))
    return dict(zip(hits.ids, hits.scores, strict=True))


def act(engine, scope, number, name, place):
    seq = 2 * number + 1
    new = new_unit(scope, TEXTS[place], document_id=f"d{place}")
    match name:
        case "put":
            put_live(engine, scope, new, seq=seq)
        case "fact":
            put_live(engine, scope, new_unit(scope, "apple", document_id=f"f{number}", kind=UnitKind.FACT), seq=seq)
        case "prepare":
            engine.call(scope, InsertUnits((new,)))
        case "reveal" | "again":
            for _ in range(1 + (name == "again")):
                engine.call(scope, SetLive((new.unit.id,), seq, 1))
        case "retire":
            engine.call(scope, RetireUnits((new.unit.id,), seq + 1, 1))
        case "clear":
            engine.call(scope, ClearBank(seq + 1, 1, 0))


@settings(max_examples=40)
@given(st.lists(STEP, max_size=14), st.integers(1, 6), st.booleans())
def test_scores_are_those_of_counting_anew(edge, steps, count_every, fold):
    reference, scope = ReferenceStore(DIM), fresh_scope()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank_words, "_FOLDED", 0 if fold else 2_000)
        for number, (name, place) in enumerate(steps):
            for engine in (edge, reference):
                act(engine, scope, number, name, place)
            if number % count_every == 0:
                assert edge._words.count(scope)
            assert found(edge, scope) == pytest.approx(found(reference, scope), rel=1e-5)


def test_a_bank_is_counted_once_it_is_asked_again_and_again(edge: EdgeStore, monkeypatch):
    scope = fresh_scope()
    put_live(edge, scope, *(new_unit(scope, text, position=n) for n, text in enumerate(TEXTS)))
    counted = threading.Event()
    count = edge._words.count
    monkeypatch.setattr(edge._words, "count", lambda asked: count(asked) and counted.set())
    found(edge, scope)
    assert edge._words._banks[scope.key].table is None
    for _ in range(bank_words.ASKED):
        found(edge, scope)
    assert counted.wait(30.0)
    table = edge._words._banks[scope.key].table
    assert table is not None
    assert table.units == len(TEXTS)


def test_a_bank_written_while_it_is_counted_is_not_taken(edge: EdgeStore, monkeypatch):
    scope = fresh_scope()
    put_live(edge, scope, *(new_unit(scope, text, position=n) for n, text in enumerate(TEXTS)))
    rest = bank_words.time.sleep

    def write_then_rest(seconds):
        put_live(edge, scope, new_unit(scope, "melon", position=99), seq=2)
        rest(seconds)

    monkeypatch.setattr(bank_words.time, "sleep", write_then_rest)
    assert not edge._words.count(scope)
    monkeypatch.undo()
    assert edge._words.count(scope)
    assert edge._words.find(scope).units == len(TEXTS) + 1


def test_a_write_that_fails_leaves_no_counts(edge: EdgeStore):
    scope = fresh_scope()
    ids = put_live(edge, scope, new_unit(scope, "apple", position=0))
    assert edge._words.count(scope)
    with pytest.raises(ZeroDivisionError), edge._words.changing(scope, ids):
        raise ZeroDivisionError
    assert edge._words.find(scope) is None


def test_of_small_and_of_big_banks_nothing_is_kept(edge: EdgeStore, monkeypatch):
    scope = fresh_scope()
    put_live(edge, scope, *(new_unit(scope, text, position=n) for n, text in enumerate(TEXTS)))
    monkeypatch.setattr(bank_words, "LEAST_POINTS", len(TEXTS) + 1)
    assert not edge._words.count(scope)
    monkeypatch.setattr(bank_words, "LEAST_POINTS", 0)
    monkeypatch.setattr(bank_words, "MOST_POINTS", len(TEXTS) - 1)
    assert not edge._words.count(scope)


def test_the_bank_asked_longest_ago_makes_room(tmp_path):
    store = EdgeStore(tmp_path, DIM)
    try:
        store._words._capacity_words = 3
        banks = [fresh_scope() for _ in range(2)]
        for scope in banks:
            put_live(store, scope, new_unit(scope, "apple fig"))
            assert store._words.count(scope)
        assert [store._words.find(scope) is None for scope in banks] == [True, False]
    finally:
        store.close()
