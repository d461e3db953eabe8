"""Commits of many banks are left unsettled by a kill; after the next start all of them settle, though nobody asks."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from actors.settings import load_settings
from actors.wiring import embedding_space, open_shard
from memory.document_reading import ReadDocument
from memory.store_calls import ReadHead
from storage.run import run
from tests.faults.killing import kill_all, tree_of
from tests.faults.test_kill_tree import check_invariants, start
from tests.faults.unsettled_banks import scope_of

pytestmark = pytest.mark.long
BANKS = 500


def accept_all(data: Path) -> None:
    """One document in each bank, acknowledged; then every process is killed."""
    with start(data) as server, httpx.Client(base_url=server.url, timeout=60) as client:

        def accept(number: int) -> int:
            body = {"items": [{"content": f"old text of {number}", "document_id": "d"}]}
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
    accept_all(data)
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
