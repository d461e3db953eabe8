"""What a recall takes by the size of its bank, beside floor and stub: `python -m loadtests.latency`.

The banks are written into the directory by the storage shard's own code, with vectors beside those of real texts; then
a server of our own answers one client. Each of the stub, the floor and every recipe takes its turn for each query, so
that what else the machine does hits all of them. Half of the queries ask for something said once in the bank.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from actors.settings import load_settings
from actors.storage_shard import StorageShard
from loadtests.entry import start
from loadtests.floors import RecallFloor, product_embedder
from loadtests.locomo_traffic import STUB_PATH
from loadtests.percentiles import Percentiles
from loadtests.real_banks import RareText, RealMaterial, fill_bank, plant, rare_texts
from loadtests.timed_connection import TimedConnection, recall_path
from lorebank import Client, wire
from lorebank.own_server import OwnServer, free_port, up_command
from memory.ids import Scope
from memory.ports import Embedder
from memory.recipes import DEFAULT, RECIPES
from storage.directory import Space

TENANT = "default"
_WARM_UP_QUERIES = 10


@dataclass(slots=True)
class SizeRun:
    """Durations in one bank by what was asked, and which rare tokens were not found first by each recipe."""

    units: int
    durations_ms: dict[str, list[float]] = field(default_factory=dict)
    rare_asked: int = 0
    rare_missed: dict[str, list[str]] = field(default_factory=dict)

    def ratio(self, recipe: str) -> float:
        """Median of recall over the sum of those of floor and stub."""
        p50 = {name: float(np.median(values)) for name, values in self.durations_ms.items()}
        return p50[recipe] / (p50["floor"] + p50["stub"])


def bank_name(units: int) -> str:
    """The bank of a size."""
    return f"latency-{units}"


def fill(data: Path, sizes: Sequence[int], embedder: Embedder, rare: Sequence[RareText]) -> None:
    """Write the banks into a directory that a server has made and no server runs on."""
    material = RealMaterial(embedder, seed=1)
    planted = plant(rare, embedder)
    shard = StorageShard(load_settings(data=data), 0, Space(embedder.name, embedder.dim))
    try:
        with Progress(console=Console(stderr=True)) as progress:
            step = progress.add_task("filling", total=sum(sizes))
            for units in sizes:
                for written in fill_bank(shard, Scope(TENANT, bank_name(units)), units, material, planted[:units]):
                    progress.advance(step, written)
    finally:
        shard.close()


def measure(url: str, units: int, embedder: Embedder, rare: Sequence[RareText], queries: int, most_s: float) -> SizeRun:
    """Ask one bank, at most so many queries and so long.

    Raises:
        LoadError: a request failed.
    """
    run = SizeRun(units)
    floor = RecallFloor(embedder, _vectors(units, embedder.dim))
    planted = rare[:units]
    common = [text for text, _ in RealMaterial(embedder, seed=2).turns(queries)]
    path = recall_path(bank_name(units))
    until_s = time.monotonic() + most_s
    with TimedConnection(url) as connection:
        for number in itertools.count():
            warm = number >= _WARM_UP_QUERIES
            asked = number - _WARM_UP_QUERIES
            if asked >= queries or (asked > 0 and time.monotonic() > until_s):
                return run
            one = planted[asked // 2 % len(planted)] if asked % 2 else None
            query = one.query if one else common[asked]
            timed = {
                "stub": connection.post_ok(STUB_PATH, {"query": query}).latency_ms,
                "floor": floor.measure_ms(query),
            }
            for recipe, greeting in _turned(asked):
                answer = connection.post_ok(path, {"query": greeting + query, "recipe": recipe})
                timed[recipe] = answer.latency_ms
                if one and warm:
                    results = wire.RecallResponse.model_validate_json(answer.body).results
                    if not results or results[0].text != one.text:
                        run.rare_missed.setdefault(recipe, []).append(one.query)
            if warm:
                run.rare_asked += one is not None
                for name, taken_ms in timed.items():
                    run.durations_ms.setdefault(name, []).append(taken_ms)
    return run


ASKED = ("hybrid", "contextual", DEFAULT.name)
"""Recipes that take turns."""


_GREETINGS = ("", "Tell me: ", "Well, ")
"""In front of a query, so that no recipe finds it embedded already for another."""


def _turned(number: int) -> tuple[tuple[str, str], ...]:
    """The recipes with their greetings, each as often first as the others."""
    first = number % len(ASKED)
    pairs = tuple(zip(ASKED, _GREETINGS, strict=True))
    return (*pairs[first:], *pairs[:first])


def _vectors(units: int, dim: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(3).normal(size=(units, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def print_runs(runs: Sequence[SizeRun], console: Console) -> None:
    """A row for each size and recipe."""
    table = Table(title=f"Recall by size of the bank (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    for heading in ("units", "asked", "n", "p50 ms", "p95 ms", "p99 ms", "/ (floor + stub)", "rare first"):
        table.add_column(heading, justify="left" if heading == "asked" else "right")
    for run in runs:
        for name, values in run.durations_ms.items():
            found = Percentiles.of(values)
            ratio = f"{run.ratio(name):.2f}" if name in RECIPES else ""
            rare = f"{run.rare_asked - len(run.rare_missed.get(name, []))} of {run.rare_asked}"
            figures = (f"{found.p50_ms:.1f}", f"{found.p95_ms:.1f}", f"{found.p99_ms:.1f}")
            table.add_row(f"{run.units:,}", name, str(found.count), *figures, ratio, rare if name in RECIPES else "")
    console.print(table)


def main(
    sizes: Annotated[str, typer.Option(help="units of the banks")] = "100,1000,10000,100000",
    queries: Annotated[int, typer.Option(help="asked of each bank", min=2)] = 400,
    most_s: Annotated[float, typer.Option("--seconds", help="at most so long for each bank")] = 60.0,
    json_out: Annotated[Path | None, typer.Option("--json", help="write all durations here")] = None,
) -> None:
    """Fill banks of several sizes, start a server on them, and ask by several recipes in turns."""
    units = [int(part) for part in sizes.split(",")]
    embedder = product_embedder(token_vectors=True)
    rare = rare_texts(200)
    with tempfile.TemporaryDirectory(prefix="lorebank.latency.") as folder:
        data = Path(folder) / "data"
        with OwnServer(up_command(free_port(), data), on_line=lambda _: None) as server, Client(server.url) as client:
            client.ready()
        fill(data, units, embedder, rare)
        with OwnServer(up_command(free_port(), data), on_line=lambda _: None) as server:
            runs = [measure(server.url, size, embedder, rare, queries, most_s) for size in units]
    print_runs(runs, Console())
    if json_out is not None:
        json_out.write_bytes(orjson.dumps([asdict(run) for run in runs], option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    start(main)
