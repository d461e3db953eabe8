"""What many banks cost: memory of each and latency of recall, against few banks with as many units in all.

`python -m loadtests.many_banks`; both servers use the hashing embedder, so that nothing but the banks is measured.
"""

import json
import queue
import random
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.table import Table

from loadtests.entry import start
from loadtests.percentiles import Percentiles
from loadtests.server_memory import memory_by_role, own_bytes
from loadtests.timed_connection import LoadError, TimedConnection, recall_path, retain_path
from loadtests.workload import Fact, Workload, retain_item
from lorebank.own_server import OwnServer, free_port, up_command

PATIENCE_S = 60.0
ACTIVE_BYTES = 50 << 10
PASSIVATED_BYTES = 8 << 10
RECALL_RATIO = 1.3
HOSTS, SHARDS = "bank hosts", "storage shards"
ITEMS_AT_ONCE = 100
TIDIED_S = 65.0
"""After so long a process has given back twice what was freed in it (`actors/garbage.py`)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by role: PSS, and what of it is not pages of mapped files, which the system takes back at need."""

    pss: Counter[str]
    own: Counter[str]

    @classmethod
    def of(cls, server_pid: int) -> Self:
        """That of all processes below the server's, now."""
        return cls(memory_by_role(server_pid), memory_by_role(server_pid, own_bytes))


@dataclass(frozen=True, slots=True)
class Measured:
    """A server with so many banks: memory by role while all are active and after all have left, recall's latency."""

    banks: int
    active: int
    filled_s: float
    active_memory: Memory
    passivated_memory: Memory
    recall: Percentiles


def measure(banks: int, units: int, *, clients: int, recalls: int, idle_s: float) -> Measured:
    """Start a server, fill it, measure, wait until every bank has left memory, measure again.

    Raises:
        LoadError: a request failed, or banks stay in memory for much longer than they may.
    """
    with tempfile.TemporaryDirectory(prefix="lorebank.banks.") as folder:
        command = [*up_command(free_port(), Path(folder) / "data"), "--embedder", "hash"]
        command += ["--bank-idle-s", str(idle_s)]
        with OwnServer(command, on_line=lambda _: None) as server:
            started_s = time.monotonic()
            facts = _fill(server.url, banks, units, clients)
            filled_s = time.monotonic() - started_s
            active, memory = active_banks(server.url), Memory.of(server.pid)
            recall = _recalls(server.url, facts, recalls)
            _wait_passivated(server.url, idle_s)
            time.sleep(TIDIED_S)
            return Measured(banks, active, filled_s, memory, Memory.of(server.pid), recall)


def active_banks(url: str) -> int:
    """How many banks are in the hosts' memory, as the readiness probe says."""
    with urllib.request.urlopen(f"{url}/health/ready", timeout=PATIENCE_S) as answer:
        return int(json.load(answer)["checks"]["active_banks"])


def _fill(url: str, banks: int, units: int, clients: int) -> list[tuple[str, Fact]]:
    """Retain `units` in equal shares; one fact of each bank."""
    left: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    for number in [*range(banks), *[None] * clients]:
        left.put(number)
    known: list[tuple[str, Fact]] = []
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with TimedConnection(url) as connection:
                while (number := left.get()) is not None and not failures:
                    bank_id = f"bank-{number}"
                    workload = Workload(seed=1, stream=number, bank_ids=[bank_id])
                    facts = [workload.next_fact() for _ in range(max(1, units // banks))]
                    for first in range(0, len(facts), ITEMS_AT_ONCE):
                        items = [retain_item(one, f"note-{one.code}") for one in facts[first : first + ITEMS_AT_ONCE]]
                        connection.post_ok(retain_path(bank_id), {"items": items}, wait_s=PATIENCE_S)
                    known.append((bank_id, facts[0]))
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=write, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return known


def _recalls(url: str, facts: list[tuple[str, Fact]], count: int) -> Percentiles:
    """One client asks one bank after the other, in no order; the first tenth warms up."""
    chosen = random.Random(1)
    took_ms = []
    with TimedConnection(url) as connection:
        for _ in range(count + count // 10):
            bank_id, fact = chosen.choice(facts)
            took_ms.append(
                connection.post_ok(recall_path(bank_id), {"query": fact.question}, wait_s=PATIENCE_S).latency_ms
            )
    return Percentiles.of(took_ms[-count:])


def _wait_passivated(url: str, idle_s: float) -> None:
    deadline_s = time.monotonic() + 2 * idle_s + 60
    while left := active_banks(url):
        if time.monotonic() > deadline_s:
            raise LoadError(f"{left} banks are still in memory {2 * idle_s + 60:.0f} s after their last command")
        time.sleep(0.5)


def bytes_per_bank(few: Measured, many: Measured, *, passivated: bool = False, own: bool = False) -> dict[str, float]:
    """What one more bank takes, in the hosts, in the shards and in both; `own`: without pages of mapped files."""
    before, after = (_held(one, passivated=passivated, own=own) for one in (few, many))
    parts = {role: (after[role] - before[role]) / (many.banks - few.banks) for role in (HOSTS, SHARDS)}
    return {**parts, "both": sum(parts.values())}


def _held(measured: Measured, *, passivated: bool, own: bool) -> Counter[str]:
    memory = measured.passivated_memory if passivated else measured.active_memory
    return memory.own if own else memory.pss


def print_measured(few: Measured, many: Measured, console: Console) -> bool:
    """The figures and whether each is within its bound."""
    table = Table("", f"{few.banks} banks", f"{many.banks} banks", "a bank more", "bound", "")
    fine = many.active == many.banks
    bounds = (("active", ACTIVE_BYTES), ("passivated", PASSIVATED_BYTES))
    for name, bound in bounds:
        passivated = name == "passivated"
        for own in (True, False):
            each = bytes_per_bank(few, many, passivated=passivated, own=own)
            for role in (HOSTS, SHARDS):
                held = [_held(one, passivated=passivated, own=own)[role] / (1 << 20) for one in (few, many)]
                cells = [f"{value:.1f} MiB" for value in held]
                what = "without mapped files" if own else "PSS"
                table.add_row(f"{role}, {name}, {what}", *cells, f"{each[role] / 1024:.1f} KiB", "", "")
        within = each["both"] <= bound
        fine &= within
        table.add_row(
            f"both, {name}", "", "", f"{each['both'] / 1024:.1f} KiB", f"{bound / 1024:.0f} KiB", _word(within)
        )
    ratio = many.recall.p50_ms / few.recall.p50_ms
    table.add_row(
        "recall", str(few.recall), str(many.recall), f"x {ratio:.2f}", f"x {RECALL_RATIO}", _word(ratio <= RECALL_RATIO)
    )
    table.add_row("active banks", str(few.active), str(many.active), "", str(many.banks), _word(fine))
    table.add_row("filled in", f"{few.filled_s:.0f} s", f"{many.filled_s:.0f} s", "", "", "")
    console.print(table)
    return fine and ratio <= RECALL_RATIO


def _word(within: bool) -> str:
    return "ok" if within else "MISSED"


def main(
    *,
    banks: Annotated[int, typer.Option(min=2, help="banks of the large server")] = 10_000,
    few: Annotated[int, typer.Option(min=1, help="banks of the small one")] = 100,
    units: Annotated[int, typer.Option(min=1, help="units in all, on either")] = 10_000,
    clients: Annotated[int, typer.Option(min=1, help="clients that fill")] = 16,
    recalls: Annotated[int, typer.Option(min=10, help="recalls to measure")] = 1000,
    idle_s: Annotated[
        float, typer.Option(min=1, help="idle time after which banks leave; longer than filling takes")
    ] = 100,
) -> None:
    """Measure both servers, one after the other."""
    console = Console(width=140)
    options = {"clients": clients, "recalls": recalls}
    small = measure(few, units, **options, idle_s=min(idle_s, 15.0))
    console.print(f"{few} banks: filled in {small.filled_s:.0f} s, recall {small.recall}", markup=False)
    large = measure(banks, units, **options, idle_s=idle_s)
    if not print_measured(small, large, console):
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
