"""The two walks of docs/ARCHITECTURE.md as they are gone: a request passes the stops of its table, in that order."""

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from actors.bank import Bank
from actors.client import BankClient
from actors.cluster import Cluster
from actors.direct_reads import DirectReads
from actors.extraction import ExtractStage
from actors.placement import Ring, host_name
from actors.read_socket import ReadSocket
from actors.reader import Reader
from actors.settings import Settings, load_settings
from actors.shard_store import ShardStore
from actors.storage_shard import StorageShard
from actors.wiring import embedding_space, prepare_data
from memory.extraction.rules_extractor import RulesExtractor
from memory.facts import EXTRACT
from memory.ids import Scope
from memory.policy import BankPolicy
from providers.hash_embedder import HashEmbedder
from serve_app.api import build_api
from tests.support.bank_process import bank_ports
from tests.support.http_calls import Http
from tests.support.walks import ROOT, Stop, walk

BANK = "/v1/default/banks/alice"
DIM = 64
IN_RAY_ONLY = {"BankHost.perform"}
"""What is not passed here: the actor around a bank, which needs Ray's tasks to embed."""


class Method:
    """One method of an actor's handle: called in a thread, or in this loop where it is asynchronous."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def remote(self, *args: Any) -> Any:
        called = self._method if inspect.iscoroutinefunction(self._method) else None
        return called(*args) if called else asyncio.to_thread(self._method, *args)


class Handle:
    """A handle of an actor that is an object of this process."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Method:
        return Method(getattr(self._actor, name))


class Host:
    """Banks without the actor around them."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._banks: dict[Scope, Bank] = {}

    async def perform(self, scope: Scope, command: Any, ring_version: int) -> Any:
        if scope not in self._banks:
            embedder = HashEmbedder(DIM)

            async def embed(texts: Any) -> Any:
                return embedder.embed_with_tokens(list(texts))

            stages = {EXTRACT: ExtractStage(self._store, RulesExtractor())}
            ports = bank_ports(self._store, embed=embed, stages=stages, policy=BankPolicy(stages=(EXTRACT,)))
            self._banks[scope] = Bank(scope, ports, 8)
        return await self._banks[scope].perform(command)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", embedder="hash", embedding_dim=DIM, request_timeout_s=30.0)


class Followed:
    """Notes which functions of a walk are called, in whatever thread that began after this did."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, str], str] = {}
        self.passed: list[str] = []

    def follow(self, stops: list[Stop]) -> None:
        self._wanted = {(str(ROOT / stop.file), stop.function): stop.function for stop in stops}

    def look(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and self._wanted:
            stop = self._wanted.get((frame.f_code.co_filename, frame.f_code.co_qualname))
            if stop is not None:
                self.passed.append(stop)

    def missed(self, stops: list[Stop]) -> list[str]:
        """From the first stop on that was not passed behind the one before it; what is passed beside them is let be."""
        left = [stop.function for stop in stops]
        for stop in self.passed:
            if left and stop == left[0]:
                del left[0]
        return left


@pytest.fixture
def followed() -> Iterator[Followed]:
    made = Followed()
    threading.setprofile(made.look)
    sys.setprofile(made.look)
    yield made
    sys.setprofile(None)
    threading.setprofile(None)


@pytest.fixture
def http(followed: Followed, settings: Settings, tmp_path: Path) -> Iterator[Http]:
    space = embedding_space(settings)
    shard = StorageShard(settings, 0, prepare_data(settings, space))
    listening = ReadSocket(tmp_path / "own" / "shard.sock", shard.read_directly)
    store = ShardStore([Handle(shard)], 30.0, [DirectReads(tmp_path / "own" / "shard.sock")])
    name = host_name(0)
    cluster = Cluster(settings, store, {name: Handle(Host(store))}, Ring(1, (name,)), None)
    with Http(build_api(BankClient(cluster, Reader(store, settings), settings), settings)) as calls:
        yield calls
    listening.close()
    shard.close()


def test_a_retain_and_its_facts_pass_the_stops_of_their_walk_in_order(http: Http, followed: Followed) -> None:
    stops = [stop for stop in walk("One retain, and its facts") if stop.function not in IN_RAY_ONLY]
    assert http.call("PUT", BANK, json={"name": "taken before, so that only the retain is seen"}).status_code == 200
    item = {"content": [{"role": "user", "name": "Ana", "content": "I adopted a golden retriever."}]}
    followed.follow(stops)
    told = http.post(f"{BANK}/memories", json={"items": [item], "wait_for": "extracted"}).json()
    assert told["stage"] == "extracted"
    assert not followed.missed(stops), followed.passed
    found = http.post(f"{BANK}/memories/recall", json={"query": "who adopted a golden retriever?"}).json()["results"]
    assert "Ana adopted a golden retriever" in str(found), "its fact came back"


def test_a_recall_passes_the_stops_of_its_walk_in_order(http: Http, followed: Followed) -> None:
    stops = walk("One recall")
    http.post(f"{BANK}/memories", json={"items": [{"content": "The tea is in the blue tin."}]})
    followed.follow(stops)
    found = http.post(f"{BANK}/memories/recall", json={"query": "where is the tea?"}).json()
    assert [row["text"] for row in found["results"]] == ["The tea is in the blue tin."]
    assert not followed.missed(stops), followed.passed
