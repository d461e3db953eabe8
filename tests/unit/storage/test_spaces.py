"""Vectors of a second model beside the first ones, on every engine: each query sees its own, and nothing else moves."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memory.errors import Unprocessable
from memory.filters import TRUE
from memory.ids import Scope
from memory.late import TOKEN_DIM, pack_tokens
from memory.recall import FindCandidates, Rerank
from memory.records import Embedding, Head
from memory.store_calls import CompleteHits, CreateHead, GetDense, InsertUnits, Lane, NewUnit, SearchLanes, SetLive
from memory.upkeep_calls import AddVectors, DroppedPage, DropVectors, FindUnembedded, GetEmbeddings
from providers.hash_embedder import HashEmbedder
from storage.edge_store import EdgeStore
from storage.run import run
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_live, tokens
from tests.support.server_engine import ServerEngine, wait_for

OTHER = HashEmbedder(2 * DIM)
TEXTS = ("red apple", "green apple pie", "blue train", "the quick brown fox")
ALL = FindUnembedded("next", 64)


def other(text: str, space: str = "next") -> Embedding:
    """What the second model makes of a text: other lengths, its words turned round."""
    turned = " ".join(word[::-1] for word in text.split())
    return Embedding(OTHER.embed([turned])[0], pack_tokens(HashEmbedder(TOKEN_DIM).embed([turned])), space)


def filled(engine) -> tuple[Scope, dict[str, str]]:
    """A bank of units with vectors of the first model alone; ids by text."""
    scope = fresh_scope()
    units = [new_unit(scope, text) for text in TEXTS]
    engine.call(scope, CreateHead(Head(exists=True)))
    put_live(engine, scope, *units)
    return scope, {unit.unit.text: unit.unit.id for unit in units}


def nearest(engine, scope: Scope, made: Embedding) -> list[str]:
    (hits,) = engine.call(scope, SearchLanes((Lane(3, dense=made.dense, space=made.space),)))
    return list(hits.ids)


def test_a_space_that_no_unit_has_vectors_of_brings_nothing(engine):
    scope, ids = filled(engine)
    never = replace(other("red apple"), space="never")
    assert nearest(engine, scope, never) == []
    assert engine.call(scope, GetDense(tuple(ids.values()), "never")) == {}
    asked = FindCandidates(never.dense, "apple", 10, TRUE, space="never", rerank=Rerank(never.tokens, 10, (1.0, 1.0)))
    hits = (
        wait_for(engine.store.perform(scope, asked)) if isinstance(engine, ServerEngine) else run(engine, scope, asked)
    ).hits
    assert set(hits.ids) == {ids["red apple"], ids["green apple pie"]}, "by their words"


def test_added_vectors_are_found_by_their_own_queries_and_change_no_other_answer(engine):
    scope, ids = filled(engine)
    before = nearest(engine, scope, Embedding(dense("red apple")))
    units = engine.call(scope, ALL)
    assert (len(units.units), units.looked_at, units.following) == (len(TEXTS), len(TEXTS), None)
    made = {unit.id: other(unit.text) for unit in units.units}
    for _ in range(2):  # adding them again changes nothing
        engine.call(scope, AddVectors(made))
    assert engine.call(scope, ALL).units == ()
    assert nearest(engine, scope, Embedding(dense("red apple"))) == before
    for text, unit in ids.items():
        assert nearest(engine, scope, other(text))[0] == unit
        stored = engine.call(scope, GetEmbeddings((unit,)))[unit]
        assert [one.space for one in stored.all] == ["", "next"]
        assert np.allclose(stored.dense, dense(text), atol=1e-5)
        assert np.allclose(stored.also[0].dense, other(text).dense, atol=1e-5)
        assert [one.tokens for one in stored.all] == [tokens(text), other(text).tokens]


def test_a_completion_scores_and_brings_token_vectors_in_the_space_of_the_query(engine):
    scope, ids = filled(engine)
    engine.call(scope, AddVectors({unit: other(text) for text, unit in ids.items()}))
    unit = ids["blue train"]
    query = other("blue train")
    asked = CompleteHits({}, {}, query.dense, "", (unit,), (), with_tokens=True, space="next")
    hits = engine.call(scope, asked)
    assert hits.ids == (unit,)
    assert hits.semantic[0] == pytest.approx(1.0, abs=1e-3)
    assert hits.tokens == (query.tokens,)
    first = engine.call(scope, replace(asked, dense=dense("blue train"), space=""))
    assert (first.semantic[0], first.tokens) == (pytest.approx(1.0, abs=1e-3), (tokens("blue train"),))


def test_units_are_inserted_with_vectors_of_both_models(engine):
    scope, _ = filled(engine)
    unit = new_unit(scope, "a late arrival")
    both = replace(unit.vectors, also=(other("a late arrival"),))
    engine.call(scope, InsertUnits((NewUnit(unit.unit, both),)))
    engine.call(scope, SetLive((unit.unit.id,), 1, 1))
    assert nearest(engine, scope, other("a late arrival")) == [unit.unit.id]
    assert nearest(engine, scope, Embedding(dense("a late arrival")))[0] == unit.unit.id
    assert unit.unit.id not in {found.id for found in engine.call(scope, ALL).units}


def test_units_that_are_gone_or_of_another_bank_are_left_out(engine):
    scope, ids = filled(engine)
    neighbour, theirs = filled(engine)
    gone = new_unit(scope, "never stored").unit.id
    engine.call(scope, AddVectors({gone: other("x"), theirs["red apple"]: other("x"), ids["red apple"]: other("x")}))
    assert len(engine.call(neighbour, ALL).units) == len(TEXTS)
    left = {unit.text for unit in engine.call(scope, ALL).units}
    assert left == set(TEXTS) - {"red apple"}
    assert engine.call(scope, GetDense((gone,), "next")) == {}


def test_vectors_of_another_length_are_refused_and_nothing_is_written(engine):
    scope, ids = filled(engine)
    engine.call(scope, AddVectors({ids["red apple"]: other("red apple")}))
    wrong = Embedding(dense("blue train"), space="next")
    with pytest.raises(Unprocessable, match="expected"):
        engine.call(scope, AddVectors({ids["blue train"]: wrong}))
    unit = new_unit(scope, "another")
    with pytest.raises(Unprocessable, match="expected"):
        engine.call(scope, InsertUnits((NewUnit(unit.unit, replace(unit.vectors, also=(wrong,))),)))
    assert len(engine.call(scope, ALL).units) == len(TEXTS) - 1


def test_a_walk_in_pages_meets_each_unit_once(engine):
    scope, ids = filled(engine)
    seen: list[str] = []
    start: str | None = None
    for _ in TEXTS:
        page = engine.call(scope, FindUnembedded("next", 3, start))
        seen += [unit.id for unit in page.units]
        start = page.following
        if start is None:
            break
    assert sorted(seen) == sorted(ids.values())
    assert start is None


def test_vectors_of_a_space_are_dropped_page_by_page_and_nothing_else_is(engine):
    scope, ids = filled(engine)
    neighbour, theirs = filled(engine)
    for one, named in ((scope, ids), (neighbour, theirs)):
        engine.call(one, AddVectors({unit: other(text) for text, unit in named.items()}))
    found, start = [], None
    for _ in TEXTS:
        page = engine.call(scope, DropVectors("next", 3, start))
        found.append((page.dropped, page.looked_at))
        start = page.following
        if start is None:
            break
    assert found == [(3, 3), (1, 1)]
    assert engine.call(scope, DropVectors("next", 9)) == DroppedPage(0, len(TEXTS), None)
    assert len(engine.call(scope, ALL).units) == len(TEXTS)
    assert engine.call(neighbour, ALL).units == ()
    for text, unit in ids.items():
        stored = engine.call(scope, GetEmbeddings((unit,)))[unit]
        assert [one.space for one in stored.all] == [""]
        assert stored.tokens == tokens(text)
        asked = CompleteHits({unit: 0.5}, {}, other(text).dense, "", (), (), with_tokens=True, space="next")
        assert engine.call(scope, asked).tokens == (b"",)
    assert nearest(engine, scope, Embedding(dense("red apple")))[0] == ids["red apple"]
    assert nearest(engine, neighbour, other("red apple"))[0] == theirs["red apple"]


def check_without_the_first(engine, scope: Scope, ids: dict[str, str]) -> None:
    """The second model's vectors alone are there, and all is found by them and by words."""
    (words,) = engine.call(scope, SearchLanes((Lane(3, lexical="apple pie"),)))
    assert words.ids[0] == ids["green apple pie"]
    assert nearest(engine, scope, Embedding(dense("red apple"))) == []
    assert engine.call(scope, GetDense(tuple(ids.values()))) == {}
    for text, unit in ids.items():
        assert nearest(engine, scope, other(text))[0] == unit
        stored = engine.call(scope, GetEmbeddings((unit,)))[unit]
        assert ([one.space for one in stored.all], stored.tokens) == (["next"], other(text).tokens)


@pytest.mark.parametrize("name", ["reference", "edge", "local", "wired"])
def test_a_store_goes_on_without_the_vectors_it_was_made_with(request, name):
    engine = request.getfixturevalue(name)
    scope, ids = filled(engine)
    engine.call(scope, AddVectors({unit: other(text) for text, unit in ids.items()}))
    for _ in range(2):  # done again, it changes nothing
        engine.call(scope, DropVectors("", 64))
        engine.drop_space("")
    check_without_the_first(engine, scope, ids)
    late = new_unit(scope, "a late arrival")
    engine.call(scope, InsertUnits((NewUnit(late.unit, replace(late.vectors, **one_space("a late arrival"))),)))
    engine.call(scope, SetLive((late.unit.id,), 1, 1))
    check_without_the_first(engine, scope, {**ids, "a late arrival": late.unit.id})


def one_space(text: str) -> dict[str, object]:
    """What vectors are that the second model alone has made."""
    made = other(text)
    return {"dense": made.dense, "tokens": made.tokens, "space": made.space}


@pytest.mark.parametrize("closed", ["killed", "compacted", "without its configuration"])
def test_what_was_dropped_stays_so_and_its_room_is_free(tmp_path: Path, closed: str):
    store = EdgeStore(tmp_path, DIM)
    scope, ids = filled(store)
    store.call(scope, AddVectors({unit: other(text) for text, unit in ids.items()}))
    store.flush()
    store.call(scope, DropVectors("", 64))
    store.drop_space("")
    store.count_operation()
    if closed == "killed":  # what the engine finds then: files of the last flush, and the logs
        shutil.copytree(tmp_path, tmp_path.with_name("killed"))
        tmp_path = tmp_path.with_name("killed")
    store.compact() if closed == "compacted" else store.close()
    if closed == "without its configuration":
        (tmp_path / "units" / "edge_config.json").unlink()
    again = EdgeStore(tmp_path, DIM)
    assert again.losses == []
    check_without_the_first(again, scope, ids)
    assert not list((tmp_path / "units").glob("segments/*/vector_storage-dense/*"))
    again.close()


@pytest.mark.parametrize("config", ["whole", "gone", "cut"])
def test_what_was_added_is_there_after_the_directory_was_opened_anew(tmp_path: Path, config: str):
    store = EdgeStore(tmp_path, DIM)
    scope, ids = filled(store)
    store.call(scope, AddVectors({unit: other(text) for text, unit in ids.items()}))
    store.close()
    file = tmp_path / "units" / "edge_config.json"
    if config == "gone":
        file.unlink()
    elif config == "cut":
        file.write_bytes(file.read_bytes()[:20])
    again = EdgeStore(tmp_path, DIM)
    assert again.call(scope, ALL).units == ()
    assert nearest(again, scope, other("red apple"))[0] == ids["red apple"]
    again.close()
