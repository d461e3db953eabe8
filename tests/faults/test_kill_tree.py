"""kill -9 of every process during retains: what was acknowledged is there afterwards, once, and whole."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.killing import kill_all, tree_of, wait_gone
from tests.faults.writers import Sent, writing

WRITERS = 4


def start(data: Path) -> OwnServer:
    return OwnServer(up_command(free_port(), data), on_line=lambda _: None)


def check(url: str, history: dict[tuple[str, str], Sent]) -> int:
    """Every acknowledged document is found whole, in recall too, and nothing is there twice; how many were checked."""
    found = 0
    with httpx.Client(base_url=url, timeout=60) as client:
        for (bank, document), sent in history.items():
            path = f"/v1/default/banks/{bank}/documents/{quote(document, safe='')}"
            answer = client.get(path)
            if answer.status_code == 404:
                assert sent.acknowledged == 0, f"{document}: {sent.acknowledged} acknowledged, none found"
                continue
            assert answer.status_code == 200, answer.text
            text = answer.json()["original_text"]
            assert text in sent.allowed(), f"{document}: found {text!r}, allowed {sent.allowed()!r}"
            units = _units(client, bank, document)
            assert Counter(units) == Counter(text.split("\n")), f"{document}: units are not its lines"
            line = text.split("\n")[0]
            results = client.post(f"/v1/default/banks/{bank}/memories/recall", json={"query": line, "limit": 5})
            assert line in [result["text"] for result in results.json()["results"]], f"{document}: not recalled"
            found += 1
    return found


def _units(client: httpx.Client, bank: str, document: str) -> list[str]:
    answer = client.get(f"/v1/default/banks/{bank}/memories/list", params={"document_id": document, "limit": 100})
    assert answer.status_code == 200, answer.text
    return [item["text"] for item in answer.json()["items"]]


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
    history: dict[tuple[str, str], Sent] = {}
    total = 0
    for number in range(rounds + 1):
        with start(data) as server:
            checked = check(server.url, history)
            if number == rounds:
                print(f"seed {seed}: {rounds} rounds, {total} acknowledged, {checked} documents checked at the end")
                return
            processes = tree_of(server.pid)
            with writing(server.url, WRITERS, seed + number, history) as writers:
                waited = [writer.first_acknowledged.wait(60) for writer in writers]
                assert all(waited), [writer.unanswered for writer in writers]
                threading.Event().wait(moments.uniform(0.0, 2.0))
                kill_all(tree_of(server.pid) + processes)
            total += sum(writer.acknowledged for writer in writers)


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
