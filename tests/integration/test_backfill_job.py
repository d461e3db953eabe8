"""The backfill job, run as its own process against a running deployment."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.client import BankClient
from actors.settings import Settings
from memory.ids import Scope

LINES = [
    {
        "document_id": "chat/1",
        "timestamp": "2026-05-01T10:00:00Z",
        "tags": ["chat"],
        "messages": [
            {"role": "user", "name": "Inge", "content": "I am moving to Porto in June."},
            {"role": "assistant", "content": "I will remember that."},
        ],
    },
    {"document_id": "note", "content": "The bicycle is in the cellar.", "metadata": {"source": "note"}},
]


def start_of(file: Path, bank: str, *more: str) -> dict[str, Any]:
    """What a process is started with."""
    import ray

    address = ray.get_runtime_context().gcs_address
    return {
        "args": [sys.executable, "-m", "jobs.backfill", str(file), "--bank", bank, "--tenant", "jobs", *more],
        "cwd": file.parent,
        "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "RAY_ADDRESS": address},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def backfill(file: Path, bank: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(**start_of(file, bank, *more), timeout=100, check=False)


def test_a_backfill_retains_every_line_and_running_it_again_adds_nothing(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    file = tmp_path / "transcripts.ndjson"
    file.write_bytes(b"\n".join(orjson.dumps(line) for line in LINES))
    first = backfill(file, "filled")
    assert first.returncode == 0, first.stderr
    assert "retained 2 documents, 3 new chunks" in first.stdout
    second = backfill(file, "filled")
    assert "retained 0 documents, 0 new chunks" in second.stdout
    assert "2 documents were retained before" in second.stdout

    async def look() -> None:
        client = await BankClient.connect(deployment)
        scope = Scope("jobs", "filled")
        chat = await client.read_document(scope, "chat/1")
        assert chat.text == "I am moving to Porto in June.\nI will remember that."
        assert (chat.document.version, [chunk.speaker for chunk in chat.chunks]) == (1, ["Inge", "assistant"])
        note = (await client.list_units(scope, limit=10)).units
        assert {"source": "note"} in [dict(unit.metadata) for unit in note]

    loop.run_until_complete(look())


def test_what_cannot_be_stored_is_told_and_the_rest_is(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    file = tmp_path / "turns.ndjson"
    rows: list[Any] = [
        {"document": f"talk-{number % 3}", "speaker": "Ana", "text": f"turn {number}", "bank": f"bulk-{number % 2}"}
        for number in range(30)
    ]
    rows[5]["text"] = ""
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    done = backfill(file, "bulk-0", "--json", "--max-items-per-s", "10000")
    assert done.returncode == 1, done.stderr
    report = orjson.loads(done.stdout)
    assert (report["turns"]["retained"], report["banks"], report["rejects"]) == (29, 2, 1)
    (reject,) = (tmp_path / report["rejects_file"]).read_bytes().splitlines()
    assert orjson.loads(reject) == {"file": str(file), "row": 6, "reason": "content must not be blank"}

    async def look() -> None:
        client = await BankClient.connect(deployment)
        talk = await client.read_document(Scope("jobs", "bulk-1"), "talk-0")
        assert talk.text == "\n".join(f"turn {number}" for number in (3, 9, 15, 21, 27))

    loop.run_until_complete(look())


KILLS = 8


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_random_moments_it_stores_exactly_what_the_input_holds(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    """kill -9, each time after some more batches were done; the turns of a document are scattered over the file."""
    chance = random.Random(7)
    rows = [
        {"document": f"talk-{number // 10}", "speaker": "Ana", "text": f"turn {number}", "bank": f"killed-{number % 3}"}
        for number in range(4000)
    ]
    order = sorted(range(len(rows)), key=lambda number: (chance.random(), number))
    shuffled = [rows[number] for number in order]
    for number in range(0, len(shuffled), 400):
        shuffled[number] = {"document": "bad", "text": ""}
    file, progress = tmp_path / "turns.ndjson", tmp_path / "killed.progress.ndjson"
    file.write_bytes(b"\n".join(map(orjson.dumps, shuffled)))
    more = ("--json", "--batch-documents", "8", "--progress", str(progress))
    for kill in range(KILLS):
        before = lines_of(progress)
        job = subprocess.Popen(**start_of(file, "killed-0", *more, "--max-items-per-s", "200"))
        wanted = before + chance.randrange(1, 8)
        deadline_s = time.monotonic() + 90
        while lines_of(progress) < wanted and job.poll() is None:
            assert time.monotonic() < deadline_s, f"kill {kill}: nothing was done"
            time.sleep(0.01)
        assert job.poll() is None, "it ended before it was killed"
        job.kill()
        job.communicate()
    done = backfill(file, "killed-0", *more)
    assert done.returncode == 1, done.stderr
    report = orjson.loads(done.stdout)
    rejects = (tmp_path / "killed.rejects.ndjson").read_bytes().splitlines()
    assert [orjson.loads(line)["row"] for line in rejects] == list(range(1, 4001, 400))
    assert report["turns"]["retained"] + report["turns"]["retained_before"] == 3990
    assert report["documents"]["retained_before"] > 0

    async def look() -> None:
        client = await BankClient.connect(deployment)
        found: dict[tuple[str, str], tuple[str, int]] = {}
        for bank in ("killed-0", "killed-1", "killed-2"):
            scope, offset = Scope("jobs", bank), 0
            while page := (await client.list_documents(scope, limit=200, offset=offset)).documents:
                offset += 200
                for document in page:
                    part = await client.read_document(scope, document.id)
                    found[bank, document.id] = (part.text, document.version)
        expected: dict[tuple[str, str], list[str]] = {}
        for row in shuffled:
            if row["text"]:
                expected.setdefault((str(row["bank"]), str(row["document"])), []).append(str(row["text"]))
        assert found == {key: ("\n".join(texts), 1) for key, texts in expected.items()}

    loop.run_until_complete(look())


def lines_of(progress: Path) -> int:
    return progress.read_bytes().count(b"\n") if progress.exists() else 0
