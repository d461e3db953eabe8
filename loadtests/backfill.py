"""What a backfill does, against the bare embedder, its memory by size, and recall beside it.

`python -m loadtests.backfill --turns 100000` measures the speed, `--memory` the memory of a tenth of the turns and of
all of them with the hash embedder, `--beside` the 95th percentile of recall beside a capped one, `--kills 20` kills it
at so many random moments and counts what is stored.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from loadtests.backfill_job import JOB, BackfillRun, Peaks, kill
from loadtests.backfill_kills import kill_rounds
from loadtests.entry import start
from loadtests.floors import core_count, measure_embedder, product_embedder
from loadtests.percentiles import Percentiles
from loadtests.server_memory import cpu_ms, memory_by_role, own_bytes
from loadtests.timed_connection import LoadError, TimedConnection, recall_path, retain_path
from loadtests.transcript_files import chat_rows, write_files
from loadtests.workload import Workload, retain_item
from lorebank.own_server import OwnServer, free_port, up_command

FLOOR_TURNS = 5_000
"""Turns that the bare embedder is measured with: their lengths are those of all."""
SPEED, MEMORY, BESIDE = 0.80, 1.2, 2.0
"""What is asked: at least so much of the bare embedder, at most so much more memory and 95th percentile."""
CPU_ROLES = (JOB, "bank hosts", "storage shards", "replicas")
"""Processes that keep their title."""
READ_FACTS = 2_000
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A server of one's own and the files that are sent to it."""

    server: OwnServer
    run: BackfillRun


@contextmanager
def prepared(turns: int, banks: int, *settings: str, options: tuple[str, ...] = ()) -> Iterator[Place]:
    """A server with an empty directory, and files of so many turns; both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lorebank.backfill.") as folder:
        home = Path(folder)
        write_files(home / "chats", turns, banks)
        run = BackfillRun(home / "chats", home / "data", home / "job", options)
        command = [*up_command(free_port(), run.data), *settings]
        with OwnServer(command, on_line=lambda _: None) as server:
            yield Place(server, run)


def measure_speed(turns: int, banks: int, concurrency: int) -> Table:
    """The bare embedder, then the job, then the bare embedder again, on the same cores."""
    rows = itertools.islice(chat_rows(turns, banks), min(turns, FLOOR_TURNS))
    texts = [row.text for row in rows if row.reason is None]
    embedders = [product_embedder(token_vectors=True) for _ in range(core_count())]
    before = measure_embedder(texts, embedders).best_texts_per_s
    with prepared(turns, banks, options=("--concurrency", str(concurrency))) as place:
        before_ms, began_s = memory_by_role(place.server.pid, cpu_ms), time.monotonic()
        job = place.run.start()
        with Peaks(place.server.pid, job.pid, cpu_ms) as spent:
            report = place.run.finish(job)
        whole_s = time.monotonic() - began_s
        _check(report, turns)
    after = measure_embedder(texts, embedders).best_texts_per_s
    bare = (before + after) / 2
    table = Table("", "")
    table.add_row("bare embedder, before and after", f"{before:.0f}, {after:.0f} texts/s")
    table.add_row("backfill", f"{report['turns_per_s']:.0f} turns/s, {report['calls']} calls")
    table.add_row("with its start and its first pass over the files", f"{turns / whole_s:.0f} turns/s")
    table.add_row("of the bare embedder", f"{report['turns_per_s'] / bare:.2f} (asked: {SPEED})")
    rest_ms = spent.total - before_ms.total()
    for role in CPU_ROLES:
        taken_ms = spent.parts[role] - before_ms[role]
        rest_ms -= taken_ms
        table.add_row(f"  CPU of {role}", f"{taken_ms / turns:.2f} ms a turn")
    table.add_row("  CPU of all others, which is embedding and facts", f"{rest_ms / turns:.2f} ms a turn")
    return table


def measure_memory(turns: int, banks: int) -> Table:
    """Peaks of everything that the server and the job take, by role, for a tenth of the turns and for all."""
    sizes = (turns // 10, turns)
    peaks = [_peaks(size, banks) for size in sizes]
    table = Table("", *(f"{size:,} turns" for size in sizes), "ratio")
    for name, place in (("with pages of mapped files", 0), ("without", 1)):
        few, many = (one[place] for one in peaks)
        cells = [f"{one.total / MIB:.0f} MiB" for one in (few, many)]
        table.add_row(f"job and server {name}", *cells, f"{many.total / few.total:.2f} (asked: {MEMORY})")
        for role in sorted(many.parts):
            cells = [f"{one.parts[role] / MIB:.0f}" for one in (few, many)]
            table.add_row(f"  {role}", *cells, f"{many.parts[role] / max(few.parts[role], 1):.2f}")
    return table


def _peaks(turns: int, banks: int) -> tuple[Peaks, Peaks]:
    with prepared(turns, banks, "--embedder", "hash") as place:
        job = place.run.start()
        with Peaks(place.server.pid, job.pid) as mapped, Peaks(place.server.pid, job.pid, own_bytes) as own:
            report = place.run.finish(job)
        _check(report, turns)
        Console(stderr=True).print(f"{turns} turns at {report['turns_per_s']:.0f}/s; {JOB} included")
        return mapped, own


def measure_beside(turns: int, banks: int, queries: int, items_per_s: float) -> Table:
    """Recall from a bank of its own, alone and while the job goes on, in turns."""
    alone_ms: list[float] = []
    beside_ms: list[float] = []
    options = ("--max-items-per-s", str(items_per_s))
    with prepared(turns, banks, options=options) as place, TimedConnection(place.server.url) as connection:
        facts = Workload(1, 1, ["read"])
        for _ in range(READ_FACTS // 100):
            some = [facts.next_fact() for _ in range(100)]
            items = [retain_item(fact, f"note-{some[0].code}") for fact in some]
            connection.post_ok(retain_path("read"), {"items": items}, wait_s=60)
        _recalls(connection, facts, queries // 4)
        for _ in range(2):
            alone_ms += _recalls(connection, facts, queries // 2)
            job = place.run.start()
            _wait_begun(place.run)
            beside_ms += _recalls(connection, facts, queries // 2)
            if job.poll() is not None:
                raise LoadError("the backfill ended before the recalls did: give it more turns")
            kill(job)
    alone, beside = Percentiles.of(alone_ms), Percentiles.of(beside_ms)
    table = Table("", "")
    table.add_row("recall alone", str(alone))
    table.add_row(f"beside a backfill of {items_per_s:g} turns/s", str(beside))
    table.add_row("95th percentiles", f"{beside.p95_ms / alone.p95_ms:.2f} (asked: {BESIDE})")
    return table


def _recalls(connection: TimedConnection, facts: Workload, count: int) -> list[float]:
    asked = (facts.next_fact() for _ in range(count))
    queries = (f"{fact.question} Was it {fact.code}?" for fact in asked)
    return [connection.post_ok(recall_path("read"), {"query": query}, wait_s=60).latency_ms for query in queries]


def _wait_begun(run: BackfillRun) -> None:
    """Until this process has stored something: its progress file has grown."""
    path = run.home / "chats.progress.ndjson"
    size = path.stat().st_size if path.exists() else 0
    until_s = time.monotonic() + 120
    while not path.exists() or path.stat().st_size <= max(size, 1000):
        if time.monotonic() > until_s:
            raise LoadError("the backfill has stored nothing for two minutes")
        time.sleep(0.1)


def _check(report: Any, turns: int) -> None:
    if report["turns"]["retained"] != turns:
        raise LoadError(f"{report['turns']['retained']} of {turns} turns were retained: {report['first_rejects']}")


def main(
    *,
    turns: Annotated[int, typer.Option(min=100, help="turns in the files")] = 100_000,
    banks: Annotated[int, typer.Option(min=1, help="banks they belong to")] = 10,
    memory: Annotated[bool, typer.Option("--memory", help="measure memory, with the hash embedder")] = False,
    beside: Annotated[bool, typer.Option("--beside", help="measure recall beside a capped backfill")] = False,
    kills: Annotated[int, typer.Option(min=0, help="kill it so often, and count what is stored")] = 0,
    queries: Annotated[int, typer.Option(min=4, help="recalls of each kind")] = 400,
    items_per_s: Annotated[float, typer.Option(help="the cap of the backfill beside recall")] = 50.0,
    concurrency: Annotated[int, typer.Option(min=1, help="calls of the job at once")] = 4,
) -> None:
    """Measure a backfill of generated Parquet files through a server of its own."""
    console = Console()
    if memory:
        console.print(measure_memory(turns, banks))
    if beside:
        console.print(measure_beside(turns, banks, queries, items_per_s))
    if kills:
        with prepared(turns, banks, "--embedder", "hash") as place:
            console.print(kill_rounds(place.server.url, place.run, turns, banks, kills).sentence)
    if not (memory or beside or kills):
        console.print(measure_speed(turns, banks, concurrency))


if __name__ == "__main__":
    start(main)
