"""Consolidate: have the observations of many banks made by their owners, and tell what came of it.

    python -m jobs.consolidate                      every bank of the server on this machine, or at RAY_ADDRESS
    python -m jobs.consolidate --tenant acme
    ray job submit --working-dir . -- python -m jobs.consolidate

Banks do the work themselves, in batches, beside what else they do; a run that is ended at any moment is begun again and
goes on where they are. Exit codes: 0 all is consolidated; 1 some is not, the report says what; 2 nothing could be done.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from jobs.attaching import run_attached
from jobs.options import positive_count, positive_number
from jobs.progress_bar import bar
from jobs.report import tell
from memory.audit_calls import ScopePage
from memory.consolidating.commands import Consolidate, ConsolidationReceipt
from memory.errors import LorebankError, NotFound
from memory.ids import SYSTEM, Scope
from memory.records import Record

if TYPE_CHECKING:
    from actors.client import BankClient

EXIT_LEFT = 1
EXIT_OPERATOR = 2
POLL_S = 0.25
POLL_MOST_S = 5.0
POLL_GROWTH = 1.5

Advance = Callable[[int, int], None]
"""Told how many banks are done, and of how many."""


class Banks(Protocol):
    """What the job asks of a deployment."""

    async def list_scopes(self, start: str | None) -> ScopePage:
        """Every bank that has a head."""
        ...

    async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
        """Have a bank consolidated."""
        ...

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        """What became of it."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """Which banks; how many at once, begun how often; how long one may take."""

    tenant: str | None = None
    concurrency: int = 4
    banks_per_s: float | None = None
    bank_s: float = 3600.0


@dataclass(slots=True)
class Report:
    """What came of a run. left: banks whose observations are not all made, and why."""

    banks: int = 0
    consolidated: int = 0
    observations: int = 0
    seconds: float = 0.0
    left: dict[str, str] = field(default_factory=dict)


async def consolidate(banks: Banks, task: Task, advance: Advance) -> Report:
    """Consolidate banks beside each other, as many at once and as often as the task says."""
    began_s = time.monotonic()
    scopes = await _scopes(banks, task)
    report, gate = Report(banks=len(scopes)), asyncio.Semaphore(task.concurrency)
    turn = Pace(task.banks_per_s)

    async def one(scope: Scope) -> None:
        async with gate:
            await asyncio.sleep(turn.wait_s(time.monotonic()))
            problem, observations = await _one(banks, scope, task.bank_s)
        if problem:
            report.left[f"{scope.tenant}/{scope.bank}"] = problem
        report.consolidated += not problem
        report.observations += observations
        advance(report.consolidated + len(report.left), len(scopes))

    await asyncio.gather(*(one(scope) for scope in scopes))
    report.seconds = round(time.monotonic() - began_s, 3)
    return report


class Pace:
    """Lets so many begin a second, evenly; None: as they come."""

    def __init__(self, per_s: float | None) -> None:
        self._gap_s = 1 / per_s if per_s else 0.0
        self._next_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """How long the next one is to wait."""
        at_s = max(now_s, self._next_s)
        self._next_s = at_s + self._gap_s
        return at_s - now_s


async def _one(banks: Banks, scope: Scope, most_s: float) -> tuple[str, int]:
    """Why a bank is not consolidated (empty: it is), and how many observations it has."""
    until_s, pause_s = time.monotonic() + most_s, POLL_S
    try:
        asked = await banks.consolidate(scope, Consolidate(str(uuid4())))
        while True:
            found = await banks.find_operation(scope, asked.operation_id)
            if found is not None and found.status == "completed":
                return "", int(found.body["items_count"])
            if found is None or found.status in {"failed", "cancelled"}:
                return "its operation has failed" if found else "the bank was deleted", 0
            if time.monotonic() > until_s:
                return "it takes too long: its language model may be away, or its tokens for today used up", 0
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * POLL_GROWTH, POLL_MOST_S)
    except NotFound:
        return "", 0  # deleted meanwhile
    except LorebankError as exc:
        return str(exc), 0


async def _scopes(banks: Banks, task: Task) -> list[Scope]:
    found: list[Scope] = []
    start: str | None = None
    while True:
        page = await banks.list_scopes(start)
        found.extend(scope for scope in page.scopes if scope != SYSTEM and task.tenant in {None, scope.tenant})
        if page.next is None:
            return found
        start = page.next


class _Deployment:
    """Banks of the deployment that runs."""

    def __init__(self, client: "BankClient") -> None:
        self._client = client

    async def list_scopes(self, start: str | None) -> ScopePage:
        """Every bank that has a head."""
        return await self._client.list_scopes(start, 1000)

    async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
        """Have a bank consolidated."""
        return await self._client.observing.consolidate(scope, command)

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        """What became of it."""
        return await self._client.find_operation(scope, operation_id)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    task = Task(options.tenant, options.concurrency, options.max_banks_per_s, options.bank_seconds)

    async def run(client: "BankClient") -> Report:
        with bar("consolidate", None, "banks") as shown:
            return await consolidate(_Deployment(client), task, shown.at)

    try:
        report = run_attached(run)
    except LorebankError as exc:
        print(f"consolidate: {exc}", file=sys.stderr)
        return EXIT_OPERATOR
    tell(asdict(report), sentences(report), as_json=options.json, file=options.report)
    return EXIT_LEFT if report.left else 0


def sentences(report: Report) -> str:
    """The report in words."""
    done = f"{report.consolidated} of {report.banks} banks consolidated in {report.seconds:g} s"
    said = [f"{done}: {report.observations} observations"]
    return "\n".join([*said, *(f"  {bank}: {why}" for bank, why in sorted(report.left.items()))])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lorebank consolidate --all", description="Have the observations of many banks made by their owners."
    )
    parser.add_argument("--tenant", help="only this tenant's banks")
    parser.add_argument("--concurrency", type=positive_count, default=4, help="banks under way at once")
    parser.add_argument("--max-banks-per-s", type=positive_number, help="most banks begun a second")
    parser.add_argument("--bank-seconds", type=positive_number, default=3600.0, help="how long one bank may take")
    parser.add_argument("--report", type=Path, help="write the report to this file too, as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
