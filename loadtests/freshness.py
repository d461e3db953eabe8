"""Retains and recalls at once, over and over, while others write: `python -m loadtests.freshness --rounds 1000`."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from loadtests.arguments import OwnServerOption, UrlOption
from loadtests.entry import start
from loadtests.own_server import server_at
from loadtests.percentiles import Percentiles
from loadtests.timed_connection import TimedConnection, recall_path, retain_path
from loadtests.workload import Fact, Workload, retain_item
from lorebank import DEFAULT_URL, Client, wire

PATIENCE_S = 60.0
"""How long a refused request is repeated."""


@dataclass(slots=True)
class FreshnessRun:
    """Which rounds found what they had just written, and what the requests took."""

    found: int = 0
    missed: list[str] = field(default_factory=list)
    retain_ms: list[float] = field(default_factory=list)
    recall_ms: list[float] = field(default_factory=list)
    refused: int = 0


def run_rounds(url: str, bank_id: str, rounds: int) -> FreshnessRun:
    """Each round opens two connections, so that its requests may reach different replicas.

    Raises:
        LoadError: a request failed, or was refused for longer than PATIENCE_S.
        ValueError: an answer of recall is not what the contract says.
    """
    run = FreshnessRun()
    workload = Workload(seed=1, stream=0, bank_ids=[bank_id])
    with TimedConnection(url, keep_alive=False) as connection:
        for number in track(range(rounds), "rounds", console=Console(stderr=True)):
            fact = workload.next_fact()
            document_id = f"round-{number}"
            body = {"items": [retain_item(fact, document_id)], "operation_id": f"{bank_id}/{number}"}
            run.retain_ms.append(connection.post_ok(retain_path(bank_id), body, wait_s=PATIENCE_S).latency_ms)
            answer = connection.post_ok(recall_path(bank_id), {"query": fact.text}, wait_s=PATIENCE_S)
            run.recall_ms.append(answer.latency_ms)
            results = wire.RecallResponse.model_validate_json(answer.body).results
            if any(result.document_id == document_id for result in results):
                run.found += 1
            else:
                run.missed.append(f"round {number}: {fact.text}")
        run.refused = connection.refused
    return run


@contextmanager
def background_writers(url: str, bank_ids: list[str]) -> Iterator[list[int]]:
    """One thread a bank that writes without pause until the block ends; gives the growing numbers of facts written.

    Raises:
        LoadError: a writer failed; raised when the block ends.
    """
    stop = threading.Event()
    written = [0] * len(bank_ids)
    failures: list[BaseException] = []

    def write(number: int, bank_id: str) -> None:
        workload = Workload(seed=2, stream=number + 1, bank_ids=[bank_id])
        try:
            with TimedConnection(url) as connection:
                while not stop.is_set():
                    facts = [workload.next_fact() for _ in range(2)]
                    connection.post_ok(retain_path(bank_id), _document(facts), wait_s=PATIENCE_S)
                    written[number] += len(facts)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=write, args=pair, daemon=True) for pair in enumerate(bank_ids)]
    for thread in threads:
        thread.start()
    try:
        yield written
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _document(facts: list[Fact]) -> dict[str, object]:
    document_id = f"note-{facts[0].code}"
    return {"items": [retain_item(fact, document_id) for fact in facts], "operation_id": document_id}


def print_run(run: FreshnessRun, written: int, console: Console) -> None:
    """Found and missed, and the percentiles."""
    table = Table("", "")
    table.add_row("found at once", f"{run.found} of {run.found + len(run.missed)}")
    table.add_row("retain", str(Percentiles.of(run.retain_ms)))
    table.add_row("recall", str(Percentiles.of(run.recall_ms)))
    table.add_row("refusals waited out", str(run.refused))
    table.add_row("facts the others wrote meanwhile", str(written))
    console.print(table)
    for missed in run.missed[:10]:
        console.print(f"missed: {missed}", style="red", markup=False)


def main(
    *,
    url: UrlOption = DEFAULT_URL,
    own_server: OwnServerOption = False,
    rounds: Annotated[int, typer.Option(min=1, help="how often to write and ask")] = 1000,
    writers: Annotated[int, typer.Option(min=0, help="clients that write to other banks meanwhile")] = 4,
) -> None:
    """Check that recall, asked right after retain's answer, finds the content; every time."""
    run_id = uuid.uuid4().hex[:8]
    bank_id, *others = (f"fresh-{run_id}-{number}" for number in range(writers + 1))
    with server_at(None if own_server else url) as address, Client(address) as client:
        client.ready()
        try:
            with background_writers(address, others) as written:
                run = run_rounds(address, bank_id, rounds)
        finally:
            for one in (bank_id, *others):
                client.delete_bank(one)
    print_run(run, sum(written), Console())
    if run.missed:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
