"""Rounds of killing or freezing one kind of process of a server while its callers go on, and what is left to check."""

import random
import signal
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from actors.placement import Ring, host_name, owner_of
from memory.ids import Scope
from tests.faults.killing import tree_of
from tests.faults.test_kill_tree import check_invariants, start
from tests.support.recording_callers import Record, calling, check_record, see_no_error

CALLERS = 8
HOSTS = 2
"""Of every server here: LOREBANK_BANK_HOSTS."""
GIVE_UP_S = 60.0


def processes(server_pid: int, actor: str) -> list[psutil.Process]:
    """The processes of a server's tree that carry an actor of that class."""
    found = []
    for process in tree_of(server_pid):
        try:
            command = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if f"ray::{actor}" in command:
            found.append(process)
    return found


class Probe(threading.Thread):
    """Asks for one bank from the moment it is started until a recall and then a retain with its recall succeed."""

    def __init__(self, url: str, bank: str, number: int) -> None:
        super().__init__(daemon=True)
        self.recall_s = self.retain_s = GIVE_UP_S
        self.said: list[str] = []
        """Every answer: seconds since the start, what was asked, what was answered."""
        self._bank = bank
        self._number = number
        self._http = httpx.Client(base_url=f"{url}/v1/default/banks/{bank}", timeout=GIVE_UP_S)

    def run(self) -> None:
        began_s = time.monotonic()
        text = f"probe {self._number} of {self._bank} says {random.SystemRandom().getrandbits(64):016x}"
        with self._http:
            self._until_good(began_s, "/memories/recall", {"query": text})
            self.recall_s = time.monotonic() - began_s
            self._until_good(began_s, "/memories", {"items": [{"content": text, "document_id": "probe"}]})
            found = self._until_good(began_s, "/memories/recall", {"query": text, "limit": 1})
            if [result["text"] for result in found["results"]] == [text]:
                self.retain_s = time.monotonic() - began_s

    def _until_good(self, began_s: float, path: str, body: dict) -> dict:
        while time.monotonic() < began_s + GIVE_UP_S:
            try:
                answer = self._http.post(path, json=body)
            except httpx.HTTPError as exc:
                self.said.append(f"{time.monotonic() - began_s:.1f} {path} {exc!r}")
                continue
            self.said.append(f"{time.monotonic() - began_s:.1f} {path} {answer.status_code} {answer.text[:300]}")
            if answer.status_code == 200:
                return answer.json()
            threading.Event().wait(0.05)
        return {"results": []}


def bank_of(host: str) -> str:
    """A bank that the ring gives to a host."""
    ring = Ring(1, tuple(host_name(number) for number in range(HOSTS)))
    names = (f"probes-{number}" for number in range(1000))
    return next(name for name in names if owner_of(ring, Scope("default", name)) == host)


@dataclass(frozen=True, slots=True)
class Rounds:
    """What rounds of kills came to: one order explained every answer, and the audit of the directory found nothing."""

    acknowledged: int
    documents_read: int
    retains_s: list[float]
    """Per round, from the signal to a good retain and its recall."""
    recalls_s: list[float]

    @property
    def all_recovered(self) -> bool:
        """Whether retain and recall were back after each round."""
        return all(retain_s < GIVE_UP_S for retain_s in (*self.retains_s, *self.recalls_s))


def rounds_of(data: Path, actor: str, how: signal.Signals, rounds: int) -> Rounds:
    """Rounds under callers, then the check of all they were answered, and the audit of what is left.

    Raises:
        AssertionError: something acknowledged is lost, doubled or out of order, or the audit finds a breach.
    """
    seed = random.SystemRandom().randrange(1_000_000)
    choice, record = random.Random(seed), Record()
    retains_s: list[float] = []
    recalls_s: list[float] = []
    banks = [bank_of(host_name(number)) for number in range(HOSTS)]
    with start(data) as server:
        with calling(server.url, CALLERS, seed, record) as callers:
            for number in range(rounds):
                threading.Event().wait(choice.uniform(0.5, 2.0))
                target = choice.choice(_all_there(server.pid, actor))
                target.send_signal(how)
                probes = [Probe(server.url, bank, number) for bank in banks]
                for probe in probes:
                    probe.start()
                for probe in probes:
                    probe.join()
                see_no_error(callers)
                assert not target.is_running() or target.status() == psutil.STATUS_ZOMBIE, f"{target} was not replaced"
                retains_s.append(max(probe.retain_s for probe in probes))
                recalls_s.append(max(probe.recall_s for probe in probes))
                if retains_s[-1] >= GIVE_UP_S:
                    said = "\n".join(line for probe in probes for line in probe.said)
                    ready = httpx.get(f"{server.url}/health/ready", timeout=30).text
                    raise AssertionError(f"seed {seed}, round {number}: not back in {GIVE_UP_S:g} s\n{said}\n{ready}")
        read = check_record(server.url, record)
    print(
        f"seed {seed}: {rounds} x {how.name} of a {actor} under {CALLERS} callers; {record.acknowledged} writes"
        f" acknowledged, {read} documents read, every answer explained by one order; answers"
        f" {dict(sorted(record.statuses.items()))}; from the signal to a good retain and its recall"
        f" {spread(retains_s)}, to a good recall {spread(recalls_s)}"
    )
    check_invariants(data)
    return Rounds(record.acknowledged, read, retains_s, recalls_s)


def _all_there(server_pid: int, actor: str) -> list[psutil.Process]:
    """The processes of a class, once there is none missing."""
    wanted = HOSTS if actor == "BankHost" else 1
    deadline_s = time.monotonic() + GIVE_UP_S
    while len(found := processes(server_pid, actor)) != wanted:
        assert time.monotonic() < deadline_s, f"{len(found)} of {wanted} processes of {actor}"
        threading.Event().wait(0.05)
    return found


def spread(seconds: list[float]) -> str:
    """Median, 95th percentile and maximum."""
    p95_s = statistics.quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return f"p50 {statistics.median(seconds):.1f} s, p95 {p95_s:.1f} s, longest {max(seconds):.1f} s"
