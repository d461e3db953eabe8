"""The commands against a local fake server: what they print, what they send, how they end."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from lorebank import cli_server, wire
from lorebank.cli import app
from lorebank.own_server import free_port
from lorebank.testing import FakeServer, Fault

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def run(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command whose server is the fake one."""
    monkeypatch.setenv("LOREBANK_URL", server.url)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("LOREBANK_API_KEY", raising=False)

    def invoke(*arguments: str, **options: str) -> Result:
        return CliRunner().invoke(app, arguments, **options)

    return invoke


def command_paths() -> list[tuple[str, ...]]:
    group = typer.main.get_command(app)
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((name,))
        found.extend((name, inner) for inner in getattr(command, "commands", {}))
    return found


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    """Nothing is left for the reader to guess."""
    command = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    assert command.help
    assert [one.name for one in command.params if not getattr(one, "help", None)] == []
    assert CliRunner().invoke(app, [*path, "--help"]).exit_code == 0


def test_version_and_completion(run: Run) -> None:
    """`--version` prints it; completion can be installed."""
    assert run("--version").output.startswith("lorebank ")
    assert "--install-completion" in run("--help").output


@pytest.mark.parametrize("form", ["argument", "stdin", "file"])
def test_retain_reads_a_text_from_three_places(run: Run, server: FakeServer, tmp_path: Path, form: str) -> None:
    """The text arrives verbatim, with its attributes."""
    text = "Ada moved to Lisbon.\nShe likes it. é"
    (tmp_path / "note.txt").write_text(text, encoding="utf-8")
    where = {"argument": [text], "stdin": ["-"], "file": ["--file", str(tmp_path / "note.txt")]}[form]
    result = run(
        "retain", "b", *where, "--document-id", "d", "--speaker", "Ada", "--tag", "x", "--tag", "y", "--meta", "k=v=w",
        "--timestamp", "2024-01-15", input=text,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (unit,) = server.banks["b"].units()
    assert (unit.text, unit.document_id, unit.speaker, unit.tags) == (text, "d", "Ada", ("x", "y"))
    assert unit.metadata == {"speaker": "Ada", "k": "v=w"}
    assert unit.mentioned_at == "2024-01-15T00:00:00+00:00"
    assert result.output.startswith("accepted in bank b, operation ")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "give a text"),
        (("x", "--file", "/nowhere"), "give a text"),
        (("x", "--meta", "novalue"), "--meta takes key=value"),
        (("x", "--timestamp", "soon"), "ISO 8601"),
        ((" ",), "content must not be blank"),
    ],
)
def test_retain_refuses_wrong_usage(run: Run, server: FakeServer, arguments: tuple[str, ...], reason: str) -> None:
    """Exit code 2, one line that says why, and nothing sent."""
    result = run("retain", "b", *arguments)
    assert result.exit_code == 2
    assert reason in result.output
    assert server.received == []


def test_retain_reports_an_unreadable_file(run: Run, tmp_path: Path) -> None:
    """A missing file and one that is not text are the caller's to mend."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary"):
        result = run("retain", "b", "--file", str(tmp_path / name))
        assert result.exit_code == 1
        assert "cannot read" in result.output


def test_recall_prints_a_table_or_json(run: Run) -> None:
    """Score, when, who and text; with --json the wire's answer. Stored brackets are not markup."""
    run("retain", "b", "[red]Ada[/red] moved to Lisbon.", "--speaker", "Ada", "--timestamp", "2024-01-15T10:30:00Z")
    shown = run("recall", "b", "where is Ada?")
    assert shown.exit_code == 0
    for part in ("score", "2024-01-15 10:30", "Ada", "[red]Ada[/red] moved to Lisbon."):
        assert part in shown.output
    answer = wire.RecallResponse.model_validate_json(run("recall", "b", "Ada", "--json", "--limit", "1").output)
    assert [one.speaker for one in answer.results] == ["Ada"]
    assert "nothing found in bank empty" in run("recall", "empty", "Ada").output


def test_recall_sends_its_filters(run: Run, server: FakeServer) -> None:
    """Options become fields of the request; a wrong one is refused before sending."""
    run("recall", "b", "x", "--type", "world", "--tag", "a", "--tags-match", "all", "--budget", "high", "--trace")
    sent = wire.RecallRequest.model_validate_json(server.received[-1].body)
    assert (sent.types, sent.tags, sent.tags_match, sent.budget, sent.trace) == (["world"], ["a"], "all", "high", True)
    assert run("recall", "b", "x", "--type", "opinion").exit_code == 2
    assert run("recall", "b", "x", "--budget", "huge").exit_code == 2
    assert len(server.received) == 1


def test_recall_looks_in_several_banks(run: Run, server: FakeServer) -> None:
    """By name, with or without one as the first argument; or by scope."""
    run("retain", "near", "Ada moved to Lisbon.")
    run("retain", "far", "Ada has a boat.")
    for given in (["--bank", "near", "--bank", "far", "--bank", "none", "Ada"], ["near", "Ada", "--bank", "far"]):
        shown = run("recall", *given)
        assert shown.exit_code == 0, shown.output
        assert [name in shown.output for name in ("near", "far", "Lisbon", "boat")] == [True] * 4
    run("recall", "Ada", "--host", "app", "--user", "ana")
    sent = wire.StackRecallRequest.model_validate_json(server.received[-1].body)
    assert sent.scope == wire.BankScope(host="app", user="ana")
    assert "no such bank: none" in run("recall", "--bank", "none", "Ada").output
    count = len(server.received)
    for wrong in (["Ada"], ["Ada", "--user", "u", "--bank", "b"], ["b", "Ada", "--host", "h"]):
        assert run("recall", *wrong).exit_code == 2
    assert len(server.received) == count


def test_reflect_prints_the_answer(run: Run) -> None:
    """As text, or as JSON."""
    run("retain", "b", "Ada moved to Lisbon.")
    assert "Ada moved to Lisbon." in run("reflect", "b", "where is Ada?", "--evidence").output
    assert json.loads(run("reflect", "b", "where is Ada?", "--json").output)["text"] == "Ada moved to Lisbon."


def test_bank_commands(run: Run, server: FakeServer) -> None:
    """Create, list, show, stats, delete; deleting asks first."""
    created = run("bank", "create", "b", "--mission", "help", "--empathy", "5", "--name", "Bee")
    assert "empathy 5" in created.output
    run("retain", "b", "x")
    assert "1 of 1" in run("bank", "list").output
    assert json.loads(run("bank", "list", "--json").output)["banks"][0]["fact_count"] == 1
    assert "help" in run("bank", "show", "b").output
    assert json.loads(run("bank", "show", "b", "--json").output)["disposition"]["empathy"] == 5
    assert "documents" in run("bank", "stats", "b").output
    assert json.loads(run("bank", "stats", "b", "--json").output)["total_nodes"] == 1
    assert run("bank", "create", "b", "--empathy", "6").exit_code == 2
    refused = run("bank", "delete", "b", input="n\n")
    assert refused.exit_code == 1
    assert "b" in server.banks
    assert run("bank", "delete", "b", "--yes").exit_code == 0
    assert "b" not in server.banks


def test_document_commands(run: Run, server: FakeServer) -> None:
    """List, get (the text and nothing else), delete; a missing one is an error."""
    run("retain", "b", "Ada moved.", "--document-id", "d/1")
    assert "d/1" in run("document", "list", "b").output
    assert json.loads(run("document", "list", "b", "--json").output)["total"] == 1
    assert run("document", "get", "b", "d/1").output == "Ada moved.\n"
    assert json.loads(run("document", "get", "b", "d/1", "--json").output)["id"] == "d/1"
    missing = run("document", "get", "b", "nope")
    assert missing.exit_code == 1
    assert missing.output.startswith("error: 404 Not found")
    assert "with 1 units" in run("document", "delete", "b", "d/1", "-y").output
    assert server.banks["b"].documents == {}


def test_operations_from_the_list_to_being_forgotten(run: Run, server: FakeServer) -> None:
    """What is asked of one reaches the server under its id."""
    run("retain", "b", "The key is under the pot.")
    (operation_id,) = server.banks["b"].receipts
    listed = run("operation", "list", "b", "--status", "completed", "--type", "retain")
    assert listed.exit_code == 0, listed.output
    assert operation_id in listed.output
    assert "1 of 1" in listed.output
    assert "status=completed" in server.received[-1].query
    shown = run("operation", "show", "b", operation_id)
    assert "completed" in shown.output
    for verb, said in (("cancel", "cancelled"), ("retry", "pending again"), ("delete", "forgotten")):
        assert f"operation {operation_id} is {said}" in run("operation", verb, "b", operation_id).output
        assert operation_id in server.received[-1].path
        assert run("operation", verb, "b", "unknown").exit_code == 1
    unknown = run("operation", "show", "b", "unknown")
    assert (unknown.exit_code, unknown.output) == (1, "error: bank b has no operation unknown\n")
    assert run("operation", "list", "b", "--status", "odd").exit_code == 2


def test_events_and_watermarks_of_a_bank(run: Run, server: FakeServer) -> None:
    """As tables and as JSON."""
    run("retain", "b", "The key is under the pot.")
    assert "last commit: 0" in run("bank", "events", "b", "--after", "3").output
    assert "after=3" in server.received[-1].query
    assert json.loads(run("bank", "events", "b", "--json").output)["items"] == []
    assert "accepted: 1" in run("bank", "watermarks", "b").output
    assert json.loads(run("bank", "watermarks", "b", "--json").output)["stages"] == {}


def test_server_errors_end_with_one_line(run: Run, server: FakeServer) -> None:
    """No stack trace; exit code 1."""
    server.faults.append(Fault(500))
    result = run("bank", "list")
    assert result.exit_code == 1
    assert result.output == "error: 500 Planned fault: a test asked for this\n"


def test_no_server_ends_soon_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most common mistake is that there is no server."""
    monkeypatch.setattr("lorebank.cli_output.UNREACHABLE_S", 0.0)
    result = CliRunner().invoke(app, ["bank", "list", "--url", f"http://127.0.0.1:{free_port()}"])
    assert result.exit_code == 1
    assert result.output.startswith("error: no answer from http://127.0.0.1:")


def write_lines(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines), encoding="utf-8")
    return path


def test_backfill_stores_every_document(run: Run, server: FakeServer, tmp_path: Path) -> None:
    """In batches, and again without storing anything twice."""
    lines = [{"document_id": f"d{n}", "messages": [{"name": "Ada", "content": f"turn {n}"}]} for n in range(250)]
    file = write_lines(tmp_path / "t.ndjson", *lines)
    for _ in range(2):
        result = run("backfill", str(file), "--bank", "b")
        assert result.exit_code == 0, result.output
        assert "250 documents in bank b, 0 bad lines" in result.output
        assert len(server.banks["b"].units()) == 250
    sizes = [len(wire.RetainRequest.model_validate_json(one.body).items) for one in server.received]
    assert sizes == [100, 100, 50] * 2


def test_backfill_reports_bad_lines_and_stores_the_others(run: Run, server: FakeServer, tmp_path: Path) -> None:
    """Each with its number; the exit code says that something was left out."""
    good = {"document_id": "d", "content": "x"}
    file = write_lines(tmp_path / "t.ndjson", good, "{", {"document_id": "e"}, {"document_id": "f", "content": "y"})
    result = run("backfill", str(file), "--bank", "b")
    assert result.exit_code == 1
    assert "line 2: not JSON" in result.output
    assert "line 3: " in result.output
    assert set(server.banks["b"].documents) == {"d", "f"}
    report = json.loads(CliRunner().invoke(app, ["backfill", str(file), "--bank", "b", "--json"]).stdout)
    assert [report["documents"], [one["line"] for one in report["bad_lines"]]] == [2, [2, 3]]


def test_backfill_says_how_far_it_came(run: Run, server: FakeServer, tmp_path: Path) -> None:
    """A server that refuses in the middle ends it with what is stored so far."""
    lines = [{"document_id": f"d{n}", "content": "x"} for n in range(150)]
    server.faults.extend([Fault(500)])
    result = run("backfill", str(write_lines(tmp_path / "t.ndjson", *lines)), "--bank", "b")
    assert result.exit_code == 1
    assert "0 documents in bank b" in result.output
    assert "500 Planned fault" in result.output


def test_up_becomes_the_server(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process is replaced by serve_app.main; flags it does not know are passed on."""
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: started.append((program, arguments)))
    monkeypatch.chdir(tmp_path)
    result = run("up", "--port", "9001", "--data", "here", "--no-ui", "--durability", "disk")
    assert result.exit_code == 0, result.output
    program, arguments = started[0]
    assert program == sys.executable
    assert arguments == [
        sys.executable, "-m", "serve_app.main", "--port", "9001",
        "--data", str(tmp_path / "here"), "--no-ui", "--durability", "disk",
    ]  # fmt: skip


def test_verify_becomes_the_job(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its flags are passed on, and its exit code is the command's; a bank's name may begin with a dash."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    monkeypatch.chdir(tmp_path)
    result = run("verify", "--data", "here", "--bank", "-b", "--tenant", "t", "--repair", "--json", "--vectors", "all")
    assert result.exit_code == 0, result.output
    assert run("verify").exit_code == 0
    program = [sys.executable, "-m", "jobs.verify", "--vectors"]
    flags = [f"--data={tmp_path / 'here'}", "--bank=-b", "--tenant=t", "--repair", "--json"]
    assert started == [[*program, "all", *flags], [*program, "sample"]]


@pytest.mark.parametrize(
    ("given", "job", "flags"),
    [
        (["backfill", "a.csv", "b/*.parquet", "--map", "text=body", "--map", "tags=x", "--dry-run"], "backfill",
         ["--map=text=body", "--map=tags=x", "--dry-run", "--", "a.csv", "b/*.parquet"]),
        (["backfill", "a.csv", "-b", "-odd", "--json"], "backfill", ["--bank=-odd", "--json", "--", "a.csv"]),
        (["backfill", "turns.ndjson", "--bank", "b"], "backfill", ["--bank=b", "--", "turns.ndjson"]),
        (["import", "http://old", "--from", "mem0", "--api-key", "k", "--max-items-per-s", "5"], "imports",
         ["--from=mem0", "--api-key=k", "--max-items-per-s=5.0", "--", "http://old"]),
    ],
)  # fmt: skip
def test_bulk_commands_become_jobs(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: list[str], job: str, flags: list[str]
) -> None:
    """Files of documents alone go over HTTP; turns, tables and several files are a job's."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "turns.ndjson", {"document_id": "d", "text": "a turn"})
    result = run(*given)
    assert result.exit_code == 0, result.output
    assert started == [[sys.executable, "-m", f"jobs.{job}", *flags]]


def test_export_becomes_the_job(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the directory's full name."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.append(arguments))
    monkeypatch.chdir(tmp_path)
    assert run("export", "out", "--bank", "b").exit_code == 0
    assert started == [[sys.executable, "-m", "jobs.export", "--bank=b", "--", str(tmp_path / "out")]]


def test_verify_says_how_to_get_the_server(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout there is nothing to run."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "make install" in run("verify").output


def test_up_says_how_to_get_the_server(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout: one line."""
    monkeypatch.setattr(cli_server, "SERVER_PACKAGE", "no_such_package_anywhere")
    result = run("up")
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "make install" in result.output
