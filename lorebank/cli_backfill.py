"""Command `backfill`: retains a transcript file through the HTTP API, with a progress bar."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from lorebank._batches import BATCH_ITEMS
from lorebank._client import Client
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
    file: Annotated[Path, typer.Argument(help="NDJSON, one document a line.", exists=True, dir_okay=False)],
    bank: Annotated[str, typer.Option("--bank", "-b", help="Bank to write to.", show_default=False)],
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Retain a file of transcripts.

    Bad lines are reported and left out, and the exit code is then 1. Running it again is safe: a document_id replaces.
    """
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
