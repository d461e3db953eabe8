"""Sources of a backfill -> parts of documents and rejected rows, in order, in bounded memory, as often as wanted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.columns import Columns
from jobs.formats import READERS, Format, recognise, with_tags
from jobs.parts import Origin, Part, Reject, Unusable
from jobs.rows import TABLES, TEXTS, BadRow, find_files, read_rows, suffix_of
from jobs.slack import is_slack_export, read_slack
from jobs.transcripts import read_transcript
from memory.errors import Unprocessable

KNOWN_SHAPES = 64
"""Sets of keys of JSON rows whose columns are remembered."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be read, and how: names, directories and globs; `bank` is that of rows which name none."""

    sources: tuple[str, ...]
    bank: str | None = None
    format: Format = Format.AUTO
    columns: Columns = field(default_factory=Columns)
    tags: tuple[str, ...] = ()

    def plan(self) -> "tuple[_Place, ...]":
        """Files and exports, in the order in which they are read.

        Raises:
            Unprocessable: a source names nothing, or a bank is missing.
        """
        places: list[_Place] = []
        for source in self.sources:
            path = Path(source)
            if self.format is Format.SLACK or (self.format is Format.AUTO and path.is_dir() and is_slack_export(path)):
                if not path.is_dir():
                    raise Unprocessable(f"{source}: a Slack export is a directory; unpack it first")
                places.append(_Place(path, Format.SLACK, path.name))
                continue
            root = path if path.is_dir() else None
            for file in find_files((source,)):
                form = self.format
                if form is Format.AUTO and suffix_of(file) in TEXTS:
                    form = Format.TRANSCRIPT
                elif form is Format.AUTO and suffix_of(file) in TABLES:
                    form = Format.ROWS
                places.append(_Place(file, form, str(file.relative_to(root)) if root else file.name))
        if self.bank is None and any(place.format in {Format.SLACK, Format.TRANSCRIPT} for place in places):
            raise Unprocessable("transcripts and Slack exports name no bank: give one with --bank")
        return tuple({place.path: place for place in places}.values())

    def parts(self) -> Iterator[Part | Reject]:
        """Everything that is read, in order.

        Raises:
            Unprocessable: as `plan`.
        """
        for place in self.plan():
            for read in self._read(place):
                yield with_tags(read, self.tags) if isinstance(read, Part) else read

    def _read(self, place: "_Place") -> Iterator[Part | Reject]:
        bank = self.bank or ""
        if place.format is Format.SLACK:
            return read_slack(place.path, bank)
        if place.format is Format.TRANSCRIPT:
            return read_transcript(place.path, str(place.path), bank, place.name)
        return self._read_rows(place)

    def _read_rows(self, place: "_Place") -> Iterator[Part | Reject]:
        file, format_ = str(place.path), place.format
        finder = _Finder(self.columns, table=suffix_of(place.path) in TABLES)
        for row in read_rows(place.path):
            origin = Origin(file, row.number)
            if isinstance(row, BadRow):
                yield Reject(origin, row.reason)
                continue
            if format_ is Format.AUTO:
                format_ = Format.ROWS if self.columns.given else recognise(row.value)
            fallback_id = f"{place.name}#{row.number}"
            try:
                if format_ is Format.ROWS:
                    yield finder.columns(row.value).part(row.value, origin, self.bank, fallback_id)
                else:
                    yield from READERS[format_](row.value, origin, self.bank, fallback_id)
            except _NoColumns as exc:
                yield Reject(Origin(file, 0), str(exc))
                return
            except ValueError as exc:
                yield Reject(origin, str(exc))


class _NoColumns(Exception):
    """A table lacks a column for all its rows."""


class _Finder:
    """Finds the columns of rows: of a table once, of JSON for each set of keys, as only its text must be there."""

    def __init__(self, columns: Columns, *, table: bool) -> None:
        self._columns = columns
        self._table = table
        self._optional = dict.fromkeys(
            name for what, names in columns.given.items() if what != "text" for name in names
        )
        self._found: dict[tuple[str, ...], Columns] = {}

    def columns(self, row: Any) -> Columns:
        """The columns of a row.

        Raises:
            ValueError: it has no text.
            _NoColumns: no row of the table has what is needed.
        """
        if not isinstance(row, Mapping):
            raise Unusable(f"{type(row).__name__} where an object is expected")
        keys = tuple(row)
        found = self._found.get(keys)
        if found is None:
            try:
                found = self._columns.found_in(keys if self._table else {**self._optional, **row})
            except ValueError as exc:
                if self._table:
                    raise _NoColumns(str(exc)) from None
                raise
            if len(self._found) >= KNOWN_SHAPES:
                self._found.clear()
            self._found[keys] = found
        return found


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    format: Format
    name: str
    """What its documents are called where they have no id of their own."""
