"""The demo: its dialogue is sound, it tells success from failure, and its own server leaves nothing."""

import json
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lorebank import cli_demo
from lorebank.cli import app
from lorebank.cli_demo import BANK, QUESTIONS, Question, demo_transcripts
from lorebank.testing import FakeServer

SERVE = (
    "import signal, threading; from lorebank.testing import FakeServer; stop = threading.Event();"
    "signal.signal(signal.SIGTERM, lambda *_: stop.set()); server = FakeServer().__enter__();"
    "print('ready', server.url, flush=True); stop.wait()"
)


def test_dialogue_holds_each_answer_once() -> None:
    """Two speakers, about thirty turns, four dated sessions, and one turn per expected answer."""
    transcripts = demo_transcripts()
    messages = [message for transcript in transcripts for message in transcript.messages or []]
    assert (len(transcripts), len(messages), {one.name for one in messages}) == (4, 30, {"Nadia", "Jonas"})
    assert all(one.timestamp is not None for one in messages)
    for question in QUESTIONS:
        assert [question.answer in message.content for message in messages].count(True) == 1


def test_demo_finds_the_turns_and_cleans_up() -> None:
    """Exit code 0, every question shown with its best turn, and the bank gone unless kept."""
    with FakeServer() as server:
        result = CliRunner().invoke(app, ["demo", "--url", server.url], env={"COLUMNS": "160"})
        assert result.exit_code == 0, result.output
        assert server.banks == {}
        for question in QUESTIONS:
            assert result.output.count(question.text) == 2
        assert "all 6 expected turns are among the first 3 results" in result.output
        assert "Nadia, 2025-04-19 10:08: Mrs. Okafor" in result.output
        CliRunner().invoke(app, ["demo", "--url", server.url, "--keep"])
        assert len(server.banks[BANK].units()) == 30


def test_demo_fails_if_a_turn_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 and the number of misses; --json tells the ranks."""
    monkeypatch.setattr(cli_demo, "QUESTIONS", (*QUESTIONS, Question("Who is Bertha?", "nobody ever said this")))
    with FakeServer() as server:
        result = CliRunner().invoke(app, ["demo", "--url", server.url, "--json"])
    assert result.exit_code == 1
    assert "1 of 7 expected turns are not among the first 3" in result.stderr
    rows = json.loads(result.stdout)["questions"]
    assert [row["ok"] for row in rows] == [True] * 6 + [False]
    assert rows[-1]["rank"] == 0


def test_demo_with_its_own_server_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server runs on a directory of its own, which is removed."""
    data: list[Path] = []

    def command(port: int, directory: Path) -> list[str]:
        assert port > 0
        data.append(directory)
        (directory / "wal").write_text("x")
        return [sys.executable, "-c", SERVE]

    monkeypatch.setattr(cli_demo, "up_command", command)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = CliRunner().invoke(app, ["demo", "--own-server"])
    assert result.exit_code == 0, result.output
    assert data[0].parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_demo_explains_a_server_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its last lines, exit code 1, and no directory left."""
    monkeypatch.setattr(cli_demo, "up_command", lambda *_: [sys.executable, "-c", "raise SystemExit('disk is full')"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = CliRunner().invoke(app, ["demo", "--own-server"])
    assert result.exit_code == 1
    assert "disk is full" in result.output
    assert list(tmp_path.iterdir()) == []
