"""Which column of a table says what: by flags, by a TOML file, or by the names that are usual."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.parts import (
    Origin,
    Part,
    as_context,
    as_instant,
    as_metadata,
    as_name,
    as_string,
    as_tags,
    as_text,
)
from lorebank.wire.fields import check_metadata
from memory.commands import Item, Message
from memory.errors import Unprocessable

USUAL: Mapping[str, tuple[str, ...]] = {
    "bank": ("bank", "bank_id"),
    "document": ("document", "document_id", "conversation_id", "session_id", "thread_id", "conversation", "session"),
    "speaker": ("speaker", "name", "author"),
    "role": ("role",),
    "text": ("text", "content", "message", "body"),
    "time": ("time", "timestamp", "created_at", "sent_at", "date"),
    "tags": ("tags",),
    "metadata": ("metadata",),
    "context": ("context",),
}
"""What a column may be, and under which names it is looked for where none is given, in order."""
SEVERAL = "metadata"
"""May be several columns, each of which becomes a key; a single one that holds objects gives their keys."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns by what they are; absent ones are looked for under their usual names."""

    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def found_in(self, names: Iterable[str]) -> "Columns":
        """The columns that a table with these names has.

        Raises:
            ValueError: a given one is not there, or none is the text.
        """
        there = list(names)
        for what, wanted in self.given.items():
            for name in wanted:
                if name not in there:
                    raise ValueError(f"no column {name!r} ({what}); there are: {', '.join(there)}")
        found = dict(self.given)
        for what, usual in USUAL.items():
            known = next((name for name in usual if name in there), None)
            if what not in found and known is not None and not any(known in taken for taken in found.values()):
                found[what] = (known,)
        if "text" not in found:
            raise ValueError(f"no column is the text; say which with --map text=COLUMN; there are: {', '.join(there)}")
        return Columns(found)

    def part(self, row: Mapping[str, Any], origin: Origin, bank: str | None, fallback_id: str) -> Part:
        """The part of a document that a row is.

        Raises:
            ValueError: the row cannot be stored, or no bank is given for it.
        """
        named = as_name(self._cell(row, "bank"), "the bank") or bank
        if named is None:
            raise ValueError("there is no bank; give one with --bank, or a column with --map bank=COLUMN")
        text = as_text(self._cell(row, "text"))
        role = as_name(self._cell(row, "role"), "the role")
        speaker = as_name(self._cell(row, "speaker"), "the speaker")
        time = as_instant(self._cell(row, "time"))
        metadata = self._metadata(row)
        document_id = as_name(self._cell(row, "document"), "the document id") or fallback_id
        tags, context = as_tags(self._cell(row, "tags")), as_context(self._cell(row, "context"))
        if speaker or role:
            turn = Message(text, role, speaker, time, metadata)
            item = Item((turn,), document_id, context=context, tags=tags)
        else:
            item = Item(text, document_id, timestamp=time, context=context, metadata=metadata, tags=tags)
        return Part(named, document_id, item, origin)

    def _cell(self, row: Mapping[str, Any], what: str) -> Any:
        names = self.given.get(what)
        return row.get(names[0]) if names else None

    def _metadata(self, row: Mapping[str, Any]) -> dict[str, str]:
        names = self.given.get(SEVERAL, ())
        if len(names) == 1 and _is_object(row.get(names[0])):
            return as_metadata(row[names[0]])
        return check_metadata({name: as_string(row[name]) for name in names if row.get(name) is not None})


def read_mapping(path: Path) -> Mapping[str, Any]:
    """Settings of a backfill in a TOML file: `format`, `bank`, `tenant`, and a table `columns`.

    Raises:
        Unprocessable: it cannot be read, or has keys that are not known.
    """
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise Unprocessable(f"{path}: {exc}") from exc
    unknown = sorted(set(read) - {"format", "bank", "tenant", "columns"})
    if unknown:
        raise Unprocessable(f"{path}: unknown keys {', '.join(unknown)}; known are format, bank, tenant, [columns]")
    return read


def columns_of(table: Mapping[str, Any], flags: Sequence[str]) -> Columns:
    """Columns of a TOML table and of `WHAT=COLUMN` flags, which win; several of one (metadata) stand with commas.

    Raises:
        Unprocessable: one of them is none.
    """
    given: dict[str, tuple[str, ...]] = {}
    for what, names in table.items():
        given[what] = (names,) if isinstance(names, str) else tuple(names)
    for flag in flags:
        what, equals, names = flag.partition("=")
        if not equals or not names:
            raise Unprocessable(f"--map {flag}: give it as WHAT=COLUMN, e.g. text=body")
        given[what] = tuple(names.split(",")) if what == SEVERAL else (names,)
    for what, columns in given.items():
        if what not in USUAL:
            raise Unprocessable(f"a column cannot be {what!r}; it can be {', '.join(USUAL)}")
        if what != SEVERAL and len(columns) != 1:
            raise Unprocessable(f"{what} must be one column, not {len(columns)}")
    return Columns(given)


def _is_object(cell: Any) -> bool:
    return isinstance(cell, Mapping) or (isinstance(cell, str) and cell.lstrip().startswith("{"))
