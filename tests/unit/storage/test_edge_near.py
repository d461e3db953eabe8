"""What stands near is found from memory as it is by the engine's filter, whatever is written between two searches."""

from hypothesis import given, settings
from hypothesis import strategies as st

from memory.filters import TRUE
from memory.neighbours import Near
from memory.store_calls import ClearBank, CompleteHits, InsertUnits, MoveUnits, RetireUnits, SetLive
from storage import edge_near
from storage.document_places import DocumentPlaces, Places
from storage.edge_scroll import all_points
from storage.edge_store import EdgeStore
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_live

DOCUMENTS = ("d", "e")
EVERYWHERE = dict.fromkeys(DOCUMENTS, ((-1000, 1000),))
STEP = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(DOCUMENTS), st.integers(0, 9)),
    st.tuples(st.just("prepare"), st.sampled_from(DOCUMENTS), st.integers(0, 9)),
    st.tuples(st.just("reveal"), st.sampled_from(DOCUMENTS), st.integers(0, 9)),
    st.tuples(st.just("move"), st.sampled_from(DOCUMENTS), st.integers(0, 9)),
    st.tuples(st.just("retire"), st.sampled_from(DOCUMENTS), st.integers(0, 9)),
    st.tuples(st.just("clear"), st.just("d"), st.just(0)),
)


def found(engine, scope, spans, limit=100, *, with_words=True):
    near = Near(spans, TRUE, limit, with_words)
    return engine.call(scope, CompleteHits({}, {}, dense("apple"), "apple", (), (), near)).ids


@settings(max_examples=40)
@given(st.lists(STEP, max_size=12))
def test_what_stands_near_is_what_was_written_last(edge, steps):
    reference, scope = ReferenceStore(DIM), fresh_scope()
    for number, (act, document, place) in enumerate(steps):
        new = new_unit(scope, f"{document} {place}", document_id=document, position=place)
        for engine in (edge, reference):
            match act:
                case "put":
                    put_live(engine, scope, new, seq=number + 1)
                case "prepare":
                    engine.call(scope, InsertUnits((new,)))
                case "reveal":
                    engine.call(scope, SetLive((new.unit.id,), number + 1, 1))
                case "move":
                    engine.call(scope, MoveUnits({new.unit.id: place + 20}, 1))
                case "retire":
                    engine.call(scope, RetireUnits((new.unit.id,), number + 2, 1))
                case "clear":
                    engine.call(scope, ClearBank(number + 2, 1, 0))
        for spans in (EVERYWHERE, {"d": ((2, 4), (6, 25))}, {"e": ((0, 3),), "d": ((5, 5),)}):
            assert found(edge, scope, spans) == found(reference, scope, spans)


def test_a_document_is_read_once_it_is_asked_for_again(edge: EdgeStore, monkeypatch):
    read = []
    monkeypatch.setattr(edge_near, "all_points", lambda *args, **kw: read.append(args) or all_points(*args, **kw))
    scope = fresh_scope()
    put_live(edge, scope, *(new_unit(scope, f"turn {n}", position=n) for n in range(9)))
    counts = []
    for _ in range(4):
        assert len(found(edge, scope, {"d": ((2, 4),)})) == 3
        counts.append(len(read))
    assert counts == [0, 1, 1, 1]


def test_a_long_document_is_not_kept(edge: EdgeStore, monkeypatch):
    monkeypatch.setattr(edge_near, "_LONGEST_UNITS", 4)
    scope = fresh_scope()
    put_live(edge, scope, *(new_unit(scope, f"turn {n}", position=n) for n in range(6)))
    for _ in range(3):
        assert len(found(edge, scope, {"d": ((2, 4),)})) == 3


def test_the_nearest_are_brought_where_there_is_no_room_for_all(edge: EdgeStore):
    scope = fresh_scope()
    units = put_live(
        edge, scope, *(new_unit(scope, text, position=n) for n, text in enumerate(("pear", "apple", "fig")))
    )
    for _ in range(3):
        assert found(edge, scope, {"d": ((0, 9),)}, 1, with_words=False) == (units[1],)


def test_places_of_so_many_units_are_kept_the_oldest_go():
    places = DocumentPlaces(4)
    for document in "abc":
        places.keep("bank", document, Places((1, 2), (document + "1", document + "2")), places.generation)
    spans = dict.fromkeys("abc", ((2, 3),))
    assert places.find("bank", spans) == (["b2", "c2"], ["a"])
    assert places.find("other", spans) == ([], ["a", "b", "c"])


def test_what_was_read_before_something_was_forgotten_is_not_kept():
    places = DocumentPlaces(4)
    generation = places.generation
    places.forget("other", ["x"])
    places.keep("bank", "a", Places((1,), ("a1",)), generation)
    assert places.find("bank", {"a": ((0, 9),)}) == ([], ["a"])
