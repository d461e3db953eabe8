"""What is past its time, bank by bank: counted, written to files where it is to be kept, let go of by the owner."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jobs.deleting import each_bank
from jobs.exporting import derived_row
from jobs.pace import Pace
from jobs.patience import patiently
from jobs.tables import TableFile, TableWriter, bank_directory, check_files
from jobs.whole_files import write_whole
from memory.bank_profile import resolve_settings
from memory.encoding import instant_to_text
from memory.filters import AnyOf, Between, Filter, every
from memory.ids import Scope
from memory.records import UnitKind
from memory.restore_commands import SweepPast
from memory.retention import ARCHIVED, RULES, past, read_rules
from memory.store_calls import ListUnits, UnitPage

if TYPE_CHECKING:
    from actors.client import BankClient

PAGE = 500


@dataclass(slots=True)
class BankSwept:
    """One bank: how many units are past their time, by kind, and what has gone."""

    bank: str
    found: dict[str, int]
    documents: int = 0
    chunks: int = 0
    derived: int = 0
    archive: str | None = None
    left_for_archive: bool = False
    """Its setting has what goes archived, and this run writes no archive: nothing went."""


@dataclass(slots=True)
class Run:
    """What a run does, and has done."""

    client: "BankClient"
    tenant: str
    pace: Pace
    patience_s: float
    archive: Path | None = None
    dry_run: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    banks: list[BankSwept] = field(default_factory=list)
    looked_at: int = 0

    async def all(self, only: str | None, advance: Callable[[], None]) -> None:
        """Every bank of the tenant, or one."""
        async for name in self._names(only):
            self.looked_at += 1
            swept = await self.one(Scope(self.tenant, name))
            if swept is not None:
                self.banks.append(swept)
            advance()

    async def one(self, scope: Scope) -> BankSwept | None:
        """A bank; None where it has no rule, or nothing past its time."""
        head = await self.client.find_head(scope)
        if head is None:
            return None
        settings = resolve_settings(head.profile, self.client.inherited_by(scope.tenant))
        rules = read_rules(settings[RULES])
        if not rules:
            return None
        now = self.clock()
        where = every(past(rules, now), Between("seq", lte=head.seq))
        found = {kind.value: await self._count(scope, every(where, _of(kind))) for kind in UnitKind}
        found = {kind: count for kind, count in found.items() if count}
        if not found:
            return None
        swept = BankSwept(scope.bank, found)
        if settings[ARCHIVED] and self.archive is None:
            swept.left_for_archive = True
        elif not self.dry_run:
            if self.archive is not None:
                swept.archive = await self._write(scope, where, head.seq, self.archive)
            await self._sweep(scope, now, head.seq, swept)
        return swept

    async def _names(self, only: str | None) -> AsyncIterator[str]:
        if only is not None:
            yield only
            return
        async for name in each_bank(self.client, self.tenant):
            yield name

    async def _count(self, scope: Scope, where: Filter) -> int:
        page: UnitPage = await self.client.inspect(scope, ListUnits(1, 0, where))
        return page.total

    async def _write(self, scope: Scope, where: Filter, seq: int, archive: Path) -> str:
        """Everything that is to go, in files of its own; a run that was killed writes them anew."""
        place = archive / bank_directory(scope.bank) / f"seq-{seq}"
        place.mkdir(parents=True, exist_ok=True)
        number = len(list(place.iterdir()))
        place /= f"{number:05d}"
        place.mkdir()
        writer, offset = TableWriter(place, "derived"), 0
        while page := (await self.client.inspect(scope, ListUnits(PAGE, offset, where))).units:
            for unit in page:
                writer.add(derived_row(unit))
            offset += len(page)
        files = writer.close()
        body = {"tenant": scope.tenant, "bank": scope.bank, "seq": seq, "units": writer.rows, "files": rows_of(files)}
        write_whole(place / "archive.json", {**body, "written_at": instant_to_text(self.clock())})
        check_files(place, files)
        return str(place)

    async def _sweep(self, scope: Scope, now: datetime, seq: int, swept: BankSwept) -> None:
        while True:
            command = SweepPast(uuid4().hex, now, seq)
            receipt = await patiently(self.patience_s, lambda: self.client.moving.sweep_past(scope, command))  # noqa: B023 - awaited before the next is made
            swept.documents += receipt.documents
            swept.chunks += receipt.chunks
            swept.derived += receipt.derived
            if not receipt.more:
                return
            await self.pace.wait(receipt.chunks + receipt.derived)


def rows_of(files: tuple[TableFile, ...]) -> list[Mapping[str, Any]]:
    """Files as JSON names them."""
    return [{"path": f.path, "rows": f.rows, "bytes": f.size_bytes, "sha256": f.sha256} for f in files]


def _of(kind: UnitKind) -> Filter:
    return AnyOf("kind", (kind.value,))
