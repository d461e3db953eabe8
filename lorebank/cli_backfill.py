"""Command `backfill`: a file of documents through the HTTP API, with a progress bar; all else as a job."""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from lorebank._batches import BATCH_ITEMS
from lorebank._client import Client
from lorebank.cli_jobs import (
    AgainOption,
    ConcurrencyOption,
    DryRunOption,
    PatienceOption,
    ProgressOption,
    RateOption,
    RejectsOption,
    ReportOption,
    TenantOption,
    become,
    flags,
)
from lorebank.cli_output import (
    DEFAULT,
    EXIT_FAILED,
    JsonOption,
    KeyOption,
    UrlOption,
    console,
    error_console,
    print_json,
    session,
)
from lorebank.transcripts import BadLine, Transcript, read_transcripts

MAX_SHOWN_BAD_LINES = 20
RESTART_S = 120.0
"""A backfill outlives a restart of the server of this length."""


class _Backfill:
    """Sends documents in batches and counts what became of each line."""

    def __init__(self, client: Client, bank: str, progress: Progress, task: TaskID) -> None:
        self._client = client
        self._bank = bank
        self._progress = progress
        self._task = task
        self._waiting: list[Transcript] = []
        self.documents = 0
        self.bad: list[BadLine] = []

    def run(self, lines: Iterable[bytes]) -> None:
        for read in read_transcripts(lines):
            if isinstance(read, BadLine):
                self.bad.append(read)
            else:
                self._waiting.append(read)
            if len(self._waiting) >= BATCH_ITEMS:
                self._send()
        self._send()

    def _send(self) -> None:
        if self._waiting:
            self._client.retain_many(self._bank, [transcript.to_item() for transcript in self._waiting])
        self.documents += len(self._waiting)
        self._waiting = []
        self._progress.update(self._task, documents=self.documents)


def backfill(
    sources: Annotated[list[str], typer.Argument(help="Files, directories and globs.", show_default=False)],
    bank: Annotated[
        str | None, typer.Option("--bank", "-b", help="Bank of rows that name none.", show_default=False)
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="lorebank, rows, openai, locomo, sharegpt, slack or transcript.  [default: by what it is]"
        ),
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="WHAT=COLUMN, e.g. text=body; once for each column.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML file with format, bank, tenant and [columns].")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Tag of everything that is retained.")] = None,
    tenant: TenantOption = None,
    concurrency: ConcurrencyOption = None,
    max_items_per_s: RateOption = None,
    patience_s: PatienceOption = None,
    progress: ProgressOption = None,
    again: AgainOption = False,
    rejects: RejectsOption = None,
    report: ReportOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Retain files in bulk: Parquet, NDJSON, CSV, JSON, transcripts, Slack exports; run it again to go on after a stop.

    One NDJSON file of documents, without other options, goes over HTTP. Everything else is a job on the machine of the
    server (or at RAY_ADDRESS). Exit code 1: some rows were not stored, and the rejects say which and why.
    """
    options = flags(
        [
            ("--format", form), ("--map", columns), ("--mapping", mapping), ("--tag", tag), ("--tenant", tenant),
            ("--concurrency", concurrency), ("--max-items-per-s", max_items_per_s), ("--patience-s", patience_s),
            ("--progress", progress), ("--again", again), ("--rejects", rejects), ("--report", report),
            ("--dry-run", dry_run),
        ]
    )  # fmt: skip
    if options or bank is None or len(sources) > 1 or not _is_documents(Path(sources[0])):
        become("backfill", [*options, *flags([("--bank", bank), ("--json", json)]), "--", *sources])
    else:
        _over_http(Path(sources[0]), bank, url, api_key, json=json)


def _is_documents(file: Path) -> bool:
    """Whether a file is NDJSON of whole documents, by its first line; one that is no JSON is for the reader to name."""
    if file.suffix.lower() not in {".ndjson", ".jsonl"} or not file.is_file():
        return False
    with file.open("rb") as lines:
        first = next((line for line in lines if line.strip()), b"{}")
    try:
        row = orjson.loads(first.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        return True
    return isinstance(row, dict) and "document_id" in row and "text" not in row


def _over_http(file: Path, bank: str, url: str, api_key: str | None, *, json: bool) -> None:
    """Bad lines are reported and left out, and the exit code is then 1. A document_id replaces."""
    with _progress(error_console() if json else console()) as progress, session(url, api_key, RESTART_S) as client:
        task = progress.add_task(file.name, total=file.stat().st_size, documents=0)
        work = _Backfill(client, bank, progress, task)
        try:
            with file.open("rb") as lines:
                work.run(_counted(lines, progress, task))
        finally:
            _report(work, bank, as_json=json)
    if work.bad:
        raise typer.Exit(EXIT_FAILED)


def _progress(where: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("bytes"),
        TextColumn("{task.fields[documents]} documents"), TimeElapsedColumn(), console=where, transient=True,
    )  # fmt: skip


def _counted(lines: Iterable[bytes], progress: Progress, task: TaskID) -> Iterator[bytes]:
    for line in lines:
        progress.advance(task, len(line))
        yield line


def _report(work: _Backfill, bank: str, *, as_json: bool) -> None:
    """Say what was stored and which lines were not, also when the server gave up in the middle."""
    for bad in work.bad[:MAX_SHOWN_BAD_LINES]:
        error_console().print(Text(str(bad), style="yellow"), soft_wrap=True)
    if len(work.bad) > MAX_SHOWN_BAD_LINES:
        error_console().print(f"and {len(work.bad) - MAX_SHOWN_BAD_LINES} more bad lines")
    if as_json:
        bad_lines = [{"line": bad.number, "reason": bad.reason} for bad in work.bad]
        print_json({"bank_id": bank, "documents": work.documents, "bad_lines": bad_lines})
    else:
        console().print(f"{work.documents} documents in bank {bank}, {len(work.bad)} bad lines", markup=False)
