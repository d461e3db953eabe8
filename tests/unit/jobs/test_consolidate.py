"""The job over many banks: all of them, a tenant's, in order, at a pace, resumed; what it tells of the others."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.observation_client import Waiting
from jobs import consolidating as job
from jobs import pace
from jobs.consolidating import Report, Task, consolidate
from jobs.progress_file import ProgressFile
from memory.audit_calls import ScopePage
from memory.consolidating.commands import Consolidate, ConsolidationReceipt
from memory.errors import BadSettings, Conflict, NotFound, Unavailable
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind
from tests.support.clocks import START


class Banks:
    """A deployment whose banks need a number of looks, or have a problem."""

    def __init__(self, **problems: Any) -> None:
        self.scopes = [SYSTEM, *(Scope("acme", f"a{number}") for number in range(5)), Scope("other", "b")]
        self.problems = problems
        self.looks: dict[str, int] = {}
        self.asked: list[str] = []
        self.at_once = self.most = 0
        self.waiting: dict[str, Waiting | None] = {}

    async def find_waiting(self, scope: Scope) -> Waiting | None:
        return self.waiting.get(scope.bank, Waiting(1))

    async def list_scopes(self, start: str | None) -> ScopePage:
        first = int(start or 0)
        part = tuple(self.scopes[first : first + 2])
        return ScopePage(part, str(first + 2) if first + 2 < len(self.scopes) else None)

    async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
        self.asked.append(scope.bank)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        problem = self.problems.get(scope.bank)
        if isinstance(problem, Exception):
            self.at_once -= 1
            raise problem
        return ConsolidationReceipt(command.operation_id, "pending")

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        self.looks[scope.bank] = self.looks.get(scope.bank, 0) + 1
        status = self.problems.get(scope.bank) or ("completed" if self.looks[scope.bank] > 1 else "pending")
        if status != "pending":
            self.at_once -= 1
        return Record(RecordKind.OPERATION, operation_id, {"items_count": 2}, status=status)


def run(
    banks: Banks, task: Task, monkeypatch: pytest.MonkeyPatch, progress: ProgressFile | None = None
) -> tuple[Report, list[tuple[int, int]]]:
    monkeypatch.setattr(job, "POLL_S", 0.001)
    told: list[tuple[int, int]] = []
    return asyncio.run(consolidate(banks, task, lambda done, of: told.append((done, of)), progress)), told


def test_every_bank_is_consolidated_so_many_at_once(monkeypatch):
    banks = Banks()
    report, told = run(banks, Task(concurrency=2), monkeypatch)
    assert (report.banks, report.consolidated, report.observations, report.left) == (6, 6, 12, {})
    assert banks.most <= 2
    assert told[-1] == (6, 6)


def test_a_tenants_banks_alone_and_what_is_wrong_with_them(monkeypatch):
    gone, off = NotFound("no bank"), Conflict("off")
    banks = Banks(a1=gone, a2=off, a3="failed")
    report, _ = run(banks, Task("acme"), monkeypatch)
    assert (report.banks, report.consolidated) == (5, 3)
    assert report.left == {"acme/a2": "off", "acme/a3": "its operation has failed"}
    assert "b" not in banks.asked


def test_a_bank_that_takes_too_long_is_left(monkeypatch):
    report, _ = run(Banks(b="pending"), Task("other", bank_s=0.01), monkeypatch)
    assert "too long" in report.left["other/b"]


@pytest.mark.parametrize(("most_s", "left"), [(60.0, {}), (0.0, {"other/b": "its host restarts"})])
def test_a_bank_whose_host_restarts_is_asked_again_for_as_long_as_it_may_take(most_s, left, monkeypatch):
    class Restarting(Banks):
        async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
            self.commands.append(command.operation_id)
            if len(self.commands) == 1:
                raise Unavailable("its host restarts", retry_after_s=0.001)
            return await super().consolidate(scope, command)

        commands: list[str]

    banks = Restarting()
    banks.commands = []
    report, _ = run(banks, Task("other", bank_s=most_s), monkeypatch)
    assert report.left == left
    assert banks.commands == banks.commands[:1] * (1 if left else 2), "one operation, however often it is asked for"


def ago(days: int) -> datetime:
    return START - timedelta(days=days)


@pytest.mark.parametrize(
    ("priority", "order"),
    [("lag", ["a3", "a0", "a1", "a2"]), ("oldest", ["a2", "a1", "a3", "a0"]), ("name", ["a0", "a1", "a2", "a3"])],
)
def test_banks_are_begun_in_the_order_that_was_asked_for(priority, order, monkeypatch):
    banks = Banks()
    banks.waiting = {"a0": Waiting(5, ago(1)), "a1": Waiting(2, ago(9)), "a2": Waiting(1), "a3": Waiting(7, ago(2))}
    banks.waiting["a4"] = None
    report, _ = run(banks, Task("acme", concurrency=1, priority=priority), monkeypatch)
    assert banks.asked == order
    assert (report.banks, report.consolidated, report.nothing_to_do, report.facts) == (5, 4, 1, 15)


def test_banks_that_are_paused_or_have_nothing_to_do_are_not_asked(monkeypatch):
    banks = Banks()
    banks.waiting = {f"a{number}": None for number in range(4)} | {"a4": Waiting(3, paused=True)}
    report, told = run(banks, Task(), monkeypatch)
    assert (banks.asked, report.nothing_to_do, report.paused) == (["b"], 4, 1)
    assert told == [(5, 6), (6, 6)]


class Stopped(BaseException):
    """The process ends."""


def test_a_run_that_was_stopped_goes_on_with_the_banks_that_it_has_not_done(monkeypatch, tmp_path: Path):
    file, seen = tmp_path / "p.ndjson", dict[str, int]()
    told: dict[str, Any] = {"tenant": "acme"}

    class Stopping(Banks):
        async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
            if len(self.asked) == 2:
                raise Stopped
            seen[scope.bank] = seen.get(scope.bank, 0) + 1
            return await super().consolidate(scope, command)

    for _ in range(3):
        progress = ProgressFile(file, told)
        with pytest.raises(BadSettings, match="in use"):
            ProgressFile(file, told)
        banks = Stopping()
        try:
            report, shown = run(banks, Task("acme", concurrency=1), monkeypatch, progress)
        except Stopped:
            continue
        finally:
            progress.close()
    assert seen == {f"a{number}": 1 for number in range(5)}
    assert (report.consolidated, report.consolidated_before, report.observations) == (1, 4, 10)
    assert shown[0] == (4, 5)


def test_facts_of_banks_that_are_begun_count_for_the_pace(monkeypatch):
    banks, slept = Banks(), []
    banks.waiting = {"a0": Waiting(20), "a1": Waiting(5), "a2": Waiting(1), "a3": None, "a4": None}

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(pace.asyncio, "sleep", sleep)
    monkeypatch.setattr(pace.time, "monotonic", lambda: 10.0)
    asyncio.run(consolidate(banks, Task("acme", priority="name", facts_per_s=10.0), lambda _done, _banks: None))
    assert [slept_s for slept_s in slept if slept_s in {0.0, 2.0, 2.5}] == [0.0, 2.0, 2.5]
