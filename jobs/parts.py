"""What bulk reading gives: parts of documents, each with the row it came from, and rows that are none, with why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

import orjson

from lorebank.wire.fields import (
    MAX_TAGS,
    check_content,
    check_context,
    check_id,
    check_metadata,
    check_tag,
    parse_instant,
)
from memory.commands import GivenDocument, Item, Message

MILLISECONDS_FROM = 1e11
"""Numbers from this one on are milliseconds since 1970; seconds would lie beyond the year 5000."""


class Unusable(ValueError):
    """A row or a cell cannot be stored; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A row of the input: its file as it was named, and its number from 1; 0 is the file as a whole."""

    file: str
    row: int


@dataclass(frozen=True, slots=True)
class Part:
    """A document, or a turn of one: parts with the same bank and document id are one document, in order of reading."""

    bank: str
    document_id: str
    item: Item
    origin: Origin


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not stored, and why."""

    origin: Origin
    reason: str
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """All parts of one document, in order."""

    bank: str
    document_id: str
    items: tuple[Item, ...]
    origins: tuple[Origin, ...]
    turns: int
    size_bytes: int


def turns_of(item: Item) -> int:
    """How many turns an item holds; a text counts as one, a whole document as its chunks."""
    if isinstance(item.content, GivenDocument):
        return len(item.content.chunks)
    return 1 if isinstance(item.content, str) else len(item.content)


def bytes_of(item: Item) -> int:
    """UTF-8 bytes of an item's texts."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts_of(item))


def _texts_of(item: Item) -> Iterable[str]:
    if isinstance(item.content, GivenDocument):
        return (chunk.text for chunk in item.content.chunks)
    return (item.content,) if isinstance(item.content, str) else (message.content for message in item.content)


def gather(parts: Sequence[Part]) -> Gathered:
    """The document of some parts; neighbouring turns that share all else become one item."""
    items: list[Item] = []
    turns: list[Message] = []
    for part in parts:
        if turns and replace(part.item, content=()) == replace(items[-1], content=()) and _is_dialogue(part.item):
            turns.extend(_messages(part.item))
            continue
        if turns:
            items[-1] = replace(items[-1], content=tuple(turns))
        items.append(part.item)
        turns = _messages(part.item)
    if turns:
        items[-1] = replace(items[-1], content=tuple(turns))
    return Gathered(
        bank=parts[0].bank,
        document_id=parts[0].document_id,
        items=tuple(items),
        origins=tuple(part.origin for part in parts),
        turns=sum(map(turns_of, items)),
        size_bytes=sum(map(bytes_of, items)),
    )


def _is_dialogue(item: Item) -> bool:
    return isinstance(item.content, tuple)


def _messages(item: Item) -> list[Message]:
    return list(item.content) if isinstance(item.content, tuple) else []


# -- cells -> fields; each raises ValueError with a reason that says what to change


def as_instant(value: Any) -> datetime | None:
    """Aware UTC instant: of an ISO 8601 text, a number of seconds or milliseconds since 1970, a date or a datetime.

    Raises:
        ValueError: it is none of these.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, str) and not _is_number(value):
        try:
            return parse_instant(value)
        except ValueError:
            raise Unusable(f"{value!r} is no ISO 8601 time and no number of seconds since 1970") from None
    try:
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if abs(seconds) >= MILLISECONDS_FROM else seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Unusable(f"{value!r} is no time") from None


def _is_number(text: str) -> bool:
    return len(text) != 8 and text.replace(".", "", 1).isdecimal()


def as_text(value: Any) -> str:
    """The text itself, if it says something and can be stored.

    Raises:
        ValueError: it is missing, blank, too long or no text.
    """
    if value is None:
        raise Unusable("there is no text")
    if not isinstance(value, str):
        raise Unusable(f"the text is {type(value).__name__}, not a string")
    return check_content(value)


def as_name(value: Any, what: str) -> str | None:
    """An id or a name, or None where there is none; numbers become their digits.

    Raises:
        ValueError: it cannot be stored; the reason begins with `what`.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, (str, int)):
        raise Unusable(f"{what} is {type(value).__name__}, not a string")
    try:
        return check_id(str(value))
    except ValueError as exc:
        raise Unusable(f"{what} {exc}") from None


def as_context(value: Any) -> str | None:
    """A context, or None where there is none.

    Raises:
        ValueError: it is no text or too long.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unusable(f"the context is {type(value).__name__}, not a string")
    return check_context(value)


def as_tags(value: Any) -> tuple[str, ...]:
    """Tags of a list, of a JSON list in a text, or of a text with commas.

    Raises:
        ValueError: one of them cannot be stored, or there are too many.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = orjson.loads(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise Unusable(f"tags are {type(value).__name__}, not a list")
    tags = tuple(dict.fromkeys(check_tag(str(tag).strip()) for tag in value if tag is not None))
    if len(tags) > MAX_TAGS:
        raise Unusable(f"there are {len(tags)} tags; {MAX_TAGS} are allowed")
    return tags


def as_metadata(value: Any) -> dict[str, str]:
    """Metadata of an object, or of a JSON object in a text; what is no text becomes JSON, nulls are left out.

    Raises:
        ValueError: it is no object, or too large.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        value = orjson.loads(value)
    if not isinstance(value, Mapping):
        raise Unusable(f"metadata is {type(value).__name__}, not an object")
    return check_metadata({str(key): as_string(cell) for key, cell in value.items() if cell is not None})


def as_string(value: Any) -> str:
    """A value as metadata keeps it: texts as they are, everything else as JSON; times in ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return orjson.dumps(value, default=str).decode()


def turn(
    content: Any,
    *,
    role: Any = None,
    name: Any = None,
    timestamp: Any = None,
    metadata: Any = None,
) -> Message:
    """A turn of cells.

    Raises:
        ValueError: one of them cannot be stored.
    """
    return Message(
        content=as_text(content),
        role=as_name(role, "the role"),
        name=as_name(name, "the speaker"),
        timestamp=as_instant(timestamp),
        metadata=as_metadata(metadata),
    )


def messages_of(rows: Any) -> tuple[Message, ...]:
    """Turns of a list of {content, role?, name?, timestamp?, metadata?}.

    Raises:
        ValueError: one of them is none; the reason names its number.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise Unusable("messages must be a list with at least one message")
    return tuple(_message(row, number) for number, row in enumerate(rows, start=1))


def _message(row: Any, number: int) -> Message:
    if not isinstance(row, Mapping):
        raise Unusable(f"message {number} is {type(row).__name__}, not an object")
    try:
        return turn(
            row.get("content"),
            role=row.get("role"),
            name=row.get("name"),
            timestamp=row.get("timestamp"),
            metadata=row.get("metadata"),
        )
    except ValueError as exc:
        raise Unusable(f"message {number}: {exc}") from None
