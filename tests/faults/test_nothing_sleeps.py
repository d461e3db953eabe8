"""What a kill leaves undone in many banks, commits and stages, is done after the next start, though nobody asks."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from actors.settings import Settings, load_settings
from actors.wiring import embedding_space, open_shard
from memory.document_reading import ReadDocument
from memory.filters import AnyOf
from memory.store_calls import ListUnits, ReadHead
from storage.run import run
from tests.faults.killing import kill_all, tree_of
from tests.faults.test_kill_tree import check_invariants, start
from tests.faults.unsettled_banks import scope_of
from tests.support.scripted_llm import Behaviour, ScriptedLlm

pytestmark = pytest.mark.long
BANKS = 500
FACTS = ListUnits(10, where=AnyOf("kind", ("fact",)))


def accept_all(data: Path, text: str) -> None:
    """One document in each bank, acknowledged; then every process is killed."""
    with start(data) as server, httpx.Client(base_url=server.url, timeout=60) as client:

        def accept(number: int) -> int:
            body = {"items": [{"content": text.format(number), "document_id": "d"}]}
            return client.post(f"/v1/default/banks/bank-{number}/memories", json=body).status_code

        with ThreadPoolExecutor(8) as callers:
            assert set(callers.map(accept, range(BANKS))) == {200}
        kill_all(tree_of(server.pid))


@pytest.mark.timeout(600)
def test_every_bank_settles_after_a_kill_though_nobody_touches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOREBANK_EMBEDDER", "hash")
    monkeypatch.setenv("LOREBANK_EXTRACTION", "off")  # banks with stage work stay due
    data = tmp_path / "data"
    accept_all(data, "old text of {}")
    command = [sys.executable, "-m", "tests.faults.unsettled_banks", str(data), str(BANKS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (9, "all committed, none settled\n"), done.stderr
    settings = load_settings(data=data, embedder="hash")
    assert states(settings) == {"due": BANKS, "unsettled": BANKS, "new": 0}
    began_s = time.monotonic()
    with start(data):
        ready_s = time.monotonic() - began_s
    assert states(settings) == {"due": 0, "unsettled": 0, "new": BANKS}
    print(
        f"{BANKS} banks with unsettled commits: all settled when the server was ready, {ready_s:.1f} s after its start"
    )
    check_invariants(data)


def states(settings) -> dict[str, int]:
    """How many banks are due, have a commit that is not settled, and show the new text alone."""
    engine = open_shard(settings, 0, embedding_space(settings))
    try:
        heads = [run(engine, scope_of(number), ReadHead()) for number in range(BANKS)]
        parts = [run(engine, scope_of(number), ReadDocument("d")) for number in range(BANKS)]
        return {
            "due": len(engine.list_due(datetime.now(UTC), 10 * BANKS)),
            "unsettled": sum(head.settled < head.commit for head in heads),
            "new": sum(part.text == f"new text of {number}" for number, part in enumerate(parts)),
        }
    finally:
        engine.close()


@pytest.mark.timeout(900)
def test_what_was_accepted_while_nobody_could_extract_it_is_extracted_after_a_kill_though_nobody_touches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = ScriptedLlm(Behaviour(down=True))
    for name, value in {"EMBEDDER": "hash", "LLM_BASE_URL": llm.url, "LLM_MODEL": "scripted"}.items():
        monkeypatch.setenv(f"LOREBANK_{name}", value)
    data = tmp_path / "data"
    accept_all(data, "Person{0} lives in Town{0}.")
    llm.behave(down=False)
    began_s = time.monotonic()
    with start(data) as server:
        ready_s = time.monotonic() - began_s
        with httpx.Client(base_url=f"{server.url}/v1/default/banks", timeout=60) as client:
            waiting = set(range(BANKS))
            while waiting:
                assert time.monotonic() - began_s < 600, f"{len(waiting)} banks wait"
                waiting -= {number for number in waiting if is_extracted(client, number)}
            caught_up_s = time.monotonic() - began_s
    llm.stop()
    print(f"{BANKS} documents in {BANKS} banks: ready after {ready_s:.1f} s, all extracted after {caught_up_s:.1f} s")
    found = facts_of(load_settings(data=data, embedder="hash"))
    assert found == {number: [f"Person{number} lives in Town{number}."] for number in range(BANKS)}
    check_invariants(data)


def facts_of(settings: Settings) -> dict[int, list[str]]:
    """Texts of each bank's facts."""
    engine = open_shard(settings, 0, embedding_space(settings))
    try:
        return {number: [unit.text for unit in run(engine, scope_of(number), FACTS).units] for number in range(BANKS)}
    finally:
        engine.close()


def is_extracted(client: httpx.Client, number: int) -> bool:
    """Whether the bank's watermark has caught up; looking does not take the bank."""
    marks = client.get(f"/bank-{number}/watermarks").json()
    stage = marks["stages"]["extract"]
    assert stage["failed_count"] == 0, marks
    return stage["lag"] == 0
