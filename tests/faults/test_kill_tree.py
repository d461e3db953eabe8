"""kill -9 of every process during retains: what was acknowledged is there afterwards, once, and whole."""

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.killing import kill_all, tree_of, wait_gone
from tests.support.recording_callers import Record, calling, check_record, wait_acknowledged

WRITERS = 4


def start(data: Path, on_line: Callable[[str], None] = lambda _: None) -> OwnServer:
    return OwnServer(up_command(free_port(), data), on_line=on_line)


def verify(data: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of the audit of a directory whose server has stopped."""
    command = [sys.executable, "-m", "jobs.verify", "--data", str(data), "--json", "--vectors", "all", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def check_invariants(data: Path) -> None:
    """Nothing but what a killed server had prepared and never committed; a repair sweeps that, and all is clean."""
    code, report = verify(data, "--repair")
    assert {breach["kind"] for breach in report["found"]} <= {"pending leftover"}, report
    assert (code, report["clean"]) == (0, True), report
    code, report = verify(data)
    assert (code, report["found"]) == (0, []), report
    print(f"verify: {report['banks']} banks, {report['units']} units, {report['vectors']} vectors, clean")


def end_all_at_once(server: OwnServer, seed: int, record: Record, wait_s: float) -> None:
    """kill -9 of every process, in the middle of what the callers ask for."""
    processes = tree_of(server.pid)
    with calling(server.url, WRITERS, seed, record, until_lost=True) as callers:
        wait_acknowledged(callers, 60)
        threading.Event().wait(wait_s)
        kill_all(tree_of(server.pid) + processes)


def end_the_server_alone(server: OwnServer, seed: int, record: Record, wait_s: float) -> None:
    """kill -9 of its first process once the callers have their answers: the others end by themselves."""
    with calling(server.url, WRITERS, seed, record) as callers:
        wait_acknowledged(callers, 60)
        threading.Event().wait(wait_s)
    processes = tree_of(server.pid)
    processes[0].kill()
    wait_gone(processes)


End = Callable[[OwnServer, int, Record, float], None]


def kill_rounds(data: Path, ends: Sequence[End], seed: int) -> None:
    """A server for each of the ends, written to and ended so; then one more, and the audit of what is left."""
    moments = random.Random(seed)
    record = Record()
    starts_s: list[float] = []
    said: list[list[str]] = []
    checked = 0
    for number, end in enumerate([*ends, None]):
        began_s = time.monotonic()
        said.append([])
        with start(data, said[-1].append) as server:
            starts_s.append(time.monotonic() - began_s)
            checked = check_record(server.url, record)
            if end is not None:
                end(server, seed + number, record, moments.uniform(0.0, 2.0))
    cold_s, after_kills_s = starts_s[0], starts_s[1:]
    print(
        f"seed {seed}: {len(ends)} rounds, {record.acknowledged} acknowledged, {checked} documents checked at the end;"
        f" first start {cold_s:.1f} s, after a kill p50 {statistics.median(after_kills_s):.1f} s, longest"
        f" {max(after_kills_s):.1f} s"
    )
    longest = 1 + after_kills_s.index(max(after_kills_s))
    print(f"first start: {'; '.join(said[0])}\nlongest after a kill: {'; '.join(said[longest])}")
    assert min(record.acknowledged, checked) > 0
    check_invariants(data)


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    """Every process at once; then, on what that left, the server process alone, whose children end by themselves."""
    ends = [end_all_at_once, end_the_server_alone]
    kill_rounds(tmp_path / "data", ends, seed=random.SystemRandom().randrange(1_000_000))


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_nothing_acknowledged_is_lost_over_twenty_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "data", [end_all_at_once] * 20, seed=random.SystemRandom().randrange(1_000_000))
