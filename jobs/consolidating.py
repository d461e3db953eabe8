"""Consolidation of many banks: which have something to consolidate, in which order, which a stopped run has done."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from jobs.pace import Pace
from jobs.patience import patiently
from jobs.progress_file import ProgressFile
from memory.audit_calls import ScopePage
from memory.consolidating.commands import Consolidate, ConsolidationReceipt
from memory.errors import LorebankError, NotFound
from memory.ids import SYSTEM, Scope, digest
from memory.records import Record

if TYPE_CHECKING:
    from actors.client import BankClient
    from actors.observation_client import Waiting

POLL_S = 0.25
POLL_MOST_S = 5.0
POLL_GROWTH = 1.5
LOOKS_AT_ONCE = 16
"""Banks that are looked at beside each other before anything is begun."""
_NEVER = datetime.min.replace(tzinfo=UTC)

Advance = Callable[[int, int], None]
"""Told how many banks are done, and of how many."""
Priority = Literal["lag", "oldest", "name"]


class Banks(Protocol):
    """What the job asks of a deployment."""

    async def list_scopes(self, start: str | None) -> ScopePage:
        """Every bank that has a head."""
        ...

    async def find_waiting(self, scope: Scope) -> "Waiting | None":
        """What a bank has to consolidate."""
        ...

    async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
        """Have a bank consolidated."""
        ...

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        """What became of it."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """Which banks in which order; how many at once, begun how often, with how many facts; how long one may take."""

    tenant: str | None = None
    concurrency: int = 4
    banks_per_s: float | None = None
    bank_s: float = 3600.0
    priority: Priority = "lag"
    facts_per_s: float | None = None


@dataclass(slots=True)
class Report:
    """What came of a run. left: banks whose observations are not all made, and why."""

    banks: int = 0
    consolidated: int = 0
    observations: int = 0
    seconds: float = 0.0
    left: dict[str, str] = field(default_factory=dict)
    consolidated_before: int = 0
    """By the run that this one goes on with."""
    nothing_to_do: int = 0
    paused: int = 0
    """Banks whose settings say that their consolidation is paused: they are passed over."""
    facts: int = 0
    """That waited in the banks which were consolidated, when they were begun."""

    @property
    def done(self) -> int:
        """Banks that nothing more is done about."""
        return self.consolidated + self.consolidated_before + self.nothing_to_do + self.paused + len(self.left)


@dataclass(frozen=True, slots=True)
class _Todo:
    """A bank that has something to consolidate."""

    scope: Scope
    waiting: "Waiting"


async def consolidate(banks: Banks, task: Task, advance: Advance, progress: ProgressFile | None = None) -> Report:
    """Consolidate banks beside each other, as many at once and as often as the task says.

    progress: banks that it names are not done again, and each that is done is named there.
    """
    began_s = time.monotonic()
    scopes = await _scopes(banks, task)
    report, gate = Report(banks=len(scopes)), asyncio.Semaphore(task.concurrency)
    # A bank is begun when those before it are paid for: by their number, and by the facts that they had.
    turn, facts = Pace(task.banks_per_s), Pace(task.facts_per_s)
    writing = asyncio.Lock()

    async def one(todo: _Todo) -> None:
        async with gate:
            await asyncio.gather(turn.wait(1), facts.wait(todo.waiting.facts))
            problem, observations = await _one(banks, todo.scope, task.bank_s)
            if progress is not None and not problem:
                async with writing:
                    await asyncio.to_thread(progress.add_row, _row(todo.scope, observations))
        if problem:
            report.left[f"{todo.scope.tenant}/{todo.scope.bank}"] = problem
        else:
            report.consolidated += 1
            report.facts += todo.waiting.facts
        report.observations += observations
        advance(report.done, len(scopes))

    todo = await _waiting(banks, scopes, report, progress)
    advance(report.done, len(scopes))
    # Tasks come to the gate in the order in which they were made.
    await asyncio.gather(*(one(each) for each in sorted(todo, key=_ORDERS[task.priority])))
    report.seconds = round(time.monotonic() - began_s, 3)
    return report


async def _waiting(banks: Banks, scopes: list[Scope], report: Report, progress: ProgressFile | None) -> list[_Todo]:
    """The banks that have something to consolidate; of the others the report tells."""
    todo: list[_Todo] = []
    gate = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def look(scope: Scope) -> None:
        if progress is not None and (row := progress.find_row(_row_id(scope))) is not None:
            report.consolidated_before += 1
            report.observations += row["observations"]
            return
        async with gate:
            found = await banks.find_waiting(scope)
        if found is None:
            report.nothing_to_do += 1
        elif found.paused:
            report.paused += 1
        else:
            todo.append(_Todo(scope, found))

    await asyncio.gather(*map(look, scopes))
    return todo


_ORDERS: Mapping[Priority, Callable[[_Todo], tuple[Any, ...]]] = {
    "lag": lambda one: (-one.waiting.facts, one.scope.tenant, one.scope.bank),
    "oldest": lambda one: (one.waiting.last_at or _NEVER, one.scope.tenant, one.scope.bank),
    "name": lambda one: (one.scope.tenant, one.scope.bank),
}


def _row_id(scope: Scope) -> str:
    return str(uuid.UUID(bytes=digest("consolidated", scope.tenant, scope.bank)[:16]))


def _row(scope: Scope, observations: int) -> dict[str, Any]:
    return {"operation_id": _row_id(scope), "bank": f"{scope.tenant}/{scope.bank}", "observations": observations}


async def _one(banks: Banks, scope: Scope, most_s: float) -> tuple[str, int]:
    """Why a bank is not consolidated (empty: it is), and how many observations it has."""
    until_s, pause_s = time.monotonic() + most_s, POLL_S
    command = Consolidate(str(uuid.uuid4()))
    try:
        asked = await patiently(most_s, lambda: banks.consolidate(scope, command))
        while True:
            left_s = until_s - time.monotonic()
            found = await patiently(left_s, lambda: banks.find_operation(scope, asked.operation_id))
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


class Deployment:
    """Banks of the deployment that runs."""

    def __init__(self, client: "BankClient") -> None:
        self._client = client

    async def list_scopes(self, start: str | None) -> ScopePage:
        """Every bank that has a head."""
        return await self._client.list_scopes(start, 1000)

    async def find_waiting(self, scope: Scope) -> "Waiting | None":
        """What a bank has to consolidate."""
        return await self._client.observing.find_waiting(scope)

    async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
        """Have a bank consolidated."""
        return await self._client.observing.consolidate(scope, command)

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        """What became of it."""
        return await self._client.find_operation(scope, operation_id)
