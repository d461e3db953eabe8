"""How long each operation of the embedded store holds up recall: `python -m loadtests.stalls`.

The storage shard's own code runs in this process: one thread recalls from small banks without a pause, while
the operations run one after the other. What a recall then takes longer than in idle times is what it was held up;
a process that only sleeps tells what of that is the machine's own.
"""

import itertools
import os
import pickle
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from actors.garbage import tidy_for_ever
from actors.settings import load_settings
from actors.storage_shard import StorageShard
from loadtests.big_directory import DIM, TENANT, BankSize, Material, Owner, bank_sizes, fill
from loadtests.entry import start
from loadtests.machine_pauses import MachinePauses
from loadtests.percentiles import Percentiles
from memory.audit_calls import ScanUnits
from memory.filters import TRUE
from memory.protocol import Execute
from memory.recall import FindCandidates
from memory.recipes import HYBRID
from memory.records import RecordKind
from memory.store_calls import CountValues, ListRecords, ListUnits
from storage.directory import Space

SMALL_UNITS = 2000
"""Banks up to this size are recalled from."""
READ_BANKS = 31
"""So many of them, in turn: their units stay in memory."""
BIG_DOCUMENT_TURNS = 2000
LIMIT_MS = 100.0
"""The longest that an operation may hold up a recall."""
DEEP_PAGE = 40_000
IDLE_S = 5.0
PAGE = 100
_REPEATS = 5
_FLUSHED_S = 1.5
_QUERIES = 256
_WARM_UP_RECALLS = 20


@dataclass(frozen=True, slots=True)
class Pause:
    """What recall saw while one operation ran for `seconds`; None where no recall ended in that time."""

    operation: str
    seconds: float
    recalls: Percentiles | None
    longest_ms: float
    machine_ms: float
    """Longest pause of a process that only sleeps: the machine was busy with something else."""
    flush_ms: float = 0.0
    """Longest recall of the time after the operation, in which what it wrote is flushed."""


class Reader:
    """Context manager around a thread that recalls without a pause."""

    def __init__(self, shard: StorageShard, banks: Sequence[BankSize], seed: int, machine: MachinePauses) -> None:
        self._shard = shard
        self._machine = machine
        self._material = Material(seed)
        self._chance = np.random.default_rng(seed)
        small = [bank for bank in banks if bank.units <= SMALL_UNITS] or list(banks)[-1:]
        self._banks = [small[place] for place in self._chance.permutation(len(small))[:READ_BANKS]]
        self._queries, self._words = self._material.vectors(_QUERIES), self._material.texts(_QUERIES)
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._recalls: list[tuple[float, float]] = []
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._recall_forever, name="reader")

    def __enter__(self) -> Self:
        """Begin, once what is read is in memory: a page that comes from the disk is no hold-up by an operation."""
        for _ in range(_WARM_UP_RECALLS * len(self._banks)):
            self._recall(next(self._numbers))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End.

        Raises:
            LorebankError: a recall failed.
        """
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def watch(self, operation: str, action: Callable[[], object]) -> Pause:
        """Run an operation; what every recall that overlapped with it saw."""
        began_s = time.perf_counter()
        action()
        ended_s = time.perf_counter()
        # The recall under way ends after the operation: it was held up by it too.
        while self._thread.is_alive() and (not self._recalls or self._recalls[-1][1] < ended_s):
            time.sleep(0.001)
        seen = [(begun, done) for begun, done in list(self._recalls) if done >= began_s and begun <= ended_s]
        durations_ms = [(done - begun) * 1000 for begun, done in seen]
        return Pause(
            operation,
            ended_s - began_s,
            Percentiles.find(durations_ms),
            max(durations_ms, default=0.0),
            self._machine.longest_ms(began_s, seen[-1][1] if seen else ended_s),
        )

    def _recall(self, number: int) -> tuple[float, float]:
        """When it began and ended."""
        bank = self._banks[number % len(self._banks)]
        query = self._queries[number % len(self._queries)]
        candidates = FindCandidates(query, self._words[number % len(self._words)], HYBRID.candidates["mid"], TRUE)
        begun_s = time.perf_counter()
        self._shard.perform(bank.scope, candidates)
        return begun_s, time.perf_counter()

    def _recall_forever(self) -> None:
        try:
            while not self._stop.is_set():
                self._recalls.append(self._recall(next(self._numbers)))
        except Exception as exc:  # noqa: BLE001 - raised again at the end, in the thread that measures
            self._failure = exc


def operations(
    shard: StorageShard, banks: Sequence[BankSize], material: Material, cleared: BankSize, copies: Path
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a storage shard is asked for, by name; each is ready to run when it is yielded."""
    biggest, middle = banks[0].scope, banks[len(banks) // 10].scope
    small = [Owner(shard, bank.scope, material) for bank in banks[-20:]]
    plans = itertools.cycle(small)

    def retain_small() -> None:
        until_s = time.perf_counter() + IDLE_S
        for number in itertools.count():
            owner = next(plans)
            owner.execute(owner.plan_turns(f"small-{number}-{time.time_ns()}", 1))
            if time.perf_counter() > until_s:
                return

    def repeat(request: Any) -> Callable[[], object]:
        return lambda: [shard.perform(biggest, request) for _ in range(_REPEATS)]

    yield "nothing", lambda: time.sleep(IDLE_S)
    yield "retains of one turn, one after the other", retain_small
    owner = Owner(shard, middle, material)
    for name in ("retain", "replace"):
        plan = owner.plan_turns("big", BIG_DOCUMENT_TURNS)
        if name == "retain":
            message = pickle.dumps(Execute(owner.head, plan, "message"))
            yield f"message with {BIG_DOCUMENT_TURNS:,} turns unpacked", lambda: pickle.loads(message)  # noqa: B023, S301 - each is run before the next is made; packed here
        yield f"{name} of a document of {BIG_DOCUMENT_TURNS:,} turns", lambda: owner.execute(plan)  # noqa: B023 - each is run before the next is made
    deletion = owner.plan_delete("big")
    yield "delete of that document", lambda: owner.execute(deletion)
    size = f"bank of {banks[0].units:,}"
    yield f"taking and settling a {size}", lambda: Owner(shard, biggest, material)
    query = FindCandidates(material.vectors(1)[0], "w1 w70", HYBRID.candidates["high"], TRUE)
    yield f"recall from a {size}", repeat(query)
    yield f"first page of units, {size}", repeat(ListUnits(PAGE))
    yield f"page of units from {DEEP_PAGE:,}, {size}", repeat(ListUnits(PAGE, DEEP_PAGE))
    yield f"page of documents, {size}", repeat(ListRecords(RecordKind.DOCUMENT, PAGE))
    yield f"audit page of units, {size}", repeat(ScanUnits(None, 256))
    yield f"values of a field, {size}", repeat(CountValues("tags", 100))
    yield "page of banks", lambda: shard.list_heads(TENANT, PAGE, 0)
    yield "banks that are due", lambda: shard.list_due(datetime.now(UTC), PAGE)
    yield "banks and strays of an audit", lambda: (shard.list_scopes(None, 1000), shard.list_strays())
    going = Owner(shard, cleared.scope, material)
    clearing = going.plan_clear()
    yield f"delete of a bank of {cleared.units:,}", lambda: going.execute(clearing)
    yield "backup", lambda: shard.copy_to(copies / "backup")


def measure(shard: StorageShard, banks: Sequence[BankSize], cleared: BankSize, seed: int) -> list[Pause]:
    """Run every operation beside the reader, one flush interval apart."""
    pauses = []
    with (
        tempfile.TemporaryDirectory(prefix="lorebank.stalls.") as copies,
        MachinePauses() as machine,
        Reader(shard, banks, seed, machine) as reader,
    ):
        for name, action in operations(shard, banks, Material(seed + 1), cleared, Path(copies)):
            during = reader.watch(name, action)
            after = reader.watch("flush", lambda: time.sleep(_FLUSHED_S))
            pauses.append(
                replace(during, flush_ms=after.longest_ms, machine_ms=max(during.machine_ms, after.machine_ms))
            )
    return pauses


def print_pauses(pauses: Sequence[Pause], console: Console) -> None:
    """One row per operation."""
    table = Table(title=f"Recall beside each operation (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    for heading in ("operation", "took s", "recalls", "p50 ms", "p95 ms", "longest ms", "then ms", "machine ms"):
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for pause in pauses:
        seen = pause.recalls
        figures = (str(seen.count), f"{seen.p50_ms:.1f}", f"{seen.p95_ms:.1f}") if seen else ("0", "-", "-")
        longest = (_marked(pause.longest_ms), _marked(pause.flush_ms), f"{pause.machine_ms:.0f}")
        table.add_row(pause.operation, f"{pause.seconds:.2f}", *figures, *longest)
    console.print(table)


def _marked(pause_ms: float) -> str:
    return f"{pause_ms:.0f}{' !' if pause_ms > LIMIT_MS else ''}"


def main(
    units: Annotated[int, typer.Option(help="units of the directory", min=1000)] = 1_000_000,
    banks: Annotated[int, typer.Option(help="banks they are divided into", min=4)] = 1000,
    big: Annotated[str, typer.Option(help="units of the biggest banks; the last of them is deleted")] = "200000,50000",
    directory: Annotated[Path | None, typer.Option(help="filled up and kept; absent: made and deleted")] = None,
    fill_seconds: Annotated[float, typer.Option(help="at most this long to fill it; a later run goes on")] = 1800.0,
    seed: Annotated[int, typer.Option(help="of what is generated")] = 1,
) -> None:
    """Fill a directory of the embedded store, then measure how long each operation holds up recall."""
    console = Console()
    big_units = [int(part) for part in big.split(",")]
    sizes = bank_sizes(units, banks, big_units)
    cleared = next(bank for bank in sizes if bank.units == big_units[-1])
    with tempfile.TemporaryDirectory(prefix="lorebank.stalls.") as folder:
        settings = load_settings(data=directory or Path(folder) / "data")
        shard = StorageShard(settings, 0, Space("generated", DIM))
        try:
            if fill_up(shard, sizes, time.monotonic_ns() % 2**31, fill_seconds):
                shard.wait_until_read_ahead()
                tidy_for_ever()  # as the shard's own process does
                print_pauses(measure(shard, sizes, cleared, seed), console)
            else:
                console.print(f"not filled in {fill_seconds:g} s; run it again with the same --directory")
        finally:
            shard.close()


def fill_up(shard: StorageShard, sizes: Sequence[BankSize], seed: int, most_s: float) -> bool:
    """Write what is lacking, for at most `most_s`; whether nothing is lacking any more."""
    until_s = time.monotonic() + most_s
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("filling", total=sum(bank.units for bank in sizes))
        for written in fill(shard, sizes, Material(seed)):
            progress.advance(bar, written)
            if time.monotonic() > until_s:
                return False
    return True


if __name__ == "__main__":
    start(main)
