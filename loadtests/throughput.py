"""Recalls a second of many clients, beside what HTTP and the core can do: `python -m loadtests.throughput`.

What HTTP can do is the same route with a constant answer; what the core can do is embedding, search and ranking by the
storage shard's own code in one process, a thread a core. A server that lost nothing between the two would serve
1 / (1 / stub + 1 / core) on the same cores. The environment is to say `OMP_NUM_THREADS=1`, as the server's does: else
each of the threads multiplies matrices on all cores.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from actors.settings import load_settings
from actors.storage_shard import StorageShard
from loadtests.entry import start
from loadtests.floors import core_count, product_embedder
from loadtests.latency import TENANT, bank_name, fill
from loadtests.locomo_traffic import STUB_PATH
from loadtests.percentiles import Percentiles
from loadtests.real_banks import RealMaterial, rare_texts
from loadtests.timed_connection import TimedConnection, recall_path
from lorebank import Client
from lorebank.own_server import OwnServer, free_port, up_command
from memory.ids import Scope
from memory.query import understand
from memory.recall import FindAnswer, RecallQuery
from memory.recipes import RECIPES, Recipe
from storage.directory import Space

_SPEAKERS = ("Ada", "Ben", "Cem")
_WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What was served: how often a second, and how long each took, in milliseconds."""

    per_s: float
    taken_ms: Percentiles


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement of each."""

    stub: Rate
    core: Rate
    recall: Rate

    @property
    def share(self) -> float:
        """Of what a server would serve that lost nothing between HTTP and the core."""
        return self.recall.per_s * (1 / self.stub.per_s + 1 / self.core.per_s)


def rate(workers: int, seconds: float, queries: Sequence[str], worker: Callable[[], Callable[[str], None]]) -> Rate:
    """How often so many threads did what `worker` makes each of them, query after query; none is asked twice.

    Raises:
        ValueError: there were fewer queries than could be asked.
    """
    waiting = iter(queries)  # a step of a list's iterator is atomic in CPython
    counted_s = time.perf_counter() + _WARM_UP_S
    until_s = counted_s + seconds

    def work() -> list[float]:
        ask = worker()
        taken_ms: list[float] = []
        for query in waiting:
            began_s = time.perf_counter()
            ask(query)
            ended_s = time.perf_counter()
            if ended_s >= until_s:
                return taken_ms
            if began_s >= counted_s:
                taken_ms.append((ended_s - began_s) * 1000)
        raise ValueError(f"{len(queries)} queries did not last for {seconds:g} s")

    with ThreadPoolExecutor(workers) as threads:
        parts = [done.result() for done in [threads.submit(work) for _ in range(workers)]]
    return Rate(sum(map(len, parts)) / seconds, Percentiles.of(list(itertools.chain(*parts))))


def rate_core(data: Path, scope: Scope, recipe: Recipe, seconds: float, queries: Sequence[str]) -> Rate:
    """What one process does without HTTP: a thread a core, each with an embedder of its own."""
    embedders = [product_embedder(token_vectors=True) for _ in range(core_count())]
    shard = StorageShard(load_settings(data=data), 0, Space(embedders[0].name, embedders[0].dim))
    waiting = iter(embedders)

    def worker() -> Callable[[str], None]:
        embedder = next(waiting)

        def ask(query: str) -> None:
            understood = understand(query, _SPEAKERS)
            (embedded,) = embedder.embed_with_tokens([understood.bare])
            shard.perform(scope, FindAnswer(RecallQuery(query), understood, embedded, recipe))

        return ask

    try:
        shard.open()
        return rate(len(embedders), seconds, queries, worker)
    finally:
        shard.close()


def rate_http(url: str, path: str, recipe: Recipe, clients: int, seconds: float, queries: Sequence[str]) -> Rate:
    """What the server answers to so many clients, each over a connection of its own.

    Raises:
        LoadError: a request failed.
    """
    connections = [TimedConnection(url) for _ in range(clients)]
    waiting = iter(connections)

    def worker() -> Callable[[str], None]:
        connection = next(waiting)

        def ask(query: str) -> None:
            connection.post_ok(path, {"query": query, "recipe": recipe.name})

        return ask

    try:
        return rate(clients, seconds, queries, worker)
    finally:
        for connection in connections:
            connection.close()


def print_rounds(rounds: Sequence[Round], recipe: Recipe, clients: int, console: Console) -> None:
    """A row for each thing measured, then the shares."""
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    table = Table(title=f"{clients} clients, recipe {recipe.name} ({load})")
    for heading in ("asked", "a second", "p50 ms", "p95 ms"):
        table.add_column(heading, justify="left" if heading == "asked" else "right")
    for one in rounds:
        for name, found in (("stub", one.stub), ("core", one.core), ("recall", one.recall)):
            table.add_row(name, f"{found.per_s:.1f}", f"{found.taken_ms.p50_ms:.1f}", f"{found.taken_ms.p95_ms:.1f}")
    console.print(table)
    shares = [one.share for one in rounds]
    told = ", ".join(f"{share:.2f}" for share in shares)
    console.print(f"recall by 1 / (1 / stub + 1 / core): {told}; median {float(np.median(shares)):.2f}")


def main(
    units: Annotated[int, typer.Option(help="units of the bank", min=1000)] = 10_000,
    clients: Annotated[int, typer.Option(help="that ask at once", min=1)] = 16,
    seconds: Annotated[float, typer.Option(help="of each measurement")] = 10.0,
    repeats: Annotated[int, typer.Option(help="measurements of each", min=1)] = 2,
    recipe: Annotated[str, typer.Option(help="by which is ranked")] = "late-interaction",
) -> None:
    """Fill a bank, measure the core on it, then stub and recall of a server on it in turns."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise typer.BadParameter("set OMP_NUM_THREADS=1")
    asked = RECIPES[recipe]
    embedder = product_embedder(token_vectors=True)
    bank = Scope(TENANT, bank_name(units))
    most = int((seconds + 2 * _WARM_UP_S) * 1000)
    texts = [text for text, _ in RealMaterial(embedder, seed=4).turns(most)]
    greetings = itertools.count()

    def fresh() -> list[str]:
        greeting = next(greetings)  # so that none is embedded already
        return [f"{greeting} {text}" for text in texts]

    with tempfile.TemporaryDirectory(prefix="lorebank.throughput.") as folder:
        data = Path(folder) / "data"
        with OwnServer(up_command(free_port(), data), on_line=lambda _: None) as server, Client(server.url) as client:
            client.ready()
        fill(data, [units], embedder, rare_texts(200))
        cores = [rate_core(data, bank, asked, seconds, fresh()) for _ in range(repeats)]
        with OwnServer(up_command(free_port(), data), on_line=lambda _: None) as server:
            path = recall_path(bank.bank)
            rounds = [
                Round(
                    rate_http(server.url, STUB_PATH, asked, clients, seconds, fresh()),
                    core,
                    rate_http(server.url, path, asked, clients, seconds, fresh()),
                )
                for core in cores
            ]
    print_rounds(rounds, asked, clients, Console())


if __name__ == "__main__":
    start(main)
