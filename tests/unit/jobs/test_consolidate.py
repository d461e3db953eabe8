"""The job over many banks: all of them, a tenant's, at a pace; what it tells of banks that are not done."""

import asyncio
from typing import Any

import pytest

from jobs import consolidate as job
from jobs.consolidate import Pace, Report, Task, consolidate
from memory.audit_calls import ScopePage
from memory.consolidating.commands import Consolidate, ConsolidationReceipt
from memory.errors import Conflict, NotFound
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind


class Banks:
    """A deployment whose banks need a number of looks, or have a problem."""

    def __init__(self, **problems: Any) -> None:
        self.scopes = [SYSTEM, *(Scope("acme", f"a{number}") for number in range(5)), Scope("other", "b")]
        self.problems = problems
        self.looks: dict[str, int] = {}
        self.asked: list[str] = []
        self.at_once = self.most = 0

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


def run(banks: Banks, task: Task, monkeypatch: pytest.MonkeyPatch) -> tuple[Report, list[tuple[int, int]]]:
    monkeypatch.setattr(job, "POLL_S", 0.001)
    told: list[tuple[int, int]] = []
    return asyncio.run(consolidate(banks, task, lambda done, of: told.append((done, of)))), told


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


def test_banks_are_begun_at_a_pace():
    pace = Pace(4.0)
    assert [pace.wait_s(now_s) for now_s in (10.0, 10.0, 10.125, 20.0)] == [0.0, 0.25, 0.375, 0.0]
    assert [Pace(None).wait_s(now_s) for now_s in (10.0, 10.0)] == [0.0, 0.0]
