"""Recall alone and while the facts of a backfill are found: `python -m loadtests.beside_extraction --own-server`."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtests.arguments import OwnServerOption, UrlOption
from loadtests.beside_writer import recall_facts, write_facts
from loadtests.entry import start
from loadtests.own_server import server_at
from loadtests.percentiles import Percentiles
from loadtests.timed_connection import LoadError, TimedConnection, bank_path, retain_path
from loadtests.workload import Workload
from lorebank import DEFAULT_URL, Client

PATIENCE_S = 60.0
"""How long a refused request is repeated."""
WITHIN_S = 900.0
"""How long extraction may take."""
DOCUMENT_TURNS = 50
FACT_EVERY = 3
"""One turn in so many states a fact, about as in dialogues; the others ask."""
_LOOK_EVERY = 20
_WARM_UP_RECALLS = 50


@dataclass(slots=True)
class ExtractionRun:
    """Latencies of recall before and after, and while facts were found; what was found, and how long it took."""

    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    waiting: int = 0
    """Documents that waited when recalls began."""
    seconds: float = 0.0
    facts: int = 0

    @property
    def ratio(self) -> float:
        """95th percentile beside extraction, in those of recall alone."""
        return Percentiles.of(self.beside_ms).p95_ms / Percentiles.of(self.alone_ms).p95_ms


def measure(url: str, read_bank: str, told_bank: str, *, units: int, turns: int, queries: int) -> ExtractionRun:
    """One client that recalls from one connection; no query is asked twice.

    The backfill is stored first and extracted afterwards, so that nothing but extraction goes on beside the recalls.

    Raises:
        LoadError: a request failed, was refused for longer than PATIENCE_S, or extraction did not end.
    """
    run = ExtractionRun()
    asking = Workload(seed=4, stream=0, bank_ids=[read_bank])
    with TimedConnection(url) as connection, Client(url) as client:
        for bank_id in (read_bank, told_bank):
            client.put_bank(bank_id, retain_extraction_mode="chunks")
        write_facts(connection, read_bank, Workload(seed=3, stream=0, bank_ids=[read_bank]), units)
        documents = _tell(connection, told_bank, Workload(seed=5, stream=1, bank_ids=[told_bank]), turns)
        recall_facts(connection, read_bank, asking, _WARM_UP_RECALLS)
        run.alone_ms += recall_facts(connection, read_bank, asking, queries // 2)
        client.put_bank(told_bank, retain_extraction_mode="concise")
        begun_s = time.monotonic()
        for document_id in documents:
            connection.post_ok(bank_path(told_bank, "documents", document_id, "reprocess"), {}, wait_s=PATIENCE_S)
        waiting = run.waiting = _waiting(client, told_bank)
        while waiting:
            run.beside_ms += recall_facts(connection, read_bank, asking, _LOOK_EVERY)
            if time.monotonic() - begun_s > WITHIN_S:
                raise LoadError(f"{waiting} documents wait for extraction after {WITHIN_S:g} s")
            waiting = _waiting(client, told_bank)
        run.seconds = time.monotonic() - begun_s
        if not run.beside_ms:
            raise LoadError("extraction was done before the first recall: tell more turns")
        run.alone_ms += recall_facts(connection, read_bank, asking, queries // 2)
        run.facts = client.list_memories(told_bank, limit=1).total - turns
    return run


def _tell(connection: TimedConnection, bank_id: str, workload: Workload, turns: int) -> list[str]:
    """Dialogues of DOCUMENT_TURNS turns; their ids."""
    documents: list[str] = []
    for first in range(0, turns, DOCUMENT_TURNS):
        said = [_turn(workload, number) for number in range(first, min(first + DOCUMENT_TURNS, turns))]
        documents.append(f"talk-{first}")
        item = {"document_id": documents[-1], "content": said}
        connection.post_ok(retain_path(bank_id), {"items": [item]}, wait_s=PATIENCE_S)
    return documents


def _turn(workload: Workload, number: int) -> dict[str, str]:
    fact = workload.next_fact()
    text = fact.question if number % FACT_EVERY else f"I bought the box {fact.code} in Oslo."
    return {"role": "user", "name": fact.speaker, "content": text}


def _waiting(client: Client, bank_id: str) -> int:
    return sum(mark.pending for mark in client.watermarks(bank_id).stages.values())


def print_run(run: ExtractionRun, console: Console) -> None:
    """Percentiles of both, their ratio, and what was found meanwhile."""
    table = Table("", "")
    table.add_row("recall alone", str(Percentiles.of(run.alone_ms)))
    table.add_row("recall while facts are found", str(Percentiles.of(run.beside_ms)))
    table.add_row("p95 beside / p95 alone", f"{run.ratio:.2f}")
    table.add_row("documents that waited", str(run.waiting))
    table.add_row("seconds until they were done", f"{run.seconds:.0f}")
    table.add_row("facts in all", str(run.facts))
    console.print(table)


def main(
    *,
    url: UrlOption = DEFAULT_URL,
    own_server: OwnServerOption = False,
    units: Annotated[int, typer.Option(min=1, help="facts in the bank that is read")] = 1_000,
    turns: Annotated[int, typer.Option(min=1, help="turns of the backfill")] = 10_000,
    queries: Annotated[int, typer.Option(min=2, help="recalls without extraction")] = 600,
) -> None:
    """Measure how much the extraction of a backfill slows recall down, as a ratio of 95th percentiles."""
    run_id = uuid.uuid4().hex[:8]
    read_bank, told_bank = f"extraction-{run_id}-read", f"extraction-{run_id}-told"
    with server_at(None if own_server else url) as address, Client(address) as client:
        client.ready()
        try:
            run = measure(address, read_bank, told_bank, units=units, turns=turns, queries=queries)
        finally:
            for one in (read_bank, told_bank):
                client.delete_bank(one)
    print_run(run, Console())


if __name__ == "__main__":
    start(main)
