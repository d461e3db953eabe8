"""Bulk commands as users give them, against a running server: fill, move out, move in, take over from a server."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lorebank import Client

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
QUESTIONS = ("Where does Ana live?", "What does Bo play?", "Who learns to ski?", "What is in the cellar?")


@pytest.fixture
def command(server_data: Path, server_url: str, tmp_path: Path) -> Any:
    """Runs `lorebank` in a directory of its own; what it printed as JSON."""
    del server_url

    def run(*arguments: str, code: int = 0) -> Any:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOREBANK_DATA": str(server_data)}
        done = subprocess.run(
            [sys.executable, "-m", "lorebank.cli", *arguments, "--json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    return run


def answers(client: Client, bank: str) -> list[Any]:
    found = []
    for question in QUESTIONS:
        results = client.recall(bank, question, query_timestamp="2026-03-01T00:00:00Z").results
        rows = [
            (row.text, row.speaker, row.role, row.mentioned_at, row.document_id, row.tags, row.metadata, row.context)
            for row in results
        ]
        found.append(rows)
    return found


def test_banks_are_filled_moved_and_taken_over(command: Any, server_url: str, tmp_path: Path) -> None:
    with (tmp_path / "turns.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["chat", "author", "role", "body", "sent_at", "labels"])
        table.writerow(["c1", "Ana", "user", "I moved to Oslo in May.", "2025-05-01T10:00:00Z", "home"])
        table.writerow(["c2", "Bo", "user", "I play the violin.", "2025-05-02T10:00:00Z", "music"])
        table.writerow(["c1", "Ana", "user", "I am learning to ski.", "2025-05-01T10:01:00Z", "home,sport"])
        table.writerow(["c1", "", "assistant", "The bicycle is in the cellar.", "2025-05-01T10:02:00Z", ""])
        table.writerow(["c1", "Ana", "user", "Late.", "never", ""])
    columns = ["--map", "document=chat", "--map", "text=body", "--map", "tags=labels"]
    filled = command("backfill", "turns.csv", "--bank", "bulk", *columns, code=1)
    assert (filled["turns"]["retained"], filled["rejects"], filled["found"]["documents_together"]) == (4, 1, False)
    with Client(server_url) as client:
        assert client.get_document("bulk", "c1").original_text.splitlines() == [
            "I moved to Oslo in May.", "I am learning to ski.", "The bicycle is in the cellar.",
        ]  # fmt: skip
        before = answers(client, "bulk")
        taken = command("import", server_url, "--from", "hindsight", "--only", "bulk", "--bank", "taken")
        assert (taken["documents"]["retained"], taken["rejects"]) == (2, 0)
        assert answers(client, "taken") == before
        written = command("export", "out", "--bank", "bulk")
        assert written["counts"]["chunks"] == 4
        client.delete_bank("bulk")
        assert answers(client, "bulk") == [[]] * len(QUESTIONS)
        command("import", "out")
        assert answers(client, "bulk") == before
        again = command("import", "out", "--again")
        assert (again["chunks_added"], again["calls"]) == (0, 0)
