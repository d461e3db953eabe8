"""What a storage shard has mapped of its files while nobody asks it."""

import sys
import threading
import time

import pytest

from actors import storage_shard
from actors.settings import load_settings
from actors.storage_shard import StorageShard
from actors.wiring import prepare_data
from memory.protocol import TakeEpoch
from memory.store_calls import ReadHead
from storage.directory import Space, shard_path
from tests.support.builders import DIM, fresh_scope
from tests.support.mappings import resident_bytes

DEADLINE_S = 30.0


@pytest.mark.skipif(sys.platform != "linux", reason="Linux gives account of mappings")
def test_what_was_read_is_put_down_when_no_bank_is_read_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_shard, "REST_S", 0.05)
    space, settings = Space("hash", DIM), load_settings(data=tmp_path, embedder="hash", embedding_dim=DIM)
    prepare_data(settings, space)
    shard, scope = StorageShard(settings, 0, space), fresh_scope()
    shard.perform(scope, TakeEpoch("n"))
    pages = shard_path(settings.data, 0).resolve() / "records" / "segments"
    assert shard.perform(scope, ReadHead()) is not None
    pause, until_s = threading.Event(), time.monotonic() + DEADLINE_S
    while sum(map(resident_bytes, pages.rglob("page_0.dat"))):
        assert time.monotonic() < until_s, "the files are still mapped"
        pause.wait(0.01)
    head = shard.perform(scope, ReadHead())
    shard.close()
    assert head is not None
    assert head.epoch == 1
