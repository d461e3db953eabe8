"""NDJSON transcripts -> retain items, read with polars: one document a line, its text or its messages."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from memory.commands import Item, Message
from memory.errors import Unprocessable

COLUMNS = frozenset({"document_id", "timestamp", "context", "tags", "metadata", "content", "messages"})
"""What a line may hold; other keys are refused, so that a misspelt one does not lose text."""


def read_transcripts(path: Path, batch_lines: int) -> Iterator[list[Item]]:
    """Items of the file's lines in batches, in order.

    Raises:
        Unprocessable: the file or a line cannot be read; the message names the line.
    """
    try:
        frame = pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise Unprocessable(f"{path}: {exc}") from exc
    unknown = sorted(set(frame.columns) - COLUMNS)
    if unknown:
        raise Unprocessable(f"{path}: unknown keys {', '.join(unknown)}; a line may hold {', '.join(sorted(COLUMNS))}")
    for part in frame.iter_slices(batch_lines):
        yield [_item(row, path) for row in part.iter_rows(named=True)]


def _item(row: Mapping[str, Any], path: Path) -> Item:
    name = row.get("document_id")
    if not name:
        raise Unprocessable(f"{path}: a line has no document_id")
    where = f"{path}: document {name!r}"
    messages = row.get("messages")
    if (row.get("content") is None) == (messages is None):
        raise Unprocessable(f"{where}: exactly one of content and messages is needed")
    return Item(
        content=tuple(_message(m, where) for m in messages) if messages is not None else row["content"],
        document_id=str(name),
        timestamp=_instant(row.get("timestamp"), where),
        context=row.get("context"),
        metadata=_strings(row.get("metadata")),
        tags=tuple(row.get("tags") or ()),
    )


def _message(message: Mapping[str, Any], where: str) -> Message:
    if not isinstance(message.get("content"), str):
        raise Unprocessable(f"{where}: a message has no content")
    return Message(
        content=message["content"],
        role=message.get("role"),
        name=message.get("name"),
        timestamp=_instant(message.get("timestamp"), where),
        metadata=_strings(message.get("metadata")),
    )


def _strings(given: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata without the keys that only other lines have: polars gives every row all keys of the column."""
    return {key: str(value) for key, value in (given or {}).items() if value is not None}


def _instant(text: str | None, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Unprocessable(f"{where}: {text!r} is no ISO 8601 time") from exc
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
