"""What the engine's logs take in memory is given back by a flush, and nothing of them is lost."""

import sys

import pytest

from memory.store_calls import ListUnits
from storage.edge_shard import LOG
from storage.edge_store import EdgeStore
from storage.log_memory import let_go
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


def test_nothing_is_asked_where_nothing_is_mapped(tmp_path):
    assert let_go(tmp_path) == 0
