"""Big banks are searched by an index of their own: it answers as an exact search does, and may be lost at any time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from memory.filters import EVIDENCE, TRUE, AnyOf, Filter
from memory.ids import Scope
from memory.recall import FindCandidates
from memory.records import Embedding, Head, Vectors
from memory.store_calls import ClearBank, CreateHead, Hits, Lane, LaneHits, NewUnit, RetireUnits, SearchLanes
from memory.upkeep_calls import AddVectors, DropVectors
from storage import bank_indexes, cell_index, edge_lanes, index_making
from storage.edge_store import EdgeStore
from storage.run import run
from tests.support.builders import DIM, fresh_scope, new_unit, put_live

BIG = 300
UNITS = 600
LIMIT = 10
DEADLINE_S = 60.0
WORDS = 40


@pytest.fixture(autouse=True, scope="module")
def _small_searches() -> Iterator[None]:
    """A search of so small a bank looks at a part of it, as one of a big bank does, and looks after it every time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_index, "SCANNED_UNITS", 150)
        patch.setattr(bank_indexes, "_LOOK_EVERY", 1)
        patch.setattr(bank_indexes, "RETRY_S", 0.0)
        yield


def vectors(count: int, seed: int) -> np.ndarray:
    """Unit vectors around a few centres, as texts lie."""
    chance = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(12, DIM))
    rows = centres[chance.integers(0, 12, count)] + 0.5 * chance.normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Indexed:
    """A bank with an index, to be read only; what was searched before it had one."""

    store: EdgeStore
    scope: Scope
    ids: tuple[str, ...]
    exact_words: tuple[LaneHits, ...]
    exact_hits: Hits


WORD_LANES = tuple(
    Lane(20, lexical=text) for text in ("shared7", "item33 everywhere", "shared3 item44 item7", "unheard")
)
FIND = FindCandidates(vectors(1, 3)[0], "shared5 item5", 20, TRUE, seeds=5, reach=2)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, _small_searches: None) -> Iterator[Indexed]:
    path, scope = tmp_path_factory.mktemp("indexed"), fresh_scope()
    plain = EdgeStore(path, DIM)
    ids = fill(plain, scope)
    words = tuple(search(plain, scope, lane) for lane in WORD_LANES)
    hits = run(plain, scope, FIND).hits
    plain.close()
    opened = EdgeStore(path, DIM, index_units=BIG)
    wait_for_index(opened, scope)
    yield Indexed(opened, scope, ids, words, hits)
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EdgeStore]:
    opened = EdgeStore(tmp_path, DIM, index_units=BIG)
    yield opened
    opened.close()


def made(scope: Scope, rows: np.ndarray, name: str, **fields: object) -> list[NewUnit]:
    """Units with these vectors; each holds a word of its own and one that a share of all hold."""
    news = []
    for number, row in enumerate(rows):
        text = f"{name}{number} shared{number % WORDS} everywhere"
        unit = new_unit(scope, text, tags=("even" if number % 2 == 0 else "odd",), **fields).unit
        news.append(NewUnit(unit, Vectors(row, text)))
    return news


def fill(store: EdgeStore, scope: Scope, units: int = UNITS) -> tuple[str, ...]:
    """A bank with a head, as its owner leaves it."""
    ids = put_live(store, scope, *made(scope, vectors(units, 1), "item"))
    store.call(scope, CreateHead(Head(epoch=1, seq=1, exists=True)))
    return ids


def wait_for(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.01)


def search(store: EdgeStore, scope: Scope, lane: Lane, where: Filter = TRUE) -> LaneHits:
    return store.call(scope, SearchLanes((replace(lane, where=EVIDENCE),), where))[0]


def wait_for_index(store: EdgeStore, scope: Scope) -> None:
    """Searches call for an index; wait until they use one that nobody is about to replace."""

    def rests() -> bool:
        found = store._indexes.find(scope)
        return found is not None and not store._indexes._banks[scope.key].busy

    wait_for(rests)


def exactly(store: EdgeStore, scope: Scope, lane: Lane, where: Filter = TRUE) -> list[str]:
    return [unit for unit, _ in store._reads._lanes._scan(scope, lane, where, None)]


def indexes(directory: Path) -> list[Path]:
    return sorted((directory / bank_indexes.DIRECTORY).glob("*"))


@pytest.mark.parametrize("where", [TRUE, AnyOf("tags", ("even",))])
def test_an_index_brings_what_an_exact_search_brings(indexed, where):
    found = 0
    for query in vectors(50, 2):
        lane = Lane(LIMIT, dense=query)
        wanted = exactly(indexed.store, indexed.scope, lane, where)
        got = search(indexed.store, indexed.scope, lane, where)
        assert len(got.ids) == len(wanted) == LIMIT
        assert list(got.scores) == sorted(got.scores, reverse=True)
        found += len(set(got.ids) & set(wanted))
    assert found >= 0.95 * 50 * LIMIT


def test_words_are_scored_as_the_engine_scores_them(indexed):
    for lane, wanted in zip(WORD_LANES, indexed.exact_words, strict=True):
        got = search(indexed.store, indexed.scope, lane)
        assert got.scores == pytest.approx(wanted.scores, rel=1e-4)
        above = [score > wanted.scores[-1] * 1.001 for score in wanted.scores]  # of equal ones, any may be cut off
        assert {unit for unit, kept in zip(wanted.ids, above, strict=True) if kept} <= set(got.ids)


def test_candidates_of_a_recall_are_those_of_an_exact_one(indexed):
    found = run(indexed.store, indexed.scope, FIND).hits
    assert found.ids == indexed.exact_hits.ids
    assert found.semantic == pytest.approx(indexed.exact_hits.semantic, rel=1e-4)
    assert found.keyword == pytest.approx(indexed.exact_hits.keyword, rel=1e-4)
    assert run(indexed.store, indexed.scope, FIND).hits.ids == found.ids


def test_the_index_answers_without_a_scan_of_the_bank(indexed, monkeypatch):
    asked: list[Filter] = []
    scan = edge_lanes.EdgeLanes._scan

    def watched(self, scope, lane, where, index):
        asked.append(where)
        return scan(self, scope, lane, where, index)

    monkeypatch.setattr(edge_lanes.EdgeLanes, "_scan", watched)
    for lane in (Lane(LIMIT, dense=vectors(UNITS, 1)[5]), Lane(LIMIT, lexical="item5")):
        assert search(indexed.store, indexed.scope, lane).ids[0] == indexed.ids[5]
    assert asked
    assert TRUE not in asked


def test_what_few_units_match_is_found_all_the_same(store):
    scope = fresh_scope()
    ids = fill(store, scope)
    rare = put_live(store, scope, *made(scope, vectors(3, 5), "rare", document_id="rare"))
    wait_for_index(store, scope)
    query = vectors(1, 6)[0]
    assert set(search(store, scope, Lane(LIMIT, dense=query), AnyOf("document_id", ("rare",))).ids) == set(rare)
    assert search(store, scope, Lane(LIMIT, lexical="everywhere item9"), AnyOf("document_id", ("rare",))).ids
    assert search(store, scope, Lane(LIMIT, lexical="item9 unheard")).ids == (ids[9],)


def test_a_unit_of_a_moment_ago_is_found_and_a_removed_one_is_not(store):
    scope = fresh_scope()
    ids = fill(store, scope)
    wait_for_index(store, scope)
    row = vectors(1, 9)[0]
    (new,) = put_live(store, scope, *made(scope, row[None], "new"), seq=2)
    assert search(store, scope, Lane(LIMIT, dense=row)).ids[0] == new
    assert search(store, scope, Lane(LIMIT, lexical="new0")).ids == (new,)
    gone = search(store, scope, Lane(LIMIT, dense=row)).ids[1:]
    store.call(scope, RetireUnits(gone, 3, 1))
    left = set(ids) - set(gone)
    for lane in (Lane(LIMIT, dense=row), Lane(LIMIT, lexical="everywhere")):
        got = search(store, scope, lane).ids
        assert len(got) == LIMIT
        assert set(got) <= left | {new}
    (again,) = put_live(store, scope, *made(scope, row[None], "late"), seq=1, epoch=2)  # put back by a later owner
    assert search(store, scope, Lane(LIMIT, lexical="late0")).ids == (again,)


def test_an_index_is_built_anew_once_a_share_of_its_units_is_new_or_gone(store, tmp_path):
    scope = fresh_scope()
    ids = fill(store, scope)
    wait_for_index(store, scope)
    (first,) = indexes(tmp_path)
    store.call(scope, RetireUnits(ids[: UNITS // 3], 2, 1))
    wait_for(lambda: store._indexes.find(scope) is not None and indexes(tmp_path) not in ([first], []))
    wait_for_index(store, scope)
    (second,) = indexes(tmp_path)
    assert second != first
    assert cell_index.read_card(second).units == UNITS - UNITS // 3


def test_a_restart_opens_the_index_that_is_there(tmp_path):
    scope = fresh_scope()
    store = EdgeStore(tmp_path, DIM, index_units=BIG)
    ids = fill(store, scope)
    wait_for_index(store, scope)
    store.close()
    built = indexes(tmp_path)
    store = EdgeStore(tmp_path, DIM, index_units=BIG)
    new = put_live(store, scope, *made(scope, vectors(1, 9), "new"), seq=2)
    late = put_live(store, scope, *made(scope, vectors(1, 9), "late"), seq=1, epoch=2)  # by a later owner
    store.close()
    (tmp_path / bank_indexes.DIRECTORY / f"killed{bank_indexes.MAKING}" / "raw").mkdir(parents=True)
    store = EdgeStore(tmp_path, DIM, index_units=BIG)
    assert indexes(tmp_path) == built
    wait_for_index(store, scope)
    assert search(store, scope, Lane(LIMIT, dense=vectors(UNITS, 1)[7])).ids[0] == ids[7]
    assert set(search(store, scope, Lane(LIMIT, dense=vectors(1, 9)[0])).ids[:2]) == {*new, *late}
    store.close()
    assert indexes(tmp_path) == built
    EdgeStore(tmp_path, DIM).close()
    assert indexes(tmp_path) == built
    EdgeStore(tmp_path, DIM, index_units=0).close()  # switched off, they would never be looked after
    assert indexes(tmp_path) == []


@pytest.mark.parametrize(("column", "flipped"), [("card.json", False), ("vectors.npy", True)])
def test_a_damaged_index_is_not_used_and_another_is_built(tmp_path, column, flipped):
    scope = fresh_scope()
    store = EdgeStore(tmp_path, DIM, index_units=BIG)
    ids = fill(store, scope)
    wait_for_index(store, scope)
    store.close()
    (path,) = indexes(tmp_path)
    raw = bytearray((path / column).read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    (path / column).write_bytes(raw if flipped else raw[: len(raw) // 2])
    store = EdgeStore(tmp_path, DIM, index_units=BIG)
    query = Lane(LIMIT, dense=vectors(UNITS, 1)[7])
    assert search(store, scope, query).ids[0] == ids[7]
    wait_for_index(store, scope)
    assert indexes(tmp_path) not in ([path], [])
    assert search(store, scope, query).ids[0] == ids[7]
    store.close()


def test_a_builder_that_is_killed_leaves_nothing_and_another_follows(store, tmp_path, monkeypatch):
    scope = fresh_scope()
    ids = fill(store, scope)
    waits = (sys.executable, "-c", "import sys; sys.stdin.read()")
    builder = index_making.BUILDER
    monkeypatch.setattr(index_making, "BUILDER", waits)
    search(store, scope, Lane(LIMIT, lexical="item1"))
    wait_for(lambda: store._indexes.builder_pid is not None)
    monkeypatch.setattr(index_making, "BUILDER", builder)
    os.kill(store._indexes.builder_pid, signal.SIGKILL)
    wait_for(lambda: not store._indexes._banks[scope.key].busy)
    assert indexes(tmp_path) == []
    assert search(store, scope, Lane(LIMIT, lexical="item1")).ids == (ids[1],)
    wait_for_index(store, scope)


def test_closing_and_deleting_end_what_is_being_built(tmp_path, monkeypatch):
    monkeypatch.setattr(index_making, "BUILDER", (sys.executable, "-c", "import sys; sys.stdin.read()"))
    store = EdgeStore(tmp_path, DIM, index_units=BIG)
    for end in (lambda scope: store.call(scope, ClearBank(2, 1, 0)), lambda _: store.close()):
        scope = fresh_scope()
        fill(store, scope)
        search(store, scope, Lane(LIMIT, lexical="item1"))
        wait_for(lambda: store._indexes.builder_pid is not None)
        end(scope)
        wait_for(lambda: store._indexes.builder_pid is None and not indexes(tmp_path))


def test_a_deleted_bank_has_no_index(store, tmp_path):
    scope, other = fresh_scope(), fresh_scope()
    for each in (scope, other):
        fill(store, each)
        wait_for_index(store, each)
    start = store.call(scope, ClearBank(2, 1, 0))
    while start is not None:
        start = store.call(scope, ClearBank(2, 1, 0, start))
    assert len(indexes(tmp_path)) == 1
    assert search(store, scope, Lane(LIMIT, lexical="everywhere")).ids == ()
    assert len(search(store, other, Lane(LIMIT, lexical="everywhere")).ids) == LIMIT


def test_a_bank_that_writes_has_its_index_once_its_plan_is_settled(store, tmp_path):
    scope = fresh_scope()
    put_live(store, scope, *made(scope, vectors(BIG, 1), "item"))
    store.call(scope, CreateHead(Head(epoch=1, seq=1, commit=2, settled=1, exists=True)))
    search(store, scope, Lane(LIMIT, lexical="item1"))
    wait_for(lambda: not store._indexes._banks[scope.key].busy)
    assert indexes(tmp_path) == []


@pytest.mark.long
def test_a_process_that_is_killed_while_it_builds_leaves_nothing_that_stays(tmp_path):
    """Its builder ends with it, and the next opening removes what was half made."""
    program = (
        "import sys; from pathlib import Path; import tests.unit.storage.test_bank_indexes as t\n"
        "from storage import index_making\n"
        "index_making.BUILDER = (sys.executable, '-c', 'import sys; sys.stdin.read()')\n"
        "store, scope = t.EdgeStore(Path(sys.argv[1]), t.DIM, index_units=t.BIG), t.fresh_scope()\n"
        "t.fill(store, scope)\n"
        "t.search(store, scope, t.Lane(t.LIMIT, lexical='item1'))\n"
        "t.wait_for(lambda: store._indexes.builder_pid is not None)\n"
        "print(store._indexes.builder_pid, flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        builder = int(killed.stdout.readline())
        killed.kill()
    wait_for(lambda: not Path(f"/proc/{builder}").exists())
    assert len(indexes(tmp_path)) == 1
    EdgeStore(tmp_path, DIM, index_units=BIG).close()
    assert indexes(tmp_path) == []


def test_a_big_bank_has_an_index_again_once_the_first_vectors_are_dropped(store: EdgeStore):
    scope = fresh_scope()
    ids = fill(store, scope)
    wait_for_index(store, scope)
    rows = vectors(UNITS, 4)
    store.call(scope, AddVectors({unit: Embedding(row, space="next") for unit, row in zip(ids, rows, strict=True)}))
    lanes = [Lane(20, dense=rows[number], space="next") for number in (3, 77)]
    scanned = [search(store, scope, lane).ids for lane in lanes]
    store.call(scope, DropVectors("", UNITS))
    store.drop_space("")
    wait_for_index(store, scope)
    assert store._indexes.find(scope).index.card.space == "next"
    for lane, exact in zip(lanes, scanned, strict=True):
        found = search(store, scope, lane).ids
        assert found[0] == exact[0]
        assert len(set(found) & set(exact)) >= 18
    assert search(store, scope, WORD_LANES[0]).ids
