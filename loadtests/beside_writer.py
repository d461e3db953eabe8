"""Recall alone and beside a client that writes at full speed: `python -m loadtests.beside_writer --own-server`."""

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
from lorebank import DEFAULT_URL, Client

PATIENCE_S = 60.0
"""How long a refused request is repeated."""
DOCUMENT_FACTS = 20
ROUNDS = 4
"""Stretches of each kind; they alternate, so that drift of the machine hits both."""
_WARM_UP_RECALLS = 20


@dataclass(slots=True)
class BesideRun:
    """Latencies of recall alone and beside the writer, and what that wrote meanwhile."""

    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    written: int = 0

    @property
    def ratio(self) -> float:
        """95th percentile beside the writer, in those of recall alone."""
        return Percentiles.of(self.beside_ms).p95_ms / Percentiles.of(self.alone_ms).p95_ms


def measure(url: str, read_bank: str, written_bank: str, *, units: int, queries: int, request_items: int) -> BesideRun:
    """One client that recalls from one connection, `queries` times of each kind; no query is asked twice.

    Raises:
        LoadError: a request failed, or was refused for longer than PATIENCE_S.
    """
    run = BesideRun()
    asking = Workload(seed=4, stream=0, bank_ids=[read_bank])
    with TimedConnection(url) as connection:
        write_facts(connection, read_bank, Workload(seed=3, stream=0, bank_ids=[read_bank]), units)
        recall_facts(connection, read_bank, asking, _WARM_UP_RECALLS)
        writing = Workload(seed=5, stream=1, bank_ids=[written_bank])
        for _ in track(range(ROUNDS), "rounds", console=Console(stderr=True)):
            run.alone_ms += recall_facts(connection, read_bank, asking, queries // ROUNDS)
            with _writer(url, written_bank, writing, request_items) as written:
                run.beside_ms += recall_facts(connection, read_bank, asking, queries // ROUNDS)
            run.written += written[0]
    return run


@contextmanager
def _writer(url: str, bank_id: str, workload: Workload, request_items: int) -> Iterator[list[int]]:
    """A thread that sends one request after the other; gives the growing number of facts. Starts with the second one.

    Raises:
        LoadError: it failed; raised when the block ends.
    """
    stop, under_way = threading.Event(), threading.Event()
    written = [0]
    failures: list[Exception] = []

    def write() -> None:
        try:
            with TimedConnection(url) as connection:
                while not stop.is_set():
                    write_facts(connection, bank_id, workload, request_items)
                    written[0] += request_items
                    under_way.set()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            failures.append(error)
            under_way.set()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    under_way.wait()
    try:
        yield written
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def write_facts(connection: TimedConnection, bank_id: str, workload: Workload, facts: int) -> None:
    """Documents of DOCUMENT_FACTS facts, at most a hundred facts a request."""
    left = facts
    while left > 0:
        some = [workload.next_fact() for _ in range(min(left, 100))]
        left -= len(some)
        items = [retain_item(fact, _document_id(some, number)) for number, fact in enumerate(some)]
        connection.post_ok(
            retain_path(bank_id), {"items": items, "operation_id": items[0]["document_id"]}, wait_s=PATIENCE_S
        )


def _document_id(facts: list[Fact], number: int) -> str:
    return f"note-{facts[number - number % DOCUMENT_FACTS].code}"


def recall_facts(connection: TimedConnection, bank_id: str, workload: Workload, count: int) -> list[float]:
    """Milliseconds of each recall."""
    facts = (workload.next_fact() for _ in range(count))
    queries = (f"{fact.question} Was it {fact.code}?" for fact in facts)
    return [connection.post_ok(recall_path(bank_id), {"query": query}).latency_ms for query in queries]


def print_run(run: BesideRun, console: Console) -> None:
    """Percentiles of both, their ratio, and the writer's speed."""
    table = Table("", "")
    table.add_row("recall alone", str(Percentiles.of(run.alone_ms)))
    table.add_row("recall beside a writer at full speed", str(Percentiles.of(run.beside_ms)))
    table.add_row("p95 beside / p95 alone", f"{run.ratio:.2f}")
    table.add_row("facts written meanwhile", str(run.written))
    console.print(table)


def main(
    *,
    url: UrlOption = DEFAULT_URL,
    own_server: OwnServerOption = False,
    units: Annotated[int, typer.Option(min=1, help="facts in the bank that is read")] = 2_000,
    queries: Annotated[int, typer.Option(min=ROUNDS, help="recalls of each kind")] = 1_000,
    request_items: Annotated[int, typer.Option(min=1, help="facts in one request of the writer")] = 100,
    same_bank: Annotated[bool, typer.Option("--same-bank", help="write to the bank that is read")] = False,
) -> None:
    """Measure how much a writer at full speed slows recall down, as a ratio of 95th percentiles."""
    run_id = uuid.uuid4().hex[:8]
    read_bank, written_bank = f"beside-{run_id}-read", f"beside-{run_id}-written"
    if same_bank:
        written_bank = read_bank
    with server_at(None if own_server else url) as address, Client(address) as client:
        client.ready()
        try:
            run = measure(address, read_bank, written_bank, units=units, queries=queries, request_items=request_items)
        finally:
            for one in {read_bank, written_bank}:
                client.delete_bank(one)
    print_run(run, Console())


if __name__ == "__main__":
    start(main)
