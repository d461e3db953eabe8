"""kill -9 of every process during retains: what was acknowledged is there afterwards, once, and whole."""

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.killing import kill_all, tree_of, wait_gone
from tests.support.recording_callers import Record, calling, check_record, wait_acknowledged

WRITERS = 4


def start(data: Path) -> OwnServer:
    return OwnServer(up_command(free_port(), data), on_line=lambda _: None)


def verify(data: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the audit of a directory whose server has stopped."""
    command = [sys.executable, "-m", "jobs.verify", "--data", str(data), "--json", "--vectors", "all", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def check_invariants(data: Path) -> None:
    """Nothing but what a killed server had prepared and never committed; a repair sweeps that, and all is clean."""
    _, report = verify(data)
    assert {breach["kind"] for breach in report["found"]} <= {"pending leftover"}, report
    code, report = verify(data, "--repair")
    assert (code, report["clean"]) == (0, True), report
    code, report = verify(data)
    assert (code, report["found"]) == (0, []), report
    print(f"verify: {report['banks']} banks, {report['units']} units, {report['vectors']} vectors, clean")


def kill_rounds(data: Path, rounds: int, seed: int) -> None:
    """Rounds of writing and killing, then the audit of what is left."""
    _kill_rounds(data, rounds, seed)
    check_invariants(data)


def _kill_rounds(data: Path, rounds: int, seed: int) -> None:
    moments = random.Random(seed)
    record = Record()
    starts_s: list[float] = []
    for number in range(rounds + 1):
        began_s = time.monotonic()
        with start(data) as server:
            starts_s.append(time.monotonic() - began_s)
            checked = check_record(server.url, record)
            if number == rounds:
                break
            processes = tree_of(server.pid)
            with calling(server.url, WRITERS, seed + number, record, until_lost=True) as callers:
                wait_acknowledged(callers, 60)
                threading.Event().wait(moments.uniform(0.0, 2.0))
                kill_all(tree_of(server.pid) + processes)
    cold_s, after_kills_s = starts_s[0], starts_s[1:]
    print(
        f"seed {seed}: {rounds} rounds, {record.acknowledged} acknowledged, {checked} documents checked at the end;"
        f" first start {cold_s:.1f} s, after a kill p50 {statistics.median(after_kills_s):.1f} s, longest"
        f" {max(after_kills_s):.1f} s"
    )


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_or_doubled_when_every_process_is_killed(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "data", rounds=3, seed=random.SystemRandom().randrange(1_000_000))


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_nothing_acknowledged_is_lost_over_twenty_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "data", rounds=20, seed=random.SystemRandom().randrange(1_000_000))


@pytest.mark.timeout(200)
def test_killing_only_the_server_process_ends_its_children_and_the_next_start_works(tmp_path: Path) -> None:
    began = time.monotonic()
    with start(tmp_path / "data") as server:
        first_start_s = time.monotonic() - began
        processes = tree_of(server.pid)
        body = {"items": [{"content": "The spare key is under the blue pot.", "document_id": "note"}]}
        assert httpx.post(f"{server.url}/v1/default/banks/home/memories", json=body, timeout=60).status_code == 200
        processes[0].kill()
        wait_gone(processes)
    began = time.monotonic()
    with start(tmp_path / "data") as server:
        print(f"first start {first_start_s:.1f} s, start after the kill {time.monotonic() - began:.1f} s")
        answer = httpx.get(f"{server.url}/v1/default/banks/home/documents/note", timeout=60)
        assert answer.json()["original_text"] == "The spare key is under the blue pot."
