"""A data directory as a server leaves it: two storage shards, three banks of two tenants."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from memory.ids import BUCKETS, Scope
from storage.directory import Space, prepare_directory, shard_path
from storage.edge_store import EdgeStore
from tests.support.bank_process import perform_all
from tests.support.builders import DIM
from tests.support.planting import HISTORY, Vandal

SHARDS = 2
SCOPES = (Scope("default", "ana"), Scope("default", "-b/ü"), Scope("acme", "ana"))


@dataclass(frozen=True)
class Place:
    """A directory nobody holds; what is done to it is done by opening it for a moment."""

    data: Path

    def change(self, scope: Scope, change: Callable[[Vandal], object]) -> None:
        store = EdgeStore(shard_path(self.data, scope.bucket * SHARDS // BUCKETS), DIM)
        change(Vandal(store, scope))
        store.close()


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("template") / "data"
    prepare_directory(data, SHARDS, Space(f"hash/{DIM}", DIM))
    stores = [EdgeStore(shard_path(data, index), DIM) for index in range(SHARDS)]
    for scope in SCOPES:
        perform_all(stores[scope.bucket * SHARDS // BUCKETS], scope, HISTORY, "h")
    for store in stores:
        store.close()
    return data


@pytest.fixture
def place(template, tmp_path, monkeypatch) -> Place:
    data = tmp_path / "data"
    shutil.copytree(template, data)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOREBANK_EMBEDDER", "hash")
    monkeypatch.setenv("LOREBANK_EMBEDDING_DIM", str(DIM))
    monkeypatch.setenv("COLUMNS", "200")
    return Place(data)
