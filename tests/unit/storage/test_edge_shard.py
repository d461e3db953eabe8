import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_edge import EdgeShard, KeywordIndexParams, UpdateOperation

from memory.errors import StoreDamaged, StoreLocked, Unavailable
from memory.filters import Empty
from memory.ids import Scope
from memory.records import Head, Record, RecordKind
from memory.store_calls import (
    CountValues,
    CreateHead,
    GetRecords,
    GetUnits,
    InsertUnits,
    Lane,
    ListUnits,
    ReadHead,
    SearchLanes,
    SweepPending,
    WriteRecords,
)
from storage import edge_shard, schema
from storage.directory import CLEAN_FILE, MARKS_FILE
from storage.edge_store import EdgeStore
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_texts

ROOT = Path(__file__).parents[3]


def test_a_reopened_store_finds_everything(tmp_path):
    scope = fresh_scope()
    store = EdgeStore(tmp_path, DIM)
    ids = put_texts(store, scope, ["red apple", "blue sky"])
    pending = new_unit(scope, "never committed")
    store.call(scope, InsertUnits((pending,)))
    store.call(scope, CreateHead(Head(epoch=4)))
    store.call(scope, WriteRecords((Record(RecordKind.OPERATION, "k", {"v": 1}),)))
    reads = (GetUnits(ids), ReadHead(), GetRecords(RecordKind.OPERATION, ("k",)), ListUnits(10))
    lanes = SearchLanes((Lane(5, dense=dense("apple")), Lane(5, lexical="apple")))
    before = [store.call(scope, read) for read in (*reads, lanes)]
    store.close()
    again = EdgeStore(tmp_path, DIM)
    assert [again.call(scope, read) for read in (*reads, lanes)] == before
    again.call(scope, SweepPending(9))
    put_texts(again, scope, ["green pear"])
    assert again.call(scope, ListUnits(10)).total == 3
    again.close()


def test_a_closed_store_is_unavailable(tmp_path):
    store = EdgeStore(tmp_path, DIM)
    store.close()
    with pytest.raises(Unavailable, match="closing"):
        store.call(fresh_scope(), ReadHead())
    with pytest.raises(Unavailable, match="closing"):
        store.find_unit("t", "00000000-0000-8000-8000-000000000000")


def test_what_was_written_and_never_flushed_survives_the_process(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from storage.edge_store import EdgeStore;"
        "from memory.ids import Scope;"
        "from tests.support.builders import DIM, put_texts; store = EdgeStore(Path(sys.argv[1]), DIM);"
        "put_texts(store, Scope('t', 'b'), ['red apple', 'blue sky']); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, timeout=60, check=False)
    assert run.returncode == -9
    store = EdgeStore(tmp_path, DIM)
    assert sorted(u.text for u in store.call(Scope("t", "b"), ListUnits(10)).units) == ["blue sky", "red apple"]
    store.close()


def test_a_second_process_is_told_that_the_directory_is_taken(tmp_path):
    store = EdgeStore(tmp_path, DIM)
    script = (
        "import sys; from pathlib import Path; from storage.edge_store import EdgeStore\n"
        "try: EdgeStore(Path(sys.argv[1]), int(sys.argv[2]), 0.2)\n"
        "except Exception as exc: print(type(exc).__name__, exc)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(DIM)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.startswith(f"StoreLocked {tmp_path / schema.UNITS}: another process holds"), run.stderr
    assert store.call(fresh_scope(), ReadHead()) is None
    store.close()


def test_the_lock_is_waited_for(tmp_path, monkeypatch):
    store = EdgeStore(tmp_path, DIM)
    waits = []

    def let_go(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            store.close()

    monkeypatch.setattr(edge_shard.time, "sleep", let_go)
    EdgeStore(tmp_path, DIM, 60.0).close()
    assert len(waits) == 3


def test_the_lock_is_not_waited_for_for_ever(tmp_path):
    store = EdgeStore(tmp_path, DIM)
    with pytest.raises(StoreLocked):
        EdgeStore(tmp_path, DIM, 0.0)
    store.close()


def test_a_process_killed_while_it_made_a_collection_leaves_none(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    made = []

    def index(kind):
        made.append(kind)
        if len(made) == 5:
            raise Killed
        return real(kind)

    real = edge_shard._index
    monkeypatch.setattr(edge_shard, "_index", index)
    monkeypatch.setattr(edge_shard.shutil, "rmtree", lambda *args, **more: None)  # a killed process tidies nothing
    with pytest.raises(Killed):
        EdgeStore(tmp_path, DIM)
    monkeypatch.undo()
    store = EdgeStore(tmp_path, DIM)
    assert store.call(fresh_scope(), ListUnits(10)).total == 0
    assert set(store._units.info().payload_schema) == set(schema.EMBEDDED_UNIT_INDEXES)
    assert set(store._records.info().payload_schema) == set(schema.EMBEDDED_RECORD_INDEXES)
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [CLEAN_FILE, MARKS_FILE, schema.RECORDS, schema.UNITS]


def test_indexes_that_nothing_is_asked_by_are_dropped_and_missing_ones_made(tmp_path):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    ids = put_texts(store, scope, ["red apple", "blue sky"])
    index = KeywordIndexParams(enable_hnsw=False)
    store._units.update(UpdateOperation.create_field_index("speaker", index))
    store._units.update(UpdateOperation.delete_field_index("tags"))
    store.close()
    again = EdgeStore(tmp_path, DIM)
    assert set(again._units.info().payload_schema) == set(schema.EMBEDDED_UNIT_INDEXES)
    assert again.call(scope, CountValues("type", 10)) == {"world": 2}
    assert again.call(scope, ListUnits(10, where=Empty("tags"))).total == len(ids)
    again.close()
    directories = {path.name for path in (tmp_path / schema.UNITS).rglob("*speaker*")}
    assert not directories  # its files go with it


def test_damaged_files_are_an_operators_business(tmp_path):
    EdgeStore(tmp_path, DIM).close()
    (path, *_) = (tmp_path / schema.UNITS).rglob("segment.json")
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(StoreDamaged):
        EdgeStore(tmp_path, DIM)


def test_a_collection_that_appeared_meanwhile_is_loaded(tmp_path, monkeypatch):
    """Two processes start at once: the slower one finds the directory made, and waits for its lock."""
    other = tmp_path / "other"
    EdgeStore(other, DIM).close()
    real = EdgeShard.create

    def slower(path, config):
        (other / schema.UNITS).rename(tmp_path / schema.UNITS)
        return real(path, config)

    class Slow:
        create = staticmethod(slower)
        load = staticmethod(EdgeShard.load)

    monkeypatch.setattr(edge_shard, "EdgeShard", Slow)
    edge_shard.open_units(tmp_path / schema.UNITS, DIM, 1.0).close()
    assert not list(tmp_path.glob("*.making"))
