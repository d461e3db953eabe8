"""Drives locust against a server for a bounded time, reads back what was acknowledged: `python -m loadtests.run`."""

import random
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from loadtests.entry import start
from loadtests.own_server import server_at
from loadtests.recording import Acknowledged, Record, read_record
from loadtests.report import LoadReport, print_load_report, to_markdown
from loadtests.timed_connection import LoadError
from lorebank import Client, NotFoundError

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 60.0
"""How long locust may take to start and to finish its last requests."""


class LocustFailedError(LoadError):
    """Locust ended with an error, or not at all; the message ends with what it printed last."""


def drive(url: str, *, seconds: int, users: int, seed: int, bank_ids: Sequence[str]) -> Record:
    """Run locust in a process of its own: it patches the interpreter.

    Raises:
        LocustFailedError: it did not run to its end.
    """
    with tempfile.TemporaryDirectory(prefix="lorebank.locust.") as folder:
        record = Path(folder) / "record.json"
        command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py"))]
        command += ["--headless", "--host", url, "--users", str(users), "--spawn-rate", str(users)]
        command += ["--run-time", f"{seconds}s", "--stop-timeout", "10", "--only-summary", "--exit-code-on-error", "0"]
        command += ["--seed", str(seed), "--bank-ids", ",".join(bank_ids), "--record", str(record)]
        try:
            ended = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + STOP_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LocustFailedError(f"locust had not ended {STOP_S:g} s after its time") from error
        if ended.returncode != 0 or not record.exists():
            raise LocustFailedError(f"locust ended with {ended.returncode}:\n{(ended.stdout + ended.stderr)[-4000:]}")
        return read_record(record)


def find_missing(client: Client, sample: Sequence[Acknowledged]) -> list[str]:
    """Those of the acknowledged documents that are not stored word for word, or that recall does not find."""
    checked = track(sample, "reading back", console=Console(stderr=True))
    return [f"{one.bank_id}/{one.document_id}: {why}" for one in checked if (why := why_missing(client, one))]


def why_missing(client: Client, written: Acknowledged) -> str | None:
    """What is wrong with an acknowledged document, if anything."""
    try:
        text = client.get_document(written.bank_id, written.document_id).original_text or ""
    except NotFoundError:
        return "no such document"
    if not all(part in text for part in written.texts):
        return "stored, but not word for word"
    found = client.recall(written.bank_id, written.texts[0]).results
    if not any(result.document_id == written.document_id for result in found):
        return "stored, but recall by its own words does not find it"
    return None


def main(
    *,
    seconds: Annotated[int, typer.Option(min=1, help="how long to send requests")] = 60,
    users: Annotated[int, typer.Option(min=1, help="clients at once")] = 8,
    url: Annotated[str | None, typer.Option(help="a running server; without it one is started for the run")] = None,
    own_server: Annotated[bool, typer.Option("--own-server", help="start one even if --url is given")] = False,
    banks: Annotated[int, typer.Option(min=1, help="banks to spread the traffic over")] = 6,
    seed: Annotated[int, typer.Option(help="seed of the generated traffic")] = 1,
    read_back: Annotated[int, typer.Option(min=1, help="acknowledged retains to look for afterwards")] = 200,
    report_out: Annotated[Path | None, typer.Option("--report", help="write the report here, as Markdown")] = None,
) -> None:
    """Send retains and recalls, then check that what was acknowledged is there."""
    run_id = uuid.uuid4().hex[:8]
    bank_ids = [f"load-{run_id}-{number}" for number in range(banks)]
    with server_at(None if own_server else url) as address, Client(address) as client:
        client.ready()
        try:
            record = drive(address, seconds=seconds, users=users, seed=seed, bank_ids=bank_ids)
            chosen = random.Random(seed).sample(record.acknowledged, min(read_back, len(record.acknowledged)))
            missing = find_missing(client, chosen)
        finally:
            for bank_id in bank_ids:
                client.delete_bank(bank_id)
    report = LoadReport.of(record, seconds=seconds, users=users, read_back=len(chosen), missing=missing)
    print_load_report(report, Console())
    if report_out is not None:
        report_out.write_text(to_markdown(report), encoding="utf-8")
    if not report.ok:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
