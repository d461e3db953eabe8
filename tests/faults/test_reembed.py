"""Another model under live retains and recalls, its job killed again and again: nothing fails, is lost or doubled."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from loadtests.workload import Workload, retain_item
from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.test_kill_tree import check_invariants

BANKS = ("ana", "bo", "cy")
KILLS = 10
NEW = ("--embedder", "hash", "--dim", "96")
PATIENCE_S = 60.0


class Caller(threading.Thread):
    """Retains a fact, then asks for it, over and over; every answer is counted."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.statuses: Counter[int] = Counter()
        self.written: list[tuple[str, str]] = []
        self.missed: list[str] = []
        self._workload = Workload(7, number, [])
        self._bank = BANKS[number % len(BANKS)]
        self._http = httpx.Client(base_url=f"{url}/v1/default/banks/{self._bank}", timeout=PATIENCE_S)
        self.stop = threading.Event()

    def run(self) -> None:
        with self._http:
            while not self.stop.is_set():
                fact = self._workload.next_fact()
                item = retain_item(fact, f"live-{fact.code}")
                self._post("/memories", {"items": [item], "operation_id": fact.code})
                self.written.append((self._bank, fact.text))
                found = self._post("/memories/recall", {"query": fact.text, "limit": 3})
                if fact.text not in {result["text"] for result in found.get("results", ())}:
                    self.missed.append(fact.text)

    def _post(self, path: str, body: dict) -> dict:
        answer = self._http.post(path, json=body)
        self.statuses[answer.status_code] += 1
        return answer.json()


def command(data: Path, *options: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "LOREBANK_DATA": str(data)}
    job = [sys.executable, "-m", "jobs.reembed", *options]
    return subprocess.Popen(job, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def killed_at_work(data: Path, after_s: float, *options: str) -> None:
    """kill -9 of a job, so long after it has begun to look through the banks."""
    job = command(data, *options)
    assert job.stderr is not None
    while line := job.stderr.readline():
        if line.startswith(b"looking through"):
            time.sleep(after_s)
            break
    assert job.poll() is None, "the job ended before it was killed"
    job.kill()
    job.communicate()


def done(job: "subprocess.Popen[bytes]") -> dict:
    said, errors = job.communicate(timeout=600)
    assert job.returncode == 0, errors.decode()
    return json.loads(said)


def fill(url: str, units: int) -> list[tuple[str, str]]:
    written = []
    for number, bank in enumerate(BANKS):
        workload = Workload(8, 100 + number, [])
        for _ in range(units // 100):
            facts = [workload.next_fact() for _ in range(100)]
            items = [retain_item(fact, f"note-{facts[0].code}") for fact in facts]
            path = f"{url}/v1/default/banks/{bank}/memories"
            assert httpx.post(path, json={"items": items}, timeout=PATIENCE_S).status_code == 200
            written += [(bank, fact.text) for fact in facts]
    return written


def texts_of(url: str, bank: str) -> Counter[str]:
    """How often each text stands in a bank, facts left out."""
    found: Counter[str] = Counter()
    offset = 0
    while True:
        path = f"{url}/v1/default/banks/{bank}/memories/list"
        page = httpx.get(path, params={"limit": 500, "offset": offset}, timeout=PATIENCE_S).json()
        found.update(item["text"] for item in page["items"])
        offset += len(page["items"])
        if not page["items"]:
            return found


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("units", [1_000, 17_000])
def test_a_model_is_changed_under_live_calls_and_kills_and_changed_back(tmp_path: Path, monkeypatch, units) -> None:
    monkeypatch.setenv("LOREBANK_EXTRACTION", "off")  # so that every unit is a text that was retained
    seed = random.SystemRandom().randrange(1_000_000)
    moments = random.Random(seed)
    data = tmp_path / "data"
    with OwnServer([*up_command(free_port(), data), "--embedder", "hash"], on_line=lambda _: None) as server:
        written = fill(server.url, units)
        callers = [Caller(server.url, number) for number in range(len(BANKS))]
        for caller in callers:
            caller.start()
        rate = units * len(BANKS) / KILLS / 2
        for _ in range(KILLS):
            slowly = ("--max-items-per-s", str(rate), "--concurrency", "1")
            killed_at_work(data, moments.uniform(0.0, 2.0), *NEW, *slowly)
        switched = done(command(data, *NEW, "--switch", "--verify-sample", "60", "--json"))
        time.sleep(2.5)  # each process looks once a second
        back = done(command(data, "--rollback", "--json"))
        again = done(command(data, *NEW, "--switch", "--json"))
        for caller in callers:
            caller.stop.set()
        for caller in callers:
            caller.join()
        written += [one for caller in callers for one in caller.written]
        statuses = sum((caller.statuses for caller in callers), Counter())
        print(
            f"seed {seed}: {KILLS} kills, then {switched}; back {back['active']}, again {again['active']};"
            f" {len(written)} units, live answers {dict(statuses)}"
        )
        assert set(statuses) == {200}
        assert [caller.missed for caller in callers] == [[]] * len(callers)
        assert (switched["active"], back["active"], again["active"]) == ("hash/96", "hash/384", "hash/96")
        assert switched["agreement"]["sampled"] == 60
        assert switched["embedded"] < units * len(BANKS), "what the killed ones did was not done again"
        for bank in BANKS:
            assert texts_of(server.url, bank) == Counter(text for of, text in written if of == bank)
    check_invariants(data)
    with OwnServer([*up_command(free_port(), data), "--embedder", "hash"], on_line=lambda _: None) as server:
        bank, text = written[0]
        path = f"{server.url}/v1/default/banks/{bank}/memories/recall"
        found = httpx.post(path, json={"query": text, "limit": 3}, timeout=PATIENCE_S).json()
        assert text in {result["text"] for result in found["results"]}
        assert done(command(data, "--rollback", "--json"))["embedded"] == 0
