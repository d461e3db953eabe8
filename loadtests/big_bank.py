"""What a big bank's index brings: `python -m loadtests.big_bank`.

The storage shard's own code runs in this process. The bank is searched exactly first, then by the index that is built
meanwhile; beside the building another thread recalls from small banks without a pause.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from actors.settings import load_settings
from actors.storage_shard import StorageShard
from loadtests.big_directory import DIM, BankSize, Material, bank_sizes
from loadtests.entry import start
from loadtests.machine_pauses import MachinePauses
from loadtests.percentiles import Percentiles
from loadtests.stalls import Pause, Reader, fill_up
from memory.filters import EVIDENCE, TRUE, AnyOf, Filter
from memory.recall import FindCandidates
from memory.recipes import DEFAULT
from memory.store_calls import GetDense, Lane, ListUnits, SearchLanes
from storage.directory import Space, shard_path

COMPARED_UNITS = 10_000
NEAREST = 10
_PERTURBED = 0.5
_FILTERED: Filter = AnyOf("speaker", ("Ada",))
"""A third of all units: generated turns have three speakers."""
_POLL_S = 0.05
_SEARCH_EVERY = 40


@dataclass(frozen=True, slots=True)
class Query:
    """A sentence vector and words to search by."""

    dense: NDArray[np.float32]
    words: str


@dataclass(frozen=True, slots=True)
class Searched:
    """Ids by query of the dense lane, of the keyword lane and of the dense lane with a filter; times by name.

    cpu_ms: medians of what this process, which does nothing else meanwhile, takes of its cores: on a busy machine they
    say more.
    """

    lanes: tuple[list[tuple[str, ...]], ...]
    times: dict[str, Percentiles]
    cpu_ms: dict[str, float]


def near_stored(shard: StorageShard, bank: BankSize, material: Material, count: int, seed: int) -> list[Query]:
    """Queries near units of the bank, and as many of vectors that have nothing to do with them."""
    chance = np.random.default_rng(seed)
    half = count // 2
    ids = tuple(unit.id for unit in shard.perform(bank.scope, ListUnits(half)).units)
    stored = np.array(list(shard.perform(bank.scope, GetDense(ids)).values()))
    rows = stored + _PERTURBED * chance.normal(size=stored.shape) / np.sqrt(DIM)
    rows = np.concatenate([rows / np.linalg.norm(rows, axis=1, keepdims=True), material.vectors(count - len(rows))])
    return [Query(row, words) for row, words in zip(rows.astype(np.float32), material.texts(count), strict=True)]


def search(shard: StorageShard, bank: BankSize, compared: BankSize, queries: Sequence[Query]) -> Searched:
    """What the big bank's lanes bring, and how long they and whole recalls of both banks take."""
    limit = DEFAULT.candidates["mid"]
    times: dict[str, Percentiles] = {}
    cpu_ms: dict[str, float] = {}

    def timed(name: str, request: Callable[[Query], Any], of: BankSize = bank) -> list[Any]:
        answers, taken_ms, used_ms = [], [], []
        for query in queries:
            began_s, idle_s = time.perf_counter(), time.process_time()
            answers.append(shard.perform(of.scope, request(query)))
            taken_ms.append((time.perf_counter() - began_s) * 1000)
            used_ms.append((time.process_time() - idle_s) * 1000)
        times[name], cpu_ms[name] = Percentiles.of(taken_ms), float(np.median(used_ms))
        return answers

    def lane(name: str, request: Callable[[Query], SearchLanes]) -> list[tuple[str, ...]]:
        return [answer[0].ids for answer in timed(name, request)]

    lanes = (
        lane("dense lane", lambda q: SearchLanes((Lane(limit, dense=q.dense, where=EVIDENCE),))),
        lane("keyword lane", lambda q: SearchLanes((Lane(limit, lexical=q.words, where=EVIDENCE),))),
        lane(
            "dense lane, a third matches",
            lambda q: SearchLanes((Lane(limit, dense=q.dense, where=EVIDENCE),), _FILTERED),
        ),
    )
    timed("recall", lambda q: FindCandidates(q.dense, q.words, limit, TRUE))
    timed(f"recall of {compared.units:,}", lambda q: FindCandidates(q.dense, q.words, limit, TRUE), compared)
    return Searched(lanes, times, cpu_ms)


def shares(exact: Searched, found: Searched) -> list[str]:
    """For each lane, the share of the ten best that the index brought too."""
    told = []
    for wanted, got in zip(exact.lanes, found.lanes, strict=True):
        hits = sum(len(set(w[:NEAREST]) & set(g[:NEAREST])) for w, g in zip(wanted, got, strict=True))
        told.append(f"{hits / max(1, sum(len(w[:NEAREST]) for w in wanted)):.3f}")
    return told


def build(shard: StorageShard, directory: Path, bank: BankSize, banks: Sequence[BankSize], seed: int) -> Pause:
    """Search the bank now and then until it has an index; what recalls of small banks saw meanwhile."""
    with MachinePauses() as machine, Reader(shard, banks, seed, machine) as reader:

        def searched_until_built() -> None:
            for looks in itertools.count():
                if any(path.suffix != ".making" for path in (directory / "indexes").glob("*")):
                    return
                if looks % _SEARCH_EVERY == 0:
                    shard.perform(bank.scope, SearchLanes((Lane(1, lexical="w1", where=EVIDENCE),)))
                time.sleep(_POLL_S)

        reader.watch("nothing", lambda: time.sleep(1.0))
        return reader.watch("index built", searched_until_built)


def print_figures(exact: Searched, found: Searched, built: Pause, bank: BankSize, console: Console) -> None:
    """One row for each lane and recall, then the building."""
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    table = Table(title=f"A bank of {bank.units:,} units ({load})")
    for heading in ("", "exact p50 ms", "p95", "CPU", "index p50 ms", "p95", "CPU", f"of the {NEAREST} best"):
        table.add_column(heading, justify="right" if heading else "left")
    told = shares(exact, found)
    for number, name in enumerate(exact.times):
        figures = [
            f"{value:.1f}"
            for one in (exact, found)
            for value in (one.times[name].p50_ms, one.times[name].p95_ms, one.cpu_ms[name])
        ]
        table.add_row(name, *figures, told[number] if number < len(told) else "")
    console.print(table)
    seen = built.recalls
    beside = f"p50 {seen.p50_ms:.1f}, p99 {seen.p99_ms:.1f}, longest {built.longest_ms:.0f} ms" if seen else "none"
    console.print(
        f"built in {built.seconds:.0f} s; recalls of small banks beside it: {beside} (the machine itself paused"
        f" {built.machine_ms:.0f} ms)"
    )


def main(
    units: Annotated[int, typer.Option(help="units of the directory", min=1000)] = 1_000_000,
    banks: Annotated[int, typer.Option(help="banks they are divided into", min=4)] = 1000,
    big: Annotated[str, typer.Option(help="units of the biggest banks; the first is searched")] = "200000,50000",
    queries: Annotated[int, typer.Option(help="searches of each kind", min=10)] = 200,
    directory: Annotated[Path | None, typer.Option(help="filled up and kept; absent: made and deleted")] = None,
    fill_seconds: Annotated[float, typer.Option(help="at most this long to fill it; a later run goes on")] = 1800.0,
    seed: Annotated[int, typer.Option(help="of what is generated")] = 1,
) -> None:
    """Fill a directory of the embedded store, search its biggest bank exactly, then by its index."""
    console = Console()
    sizes = bank_sizes(units, banks, [int(part) for part in big.split(",")])
    bank, compared = sizes[0], min(sizes, key=lambda one: abs(one.units - COMPARED_UNITS))
    material = Material(seed)
    with tempfile.TemporaryDirectory(prefix="lorebank.big.") as folder:
        data = directory or Path(folder) / "data"
        exact_shard = StorageShard(load_settings(data=data, index_units=0), 0, Space("generated", DIM))
        try:
            if not fill_up(exact_shard, sizes, time.monotonic_ns() % 2**31, fill_seconds):
                console.print(f"not filled in {fill_seconds:g} s; run it again with the same --directory")
                return
            asked = near_stored(exact_shard, bank, material, queries, seed)
            exact = search(exact_shard, bank, compared, asked)
        finally:
            exact_shard.close()
        least = min(load_settings().index_units, bank.units // 2)
        shard = StorageShard(load_settings(data=data, index_units=least), 0, Space("generated", DIM))
        try:
            shard.open()
            built = build(shard, shard_path(data, 0), bank, sizes, seed)
            search(shard, bank, compared, asked[:NEAREST])
            print_figures(exact, search(shard, bank, compared, asked), built, bank, console)
        finally:
            shard.close()


if __name__ == "__main__":
    start(main)
