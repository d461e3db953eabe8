"""kill -9 of the storage shard's process, again and again, under writers that go on: clients notice a pause at most."""

import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from lorebank import Client
from lorebank.wire import RetainItem
from tests.faults.killing import tree_of
from tests.faults.test_kill_tree import start

WRITERS = 8
BANKS = 4
DOCUMENTS = 5
"""Ids a writer uses again and again."""


@dataclass
class Written:
    """Every text sent to a document, in order; `acknowledged` of them were answered, with these versions."""

    texts: list[list[str]] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)


class PersistentWriter(threading.Thread):
    """One client that replaces its documents until it is stopped, and looks for what was just acknowledged."""

    def __init__(self, url: str, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.bank = f"bank-{number % BANKS}"
        self.documents: dict[str, Written] = {}
        self.error: BaseException | None = None
        self._number = number
        self._random = random.Random(seed * 1000 + number)
        self._client = Client(url, timeout_s=90, deadline_s=90)
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._write_one()
        except BaseException as exc:  # noqa: BLE001 - the test raises it in its own thread
            self.error = exc

    def stop(self) -> None:
        self._stopped.set()

    def _write_one(self) -> None:
        document = f"writer {self._number}/document {self._random.randrange(DOCUMENTS)}"
        written = self.documents.setdefault(document, Written())
        texts = [
            f"{document} line {line} of text {len(written.texts)} says {self._random.getrandbits(64):016x}"
            for line in range(self._random.randint(1, 6))
        ]
        written.texts.append(texts)
        items = [RetainItem(content=text, document_id=document) for text in texts]
        (answer,) = self._client.retain_many(self.bank, items)
        assert answer.documents is not None
        written.versions.append(answer.documents[0].version)
        found = self._client.recall(self.bank, texts[0], limit=3)
        assert texts[0] in [result.text for result in found.results], f"stale: {texts[0]} is not recalled after its ack"


@contextmanager
def writers_on(url: str, seed: int) -> Iterator[list[PersistentWriter]]:
    writers = [PersistentWriter(url, number, seed) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.stop()
        for writer in writers:
            writer.join(120)


def shard_process(server_pid: int) -> psutil.Process:
    """The one process of the server's tree that holds the directory open."""
    found = [p for p in tree_of(server_pid) if any("StorageShard" in part for part in p.cmdline())]
    assert len(found) == 1, [p.cmdline() for p in found]
    return found[0]


def outage_s(url: str, number: int) -> float:
    """Time from now until a retain has been answered and a recall finds it."""
    began_s = time.monotonic()
    text = f"probe {number} saw the shard come back"
    with Client(url, timeout_s=90, deadline_s=90) as client:
        client.retain("probes", text, document_id=f"probe {number}")
        assert text in [result.text for result in client.recall("probes", text, limit=3).results]
    return time.monotonic() - began_s


def check(url: str, writers: list[PersistentWriter]) -> int:
    """Each document is its last acknowledged text, whole, once, its versions without gaps; how many were read."""
    with Client(url) as client:
        for writer in writers:
            for document, written in writer.documents.items():
                found = client.get_document(writer.bank, document)
                assert found.original_text == "\n".join(written.texts[-1]), document
                assert written.versions == list(range(1, len(written.versions) + 1)), f"{document}: {written.versions}"
                page = client.list_memories(writer.bank, document_id=document, limit=100)
                assert sorted(unit.text for unit in page.items) == sorted(written.texts[-1]), f"{document}: doubles"
        return sum(len(writer.documents) for writer in writers)


def kill_rounds(data: Path, rounds: int, seed: int) -> None:
    moments = random.Random(seed)
    outages_s: list[float] = []
    with start(data) as server, writers_on(server.url, seed) as writers:
        for number in range(rounds):
            threading.Event().wait(moments.uniform(0.5, 2.0))
            shard_process(server.pid).kill()
            outages_s.append(outage_s(server.url, number))
            for writer in writers:
                assert writer.error is None, f"seed {seed}, round {number}: {writer.error!r}"
        for writer in writers:
            writer.stop()
        for writer in writers:
            writer.join(120)
            assert writer.error is None, f"seed {seed}: {writer.error!r}"
        checked = check(server.url, writers)
    acknowledged = sum(len(w.versions) for writer in writers for w in writer.documents.values())
    p95_s = statistics.quantiles(outages_s, n=20, method="inclusive")[-1]
    print(
        f"seed {seed}: {rounds} kills of the storage shard under {WRITERS} writers, {acknowledged} acknowledged,"
        f" {checked} documents checked; back after p50 {statistics.median(outages_s):.1f} s, p95 {p95_s:.1f} s,"
        f" longest {max(outages_s):.1f} s"
    )


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_sixty_kills_of_the_storage_shard_lose_and_double_nothing(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "data", rounds=60, seed=random.SystemRandom().randrange(1_000_000))
