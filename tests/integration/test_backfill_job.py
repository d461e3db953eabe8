"""The backfill job, run as its own process against a running deployment."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

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


def backfill(file: Path, bank: str) -> subprocess.CompletedProcess[str]:
    import ray

    address = ray.get_runtime_context().gcs_address
    return subprocess.run(
        [sys.executable, "-m", "jobs.backfill", str(file), "--bank", bank, "--tenant", "jobs"],
        env={**os.environ, "RAY_ADDRESS": address},
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
    assert "retained 2 documents, 0 new chunks" in second.stdout

    async def look() -> None:
        client = await BankClient.connect(deployment)
        scope = Scope("jobs", "filled")
        chat = await client.read_document(scope, "chat/1")
        assert chat.text == "I am moving to Porto in June.\nI will remember that."
        assert (chat.document.version, [chunk.speaker for chunk in chat.chunks]) == (1, ["Inge", "assistant"])
        note = (await client.list_units(scope, limit=10)).units
        assert {"source": "note"} in [dict(unit.metadata) for unit in note]

    loop.run_until_complete(look())


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{no json", "transcripts.ndjson"),
        (b'{"content": "no id"}', "document_id"),
        (b'{"document_id": "d"}', "content and messages"),
        (b'{"document_id": "d", "content": "x", "contents": "y"}', "contents"),
        (b'{"document_id": "d", "content": "x", "timestamp": "soon"}', "soon"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_retained(
    deployment: Settings, tmp_path: Path, line: bytes, complaint: str
) -> None:
    from jobs.transcripts import read_transcripts
    from memory.errors import Unprocessable

    del deployment
    file = tmp_path / "transcripts.ndjson"
    file.write_bytes(line)
    with pytest.raises(Unprocessable, match=complaint):
        list(read_transcripts(file, 16))
