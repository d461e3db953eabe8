"""The storage shard without Ray: it gives up on damaged files, and closes what it opened."""

import pytest

from actors import storage_shard
from actors.settings import load_settings
from actors.storage_shard import StorageShard
from actors.wiring import open_shard, prepare_data
from memory.errors import StoreDamaged, Unavailable
from memory.protocol import TakeEpoch
from memory.store_calls import ReadHead
from storage.directory import CLEAN_FILE, Space, shard_path
from tests.support.builders import DIM, fresh_scope

SPACE = Space("hash", DIM)


@pytest.fixture
def settings(tmp_path):
    made = load_settings(data=tmp_path, embedder="hash", embedding_dim=DIM)
    prepare_data(made, SPACE)
    return made


def test_damaged_files_are_not_loaded_again_and_again(settings, monkeypatch):
    opened = []

    def counted(*args, **fields):
        opened.append(args)
        return open_shard(*args, **fields)

    monkeypatch.setattr(storage_shard, "open_shard", counted)
    segments = shard_path(settings.data, 0) / "units" / "segments" / "one"
    segments.mkdir(parents=True)
    (segments / "segment.json").write_text("{}")
    shard = StorageShard(settings, 0, SPACE)
    for _ in range(3):
        with pytest.raises(StoreDamaged, match=r"version\.info"):
            shard.ping()
    assert len(opened) == 1


def test_a_closed_shard_leaves_a_clean_directory_and_refuses(settings):
    shard = StorageShard(settings, 0, SPACE)
    scope = fresh_scope()
    assert shard.perform(scope, TakeEpoch("n")).epoch == 1
    assert not (shard_path(settings.data, 0) / CLEAN_FILE).exists()
    shard.close()
    assert (shard_path(settings.data, 0) / CLEAN_FILE).exists()
    for request in (ReadHead(), TakeEpoch("m")):
        with pytest.raises(Unavailable, match="closing"):
            shard.perform(scope, request)
    again = StorageShard(settings, 0, SPACE)
    assert again.perform(scope, ReadHead()).epoch == 1
    again.close()


def test_a_shard_that_was_never_opened_can_be_closed(settings):
    StorageShard(settings, 0, SPACE).close()
    assert not shard_path(settings.data, 0).exists()
