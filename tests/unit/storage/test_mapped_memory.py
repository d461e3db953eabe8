"""What the engine's files take in memory is given back by a flush, and nothing of them is lost."""

import sys
from pathlib import Path

import pytest

from memory.store_calls import GetDense, ListUnits
from storage.edge_shard import LOG, SEGMENTS
from storage.edge_store import EdgeStore
from storage.mapped_memory import let_go, put_down
from tests.support.builders import DIM, fresh_scope, put_texts
from tests.support.mappings import resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux gives account of mappings")


def test_a_flush_gives_back_what_the_logs_take_and_loses_none_of_it(tmp_path):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    log = tmp_path / "units" / LOG / "open-1"
    put_texts(store, scope, [f"item {n}" for n in range(500)])
    taken = resident_bytes(log)
    assert taken > 50 << 10
    store.flush()
    kept = resident_bytes(log)
    put_texts(store, scope, ["after the flush"])
    store.close()
    again = EdgeStore(tmp_path, DIM)
    texts = {unit.text for unit in again.call(scope, ListUnits(1000)).units}
    again.close()
    assert texts == {"after the flush", *(f"item {n}" for n in range(500))}
    if kept == taken:
        pytest.skip("this file system keeps its pages in memory")
    assert kept < taken / 4


def test_what_is_put_down_before_it_is_on_disk_is_there_when_it_is_read(tmp_path):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    ids = put_texts(store, scope, [f"item {n}" for n in range(500)])
    vectors = next((tmp_path / "units" / SEGMENTS).glob("*/vector_storage-dense/vectors/chunk_0.mmap"))
    taken = resident_bytes(vectors)
    before = {unit: vector.tolist() for unit, vector in store.call(scope, GetDense(ids)).items()}
    assert put_down([tmp_path / "units" / SEGMENTS]) > 0
    kept = resident_bytes(vectors)
    after = {unit: vector.tolist() for unit, vector in store.call(scope, GetDense(ids)).items()}
    store.close()
    again = EdgeStore(tmp_path, DIM)
    opened = {unit: vector.tolist() for unit, vector in again.call(scope, GetDense(ids)).items()}
    again.close()
    assert len(before) == len(ids)
    assert before == after == opened
    assert kept == 0 < taken


def test_a_flush_puts_down_the_files_of_indexes(tmp_path):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    put_texts(store, scope, ["one"])
    store.flush()
    indexes = list((tmp_path / "units" / SEGMENTS).glob("*/payload_index/*/page_0.dat"))
    assert indexes
    assert sum(map(resident_bytes, indexes)) == 0
    put_texts(store, scope, ["two"])
    assert len(store.call(scope, ListUnits(10)).units) == 2
    store.close()


def test_reads_unmap_nothing_that_may_be_put_down_beside_them(tmp_path):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    ids = put_texts(store, scope, [f"item {n}" for n in range(100)])
    store.flush()
    before = _mapped(tmp_path)
    assert len(store.call(scope, ListUnits(1000)).units) == len(store.call(scope, GetDense(ids))) == 100
    assert store.list_heads(scope.tenant, 10, 0).total == 0
    assert _mapped(tmp_path) == before
    assert before
    store.close()


def _mapped(directory: Path) -> list[str]:
    """Places of the mappings of a store's files."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if f"{directory.resolve()}/" in line and f"/{SEGMENTS}/" in line]


def test_nothing_is_asked_where_nothing_is_mapped(tmp_path):
    assert let_go(tmp_path) == 0
