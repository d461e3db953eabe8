"""The logs are on disk after a sync, whatever the engine does to them meanwhile."""

import os
from pathlib import Path

import pytest

from memory.errors import Unavailable
from memory.records import Head
from memory.store_calls import CreateHead
from storage import log_sync
from storage.edge_shard import LOG
from storage.edge_store import EdgeStore
from storage.log_sync import LogSync
from tests.support.builders import DIM, fresh_scope, put_texts
from tests.support.mappings import dirty_bytes


def open_files(collection: Path) -> list[Path]:
    return sorted((collection / LOG).glob("open-*"))


def test_what_the_engine_logged_is_on_disk_after_a_sync(tmp_path):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    store.flush()
    put_texts(store, scope, [f"item {n}" for n in range(50)])
    store.count_operation()
    logs = [path for name in ("units", "records") for path in open_files(tmp_path / name)]
    assert store.unsynced
    assert sum(dirty_bytes(path) for path in logs) > 0
    dirty = store.dirty_bytes
    store.sync()
    assert not store.unsynced
    if sum(dirty_bytes(path) for path in logs):
        pytest.skip("this file system keeps its pages dirty")
    assert store.dirty_bytes == dirty > 0  # the engine has written nothing for it
    store.close()


def test_a_file_that_was_filled_meanwhile_is_synced_under_its_new_name(tmp_path, monkeypatch):
    (tmp_path / "open-1").touch()
    (tmp_path / "open-2").touch()
    (tmp_path / "first-index").touch()
    synced = []
    real = log_sync._sync_file

    def sync_file(path):
        if path.name == "open-1" and path.exists():
            path.rename(tmp_path / "closed-7")
        real(path)
        synced.append(path.name)

    monkeypatch.setattr(log_sync, "_sync_file", sync_file)
    logs = LogSync(tmp_path)
    logs.sync()
    assert {"closed-7", "open-2", tmp_path.name} <= set(synced)
    assert "first-index" not in synced  # the engine makes it last by itself
    synced.clear()
    logs.sync()
    assert sorted(synced) == sorted(["open-2", tmp_path.name])  # nothing is written to a full file any more


def test_a_disk_that_does_not_take_it_is_told_and_tried_again(tmp_path, monkeypatch):
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    store.call(scope, CreateHead(Head()))
    store.count_operation()

    def fails(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails)
        with pytest.raises(Unavailable, match="No space left"):
            store.sync()
    assert store.unsynced
    store.sync()
    assert not store.unsynced
    store.close()
