"""A data directory as a server leaves it: two storage shards, three banks of two tenants."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from memory.ids import BUCKETS, Scope
from storage.directory import MARKS_FILE, Space, prepare_directory, shard_path
from storage.edge_store import EdgeStore
from tests.support.bank_process import perform_all
from tests.support.builders import DIM
from tests.support.planting import HISTORY, Vandal
from tests.support.scripted_fixtures import llm, llm_server

__all__ = ["llm", "llm_server"]

SHARDS = 2
SCOPES = (Scope("default", "ana"), Scope("default", "-b/ü"), Scope("acme", "ana"))


@dataclass(frozen=True)
class Place:
    """A directory nobody holds; what is done to it is done by opening it for a moment."""

    data: Path

    def change(self, scope: Scope, change: Callable[[Vandal], object]) -> None:
        directory = shard_path(self.data, scope.bucket * SHARDS // BUCKETS)
        store = EdgeStore(directory, DIM)
        change(Vandal(store, scope))
        store.close()
        (directory / MARKS_FILE).unlink()  # what is planted must be the audit's to find, not the opening's to heal


@pytest.fixture(scope="session")
def memory_disk(tmp_path_factory) -> Iterator[Path]:
    """Opening and closing directories many times is mostly waiting for the disk: in memory, where that can be had."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path_factory.mktemp("places")
        return
    with tempfile.TemporaryDirectory(dir=shared) as made:
        yield Path(made)


@pytest.fixture(scope="session")
def template(memory_disk) -> Path:
    data = memory_disk / "template"
    prepare_directory(data, SHARDS, Space(f"hash/{DIM}", DIM))
    stores = [EdgeStore(shard_path(data, index), DIM) for index in range(SHARDS)]
    for scope in SCOPES:
        perform_all(stores[scope.bucket * SHARDS // BUCKETS], scope, HISTORY, "h")
    for store in stores:
        store.close()
    return data


@pytest.fixture
def place(template, memory_disk, tmp_path, monkeypatch) -> Iterator[Place]:
    data = memory_disk / tmp_path.name
    subprocess.run(["cp", "-R", str(template), str(data)], check=True)  # keeps the holes of sparse files
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOREBANK_EMBEDDER", "hash")
    monkeypatch.setenv("LOREBANK_EMBEDDING_DIM", str(DIM))
    monkeypatch.setenv("COLUMNS", "200")
    yield Place(data)
    shutil.rmtree(data)
