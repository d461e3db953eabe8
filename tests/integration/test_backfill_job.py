"""The backfill job, run as its own process against a running deployment."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

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


def backfill(file: Path, bank: str, *more: str) -> subprocess.CompletedProcess[str]:
    import ray

    address = ray.get_runtime_context().gcs_address
    return subprocess.run(
        [sys.executable, "-m", "jobs.backfill", str(file), "--bank", bank, "--tenant", "jobs", *more],
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


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
