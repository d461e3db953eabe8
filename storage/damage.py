"""What a directory lost, found when it is opened: healed where the text is there, reported where it is not."""

import logging
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import orjson

from memory.healing import CheckDocuments, LostDocument, RaiseHead, Reopen
from memory.ids import Scope
from storage.operation_marks import Found, Loss
from storage.run import Engine, run

REPORT_FILE: Final = "damage.json"
_KEPT_REPORTS: Final = 20
_SHOWN: Final = 10

log = logging.getLogger("lorebank.damage")


class Stamped(Protocol):
    """What the live units of one bank show."""

    seq: int
    epoch: int

    @property
    def counters(self) -> Mapping[str, int]:
        """Number of units, in all and by type."""
        ...


class Scan(Protocol):
    """Looks over all banks of a directory."""

    def with_whole_commits(self) -> tuple[Scope, ...]:
        """Banks that have commit records with texts."""
        ...

    def with_documents(self) -> tuple[Scope, ...]:
        """Banks that have documents."""
        ...

    def stamps(self) -> Mapping[Scope, Stamped]:
        """What the live units of each bank show."""
        ...


@dataclass(frozen=True, slots=True)
class DamagedDocument:
    """A document with chunks that are missing, in number."""

    tenant: str
    bank: str
    document_id: str
    chunks: int


@dataclass(frozen=True, slots=True)
class BankBehind:
    """A bank whose last changes are lost, though their units are there."""

    tenant: str
    bank: str


@dataclass(slots=True)
class DamageReport:
    """What was found lost at one opening. `healing` is embedded again from its text; `lost` has no text any more."""

    found_at: str
    lost: list[str]
    """Per collection, how much its log fell short."""
    healing: list[DamagedDocument] = field(default_factory=list)
    damaged: list[DamagedDocument] = field(default_factory=list)
    behind: list[BankBehind] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing that anybody stored is missing."""
        return not (self.healing or self.damaged or self.behind)

    def sentences(self) -> list[str]:
        """The report in words, for the log and for `lorebank doctor`."""
        said = [*self.lost]
        if self.healing:
            said.append(f"{len(self.healing)} documents are embedded again from their text: {_named(self.healing)}")
        if self.damaged:
            said.append(
                f"{len(self.damaged)} documents lost chunks with their text: {_named(self.damaged)};"
                " retain them again, or restore a backup"
            )
        if self.behind:
            banks = ", ".join(repr(bank.bank) for bank in self.behind[:_SHOWN])
            said.append(
                f"{len(self.behind)} banks lost their last changes: {banks};"
                " retain again what was sent last, or restore a backup"
            )
        return said


def heal(engine: Engine, directory: Path, scan: Scan, units: Found, records: Found) -> DamageReport | None:
    """Deal with what the comparison of an opened directory found; None where nothing is lost.

    Banks with texts that were not let go yet are handed to their next owners in any case. A second run after a crash
    in the first does the same again.
    """
    nonce = uuid.uuid4().hex
    report = DamageReport(datetime.now(UTC).isoformat(timespec="seconds"), _losses(units, records))
    healing: dict[Scope, frozenset[str]] = {}
    for scope in scan.with_whole_commits():
        found = run(engine, scope, Reopen(nonce, units.loss is not Loss.NONE))
        report.healing.extend(_documents(scope, found))
        healing[scope] = frozenset(unit for document in found for unit in document.chunks)
    behind: set[Scope] = set()
    if records.loss is not Loss.NONE:
        for scope, stamp in scan.stamps().items():
            if run(engine, scope, RaiseHead(nonce, stamp.seq, stamp.epoch, stamp.counters)):
                report.behind.append(BankBehind(scope.tenant, scope.bank))
                behind.add(scope)
    everything = Loss.FLUSHED in (units.loss, records.loss)
    for scope in scan.with_documents() if everything or behind else ():
        if everything or scope in behind:
            lost = run(engine, scope, CheckDocuments(healing.get(scope, frozenset()), nonce))
            report.damaged.extend(_documents(scope, lost))
    if not report.lost:
        return None
    if report.empty:  # as after a kill between a write and its count
        log.warning("%s: %s; nothing that was acknowledged is missing", directory, "; ".join(report.lost))
        return None
    for sentence in report.sentences():
        log.error("%s: %s", directory, sentence)
    _append(directory / REPORT_FILE, report)
    return report


def read_reports(directory: Path) -> list[DamageReport]:
    """Reports of one storage directory, oldest first; none where nothing was ever lost."""
    path = directory / REPORT_FILE
    if not path.exists():
        return []
    return [
        DamageReport(
            stored["found_at"],
            stored["lost"],
            [DamagedDocument(**one) for one in stored["healing"]],
            [DamagedDocument(**one) for one in stored["damaged"]],
            [BankBehind(**one) for one in stored["behind"]],
        )
        for stored in orjson.loads(path.read_bytes())
    ]


def _append(path: Path, report: DamageReport) -> None:
    reports = [*read_reports(path.parent), report][-_KEPT_REPORTS:]
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(orjson.dumps([asdict(one) for one in reports], option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _losses(units: Found, records: Found) -> list[str]:
    said = []
    for name, found in (("units", units), ("records", records)):
        if found.loss is Loss.WINDOW:
            said.append(
                f"the log of {name} loaded {found.lost_operations} operations short of what was written after the last"
                " flush (a power loss may do that; without one the log is damaged)"
            )
        elif found.loss is Loss.FLUSHED and not found.lost_operations:
            said.append(
                f"{name} hold {found.lost_points} points fewer than counted: flushed data is lost, or a process was"
                " killed while it removed them"
            )
        elif found.loss is Loss.FLUSHED:
            said.append(
                f"{name} lost data that was on disk: {found.lost_operations} operations and {found.lost_points} points"
                " are missing, the files are damaged"
            )
    return said


def _documents(scope: Scope, found: Iterable[LostDocument]) -> list[DamagedDocument]:
    return [DamagedDocument(scope.tenant, scope.bank, one.document_id, len(one.chunks)) for one in found]


def _named(documents: list[DamagedDocument]) -> str:
    named = [f"{one.document_id!r} in bank {one.bank!r} ({one.chunks} chunks)" for one in documents[:_SHOWN]]
    return ", ".join([*named, "..."] if len(documents) > _SHOWN else named)
