"""Audit of many banks: which, how often a moving one is looked at again, what is repaired, and what came of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import uuid4

from jobs.verify_marks import Mark, mark_of
from memory.audit import AuditBank, Vectors
from memory.audit_calls import ScopedStore, Stray
from memory.breaches import Audit, Breach, BreachKind
from memory.commands import RepairBank, RepairReceipt
from memory.errors import BadSettings, LorebankError, StoreDamaged
from memory.ids import SYSTEM, Scope, scope_of_key
from memory.records import Head
from memory.stepping import drive
from memory.store_calls import Call, ReadHead

SCOPES_PAGE = 1000
PAUSES_S: Final = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Between two looks at a bank that somebody writes to; a plan takes less than all of them together."""

Advance = Callable[[int, int], None]
"""Told how many banks are done, and of how many."""


class Source(ScopedStore, Protocol):
    """A store that can be looked at and whose banks' owners can be asked for a repair."""

    async def inspect(self, scope: Scope, call: Call[Any]) -> Any:
        """Answer of a reading call."""
        ...

    async def repair_bank(self, scope: Scope, command: RepairBank) -> RepairReceipt:
        """Have the bank's owner mend it."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What to look at, and how.

    dim, space: of the model that is asked. live: others may write meanwhile, so that a finding counts when it is seen
    twice.
    """

    tenant: str | None = None
    bank: str | None = None
    vectors: Vectors = "sample"
    dim: int | None = None
    space: str = ""
    live: bool = False
    concurrency: int = 4
    known: Mapping[Scope, Mark] = field(default_factory=dict)
    """Banks that were right under a head: they are looked at again once it has moved."""

    def covers(self, scope: Scope) -> bool:
        """Whether a bank is among those to look at."""
        return self.tenant in {None, scope.tenant} and self.bank in {None, scope.bank}


@dataclass(slots=True)
class Findings:
    """What a round over banks has found."""

    banks: int = 0
    units: int = 0
    records: int = 0
    vectors: int = 0
    breaches: list[Breach] = field(default_factory=list)
    moving: list[Scope] = field(default_factory=list)
    """Banks not checked: their heads moved at every look."""
    unchanged: int = 0
    """Banks that were right before and have not been written to since: nothing else of them was read."""
    marks: dict[Scope, Mark] = field(default_factory=dict)
    """Banks that are right, and under which head."""

    @property
    def clean(self) -> bool:
        """Every bank was checked, and nothing is wrong."""
        return not self.breaches and not self.moving


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verification: what was found, what was mended, and what is left after that."""

    found: Findings
    left: Findings
    repaired: tuple[tuple[Scope, RepairReceipt], ...] = ()
    refused: tuple[tuple[Scope, str], ...] = ()
    """Banks whose repair failed, and why."""


async def verify(source: Source, task: Task, *, repair: bool, advance: Advance) -> Outcome:
    """Audit; with `repair`, have mended what can be, and audit that again."""
    scopes = await _scopes(source, task)
    found = await _round(source, task, scopes, advance)
    if not repair:
        return Outcome(found, found)
    broken = {breach.bank for breach in found.breaches}
    repaired: list[tuple[Scope, RepairReceipt]] = []
    refused: list[tuple[Scope, str]] = []
    for scope in _repairable(found):
        try:
            repaired.append((scope, await source.repair_bank(scope, RepairBank(uuid4().hex))))
        except LorebankError as exc:
            refused.append((scope, str(exc)))
    if not repaired:
        return Outcome(found, found, (), tuple(refused))
    again = [scope for scope in sorted({*broken, *found.moving}, key=_key) if scope != SYSTEM]
    left = await _round(source, task, again, advance)
    return Outcome(found, left, tuple(repaired), tuple(refused))


async def _scopes(source: Source, task: Task) -> list[Scope]:
    if task.bank is not None and task.tenant is not None:
        return [Scope(task.tenant, task.bank)]
    scopes: list[Scope] = []
    start: str | None = None
    while True:
        page = await source.list_scopes(start, SCOPES_PAGE)
        scopes.extend(scope for scope in page.scopes if task.covers(scope))
        if page.next is None:
            return scopes
        start = page.next


async def _round(source: Source, task: Task, scopes: Sequence[Scope], advance: Advance) -> Findings:
    findings = Findings()
    findings.breaches.extend(_strays(await source.list_strays(), task))
    stray = {breach.bank for breach in findings.breaches}
    gate = asyncio.Semaphore(task.concurrency)

    async def one(scope: Scope) -> None:
        async with gate:
            before = task.known.get(scope)
            if before is not None and await _mark_now(source, scope) == before:
                findings.unchanged += 1
                findings.marks[scope] = before
                advance(findings.banks + findings.unchanged, len(scopes))
                return
            audit = await _settled_audit(source, task, scope)
        findings.banks += 1
        if audit.head is not None and not (audit.breaches or audit.moved):
            findings.marks[scope] = mark_of(audit.head)
        advance(findings.banks + findings.unchanged, len(scopes))
        findings.units += audit.units
        findings.records += audit.records
        findings.vectors += audit.vectors
        if audit.moved:
            findings.moving.append(scope)
        findings.breaches.extend(audit.breaches)

    for start in range(0, len(scopes), SCOPES_PAGE):
        part = [scope for scope in scopes[start : start + SCOPES_PAGE] if scope not in stray]
        await asyncio.gather(*(one(scope) for scope in part))
    findings.breaches.sort(key=lambda breach: (_key(breach.bank), breach.kind.value, breach.where))
    return findings


async def _mark_now(source: Source, scope: Scope) -> Mark | None:
    try:
        head: Head | None = await source.inspect(scope, ReadHead())
    except StoreDamaged:
        return None
    return mark_of(head) if head is not None else None


async def _settled_audit(source: Source, task: Task, scope: Scope) -> Audit:
    """One look; where others may write, as many as it takes for a finding to be seen twice under the same head."""
    before = await _audit(source, task, scope)
    if not task.live:
        return before
    for pause_s in PAUSES_S:
        if not before.moved and not before.breaches:
            return before
        await asyncio.sleep(pause_s)
        now = await _audit(source, task, scope)
        same = not (now.moved or before.moved) and (now.head, now.breaches) == (before.head, before.breaches)
        if same and (not now.in_flight or pause_s == PAUSES_S[-1]):
            return now
        before = now
    if before.breaches:  # seen once, or each time others: the way of a write, as far as anyone can tell
        before.breaches, before.moved = [], True
    return before


async def _audit(source: Source, task: Task, scope: Scope) -> Audit:
    try:
        audit = await drive(source.inspect, scope, AuditBank(scope, task.vectors, task.dim, task.space).steps())
    except StoreDamaged as exc:
        audit = Audit(scope)
        audit.report(BreachKind.UNREADABLE, "store", str(exc))
    nothing = [breach.kind for breach in audit.breaches] == [BreachKind.NO_HEAD] and not audit.units + audit.records
    if task.bank is not None and nothing:
        raise BadSettings(f"tenant {scope.tenant!r} has no bank {scope.bank!r}")
    return audit


def _strays(strays: Sequence[Stray], task: Task) -> list[Breach]:
    """One breach a bank; points that name no bank are shown as the deployment's own."""
    points: dict[str | None, list[str]] = {}
    for stray in strays:
        points.setdefault(stray.bank_key, []).append(f"{stray.points} in {stray.collection}")
    found = []
    for key, where in points.items():
        scope, what = SYSTEM, "points that name no bank"
        if key is not None:
            try:
                scope, what = scope_of_key(key), "points of a bank that has no head"
            except ValueError:
                what = f"points whose bank key {key!r} is none"
        if (scope == SYSTEM and task.tenant is None and task.bank is None) or (scope != SYSTEM and task.covers(scope)):
            found.append(Breach(BreachKind.STRAY, scope, what, ", ".join(where), scope != SYSTEM))
    return found


def _repairable(found: Findings) -> list[Scope]:
    """Banks to mend; those that were moving have an owner who looks after them."""
    return sorted({breach.bank for breach in found.breaches if breach.repairable}, key=_key)


def _key(scope: Scope) -> tuple[str, str]:
    return scope.tenant, scope.bank
