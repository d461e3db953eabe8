"""Consolidation of a big bank by rules: how fast, in how much memory, and what recall takes beside it.

`python -m loadtests.consolidation` tells a bank 5,000 facts and one 50,000, drains both until nothing is left, and
checks that a second run changes nothing and that what is deleted takes with it what rests on it. `--kills 10` kills a
bank's host so often while it is drained, and compares it with what an undisturbed run makes of it.
"""

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtests.beside_writer import recall_facts, write_facts
from loadtests.consolidation_kills import Killed, drain_under_kills
from loadtests.entry import start
from loadtests.observed_banks import consolidate, scan, tell
from loadtests.percentiles import Percentiles
from loadtests.server_memory import memory_by_role, own_bytes
from loadtests.timed_connection import LoadError, TimedConnection
from loadtests.workload import Workload
from lorebank import Client
from lorebank.own_server import OwnServer, free_port, up_command

RATIO_MOST = 2.0
"""Recall's 95th percentile beside consolidation, at most in those of recall alone."""
READ_BANK = "read"
WARM_UP_RECALLS = 50
RECALLS_BETWEEN_LOOKS = 10
SAMPLE_S = 1.0
ROLES = ("bank hosts", "storage shards")
MIB = 1 << 20


@dataclass(slots=True)
class Drain:
    """What the consolidation of one bank took. Memory: what bank hosts and storage shards have of their own."""

    facts: int = 0
    observations: int = 0
    told_s: float = 0.0
    seconds: float = 0.0
    lag: int = 0
    before_bytes: int = 0
    peak_bytes: int = 0
    alone_ms: list[float] = field(default_factory=list)
    beside_ms: list[float] = field(default_factory=list)
    changed_by_second_run: int = 0
    cited_deleted: int = 0
    """Observations that rested on what was deleted then."""
    left_without_source: int = 0
    rederived: int = 0

    @property
    def ratio(self) -> float:
        """95th percentile of recall beside it, in those of recall alone."""
        return Percentiles.of(self.beside_ms).p95_ms / Percentiles.of(self.alone_ms).p95_ms


def measure(server: OwnServer, bank_id: str, facts: int, *, queries: int) -> Drain:
    """Tell a bank so many facts, drain it beside recalls from another bank, and look at what came of it.

    Raises:
        LoadError: a request failed, or something did not end.
    """
    run, asking = Drain(), Workload(seed=len(bank_id), stream=facts, bank_ids=[READ_BANK])
    with TimedConnection(server.url) as connection, Client(server.url) as client:
        started_s = time.monotonic()
        documents = tell(server.url, bank_id, facts)
        run.told_s = time.monotonic() - started_s
        run.facts = client.list_memories(bank_id, limit=1).total - facts
        recall_facts(connection, READ_BANK, asking, WARM_UP_RECALLS)
        run.alone_ms += recall_facts(connection, READ_BANK, asking, queries // 2)
        run.before_bytes = run.peak_bytes = _held_bytes(server)
        sampled_s = time.monotonic()

        def meanwhile() -> None:
            nonlocal sampled_s
            run.beside_ms.extend(recall_facts(connection, READ_BANK, asking, RECALLS_BETWEEN_LOOKS))
            if time.monotonic() - sampled_s >= SAMPLE_S:
                run.peak_bytes = max(run.peak_bytes, _held_bytes(server))
                sampled_s = time.monotonic()

        started_s = time.monotonic()
        run.observations = consolidate(client, bank_id, meanwhile)
        run.seconds = time.monotonic() - started_s
        run.peak_bytes = max(run.peak_bytes, _held_bytes(server))
        run.alone_ms += recall_facts(connection, READ_BANK, asking, queries // 2)
        run.lag = client.watermarks(bank_id).stages["consolidate"].lag
        _look(client, bank_id, documents, run)
    return run


def _look(client: Client, bank_id: str, documents: list[str], run: Drain) -> None:
    """Consolidate once more, delete a document of each ten, consolidate what is left; by scans of the whole bank."""
    first = scan(client, bank_id)
    consolidate(client, bank_id)
    second = scan(client, bank_id)
    run.changed_by_second_run = len(set(first.observations.items()) ^ set(second.observations.items()))
    for document_id in documents[1::10]:
        client.delete_document(bank_id, document_id)
    after = scan(client, bank_id)
    gone = second.texts.keys() - after.texts.keys()
    cited = {id_ for id_, (_, sources) in second.observations.items() if not gone.isdisjoint(sources)}
    run.cited_deleted = len(cited)
    run.left_without_source = len(after.orphans)
    consolidate(client, bank_id)
    final = scan(client, bank_id)
    run.left_without_source += len(final.orphans)
    run.rederived = len(final.observations) - len(after.observations)


def _held_bytes(server: OwnServer) -> int:
    held = memory_by_role(server.pid, own_bytes)
    return sum(held[role] for role in ROLES)


def print_runs(runs: list[Drain], console: Console) -> None:
    """One column for each bank."""
    table = Table("", *(f"{run.facts:,} facts" for run in runs))

    def row(what: str, *values: str) -> None:
        table.add_row(what, *values)

    row("told and extracted", *(f"{run.told_s:.0f} s" for run in runs))
    row("drained", *(f"{run.seconds:.1f} s, {run.facts / run.seconds:.0f} facts/s" for run in runs))
    row("observations; seqs left", *(f"{run.observations}; {run.lag}" for run in runs))
    row("hosts and shards before", *(f"{run.before_bytes / MIB:.0f} MiB" for run in runs))
    row("at their peak", *(f"{run.peak_bytes / MIB:.0f} MiB" for run in runs))
    row("grown by", *(f"{(run.peak_bytes - run.before_bytes) / MIB:.0f} MiB" for run in runs))
    row("recall alone", *(str(Percentiles.of(run.alone_ms)) for run in runs))
    row("recall beside it", *(str(Percentiles.of(run.beside_ms)) for run in runs))
    row(f"p95 beside / p95 alone, at most {RATIO_MOST:g}", *(f"{run.ratio:.2f}" for run in runs))
    row("changed by a second run", *(str(run.changed_by_second_run) for run in runs))
    row("rested on what was deleted", *(str(run.cited_deleted) for run in runs))
    row("rest on what is not there", *(str(run.left_without_source) for run in runs))
    row("made anew", *(str(run.rederived) for run in runs))
    console.print(table)


def check(runs: list[Drain], killed: Killed | None) -> None:
    """What has to hold, whatever the machine; the ratio of recall is told by the table.

    Raises:
        LoadError: it does not.
    """
    wrong = [
        f"{run.facts} facts: {what}"
        for run in runs
        for what, bad in (
            ("the watermark is behind", run.lag),
            ("a second run changed something", run.changed_by_second_run),
            ("observations rest on what is not there", run.left_without_source),
            ("no observation rested on what was deleted", not run.cited_deleted),
        )
        if bad
    ]
    if killed is not None and not killed.is_same:
        wrong.append("after kills there are other observations than without")
    if wrong:
        raise LoadError("; ".join(wrong))


def main(
    *,
    facts: Annotated[int, typer.Option(min=100, help="facts of the big bank")] = 50_000,
    small: Annotated[int, typer.Option(min=0, help="facts of the bank before it; 0: none")] = 5_000,
    units: Annotated[int, typer.Option(min=1, help="facts in the bank that is read")] = 1_000,
    queries: Annotated[int, typer.Option(min=2, help="recalls without consolidation, for each bank")] = 600,
    kills: Annotated[int, typer.Option(min=0, help="kills of the bank's host while another bank is drained")] = 0,
    killed_facts: Annotated[int, typer.Option(min=100, help="facts of that bank")] = 2_000,
    embedder: Annotated[str, typer.Option(help="as LOREBANK_EMBEDDER; `hash` is quick")] = "minilm",
) -> None:
    """Measure the consolidation of a bank of facts by rules on a server of its own."""
    console, runs = Console(), list[Drain]()
    environment = {"LOREBANK_EMBEDDER": embedder, "LOREBANK_CONSOLIDATION": "rules"}
    with tempfile.TemporaryDirectory(prefix="lorebank.consolidation.") as folder:
        command = up_command(free_port(), Path(folder) / "data")
        with OwnServer(command, on_line=lambda _: None, environment=environment) as server:
            with TimedConnection(server.url) as connection:
                write_facts(connection, READ_BANK, Workload(seed=3, stream=0, bank_ids=[READ_BANK]), units)
            for count in filter(None, (small, facts)):
                runs.append(measure(server, f"told-{count}", count, queries=queries))
                console.print(f"{count} facts: {runs[-1].seconds:.1f} s", style="dim")
    print_runs(runs, console)
    killed = drain_under_kills(killed_facts, kills, environment) if kills else None
    if killed is not None:
        console.print(killed.said)
    check(runs, killed)


if __name__ == "__main__":
    start(main)
