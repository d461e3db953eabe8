"""Ready formats: what a row of a file means. Each gives the parts of documents that one row holds."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from jobs.parts import (
    Origin,
    Part,
    Unusable,
    as_context,
    as_instant,
    as_metadata,
    as_name,
    as_tags,
    as_text,
    messages_of,
    turn,
)
from memory.commands import Item, Message

KEYS = frozenset({"bank", "document_id", "timestamp", "context", "tags", "metadata", "content", "messages"})
"""What a row of lorebank's own form may hold; other keys are refused, so that a misspelt one does not lose text."""
SHAREGPT_ROLES: Mapping[str, str] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
    "function_call": "assistant",
    "observation": "tool",
}
_LOCOMO_SESSION = re.compile(r"session_(\d+)$")
_LOCOMO_TIME = "%I:%M %p on %d %B, %Y"


class Format(StrEnum):
    """What a backfill can read."""

    AUTO = "auto"
    LOREBANK = "lorebank"
    ROWS = "rows"
    OPENAI = "openai"
    LOCOMO = "locomo"
    SHAREGPT = "sharegpt"
    SLACK = "slack"
    TRANSCRIPT = "transcript"


def recognise(row: Any) -> Format:
    """The format of a file of objects, by its first one."""
    if not isinstance(row, Mapping):
        return Format.ROWS
    if isinstance(row.get("conversations"), Sequence):
        return Format.SHAREGPT
    if isinstance(row.get("conversation"), Mapping) or isinstance(row.get("sessions"), Sequence):
        return Format.LOCOMO
    if "document_id" in row and ("messages" in row or (isinstance(row.get("content"), str) and "role" not in row)):
        return Format.LOREBANK
    return Format.OPENAI if isinstance(row.get("messages"), Sequence) else Format.ROWS


def read_lorebank(row: Any, origin: Origin, bank: str | None, fallback_id: str) -> Iterator[Part]:
    """{document_id, content | messages, timestamp?, context?, tags?, metadata?, bank?}.

    Raises:
        ValueError: it is none.
    """
    del fallback_id
    row = _object(row)
    unknown = sorted(set(row) - KEYS)
    if unknown:
        raise Unusable(f"unknown keys {', '.join(unknown)}; a row may hold {', '.join(sorted(KEYS))}")
    document_id = as_name(row.get("document_id"), "the document id")
    if document_id is None:
        raise Unusable("there is no document_id")
    messages = row.get("messages")
    if (row.get("content") is None) == (messages is None):
        raise Unusable("exactly one of content and messages is needed")
    timeless = row.get("timestamp") == "unset"
    item = Item(
        content=messages_of(messages) if messages is not None else as_text(row["content"]),
        document_id=document_id,
        timestamp=None if timeless else as_instant(row.get("timestamp")),
        timeless=timeless,
        context=as_context(row.get("context")),
        metadata=as_metadata(row.get("metadata")),
        tags=as_tags(row.get("tags")),
    )
    yield Part(_bank(row.get("bank"), bank), document_id, item, origin)


def read_openai(row: Any, origin: Origin, bank: str | None, fallback_id: str) -> Iterator[Part]:
    """A conversation of OpenAI's chat messages; what says nothing (a call of a tool) is left out.

    Raises:
        ValueError: it is none.
    """
    row = _object(row)
    rows = row.get("messages")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise Unusable("there are no messages")
    at = as_instant(row.get("timestamp") or row.get("created_at") or row.get("created"))
    turns: list[Message] = []
    for number, message in enumerate(rows, start=1):
        fields = _object(message)
        text = _openai_text(fields.get("content"), number)
        if text.strip():
            time = fields.get("timestamp") or fields.get("created_at") or fields.get("create_time")
            turns.append(turn(text, role=fields.get("role"), name=fields.get("name"), timestamp=time))
    yield from _dialogue(row, ("id", "document_id", "conversation_id"), turns, at, origin, bank, fallback_id)


def read_sharegpt(row: Any, origin: Origin, bank: str | None, fallback_id: str) -> Iterator[Part]:
    """{id, conversations: [{from, value}]}.

    Raises:
        ValueError: it is none.
    """
    row = _object(row)
    turns = []
    for number, message in enumerate(row.get("conversations") or (), start=1):
        fields = _object(message)
        who = str(fields.get("from") or fields.get("role") or "").lower()
        text = fields.get("value") if "value" in fields else fields.get("content")
        if not isinstance(text, str):
            raise Unusable(f"message {number} has no text in `value`")
        if text.strip():
            turns.append(turn(text, role=SHAREGPT_ROLES.get(who, who)))
    at = as_instant(row.get("timestamp"))
    yield from _dialogue(row, ("id", "document_id"), turns, at, origin, bank, fallback_id)


def read_locomo(row: Any, origin: Origin, bank: str | None, fallback_id: str) -> Iterator[Part]:
    """A conversation of LoCoMo, as released or one a line: each session is a document, with its time.

    A turn's time is its session's plus its place in seconds, so that the order shows. Without a bank given, each
    conversation has its own.

    Raises:
        ValueError: it is none.
    """
    row = _object(row)
    name = as_name(row.get("sample_id") or row.get("conversation_id"), "the sample id")
    if name is None:
        name = row["conversation"] if isinstance(row.get("conversation"), str) else fallback_id
    sessions = list(_locomo_sessions(row))
    if not sessions:
        raise Unusable("there are no sessions")
    for number, started_at, rows in sessions:
        document_id = f"{name}/session-{number}"
        turns = []
        for place, fields in enumerate(map(_object, rows)):
            text = str(fields.get("text") or "")
            caption = fields.get("blip_caption") or fields.get("image_caption") or fields.get("caption")
            if caption:
                text = f"{text} [image: {caption}]".strip()
            if text.strip():
                metadata = {"dia_id": fields["dia_id"]} if fields.get("dia_id") else None
                time = started_at + timedelta(seconds=place) if started_at else None
                turns.append(turn(text, name=fields.get("speaker"), timestamp=time, metadata=metadata))
        if turns:
            item = Item(tuple(turns), document_id, timestamp=started_at)
            yield Part(bank or name, document_id, item, origin)


def _locomo_sessions(row: Mapping[str, Any]) -> Iterator[tuple[int, datetime | None, Sequence[Any]]]:
    listed = row.get("sessions")
    if isinstance(listed, Sequence):
        for place, session in enumerate(map(_object, listed), start=1):
            yield (
                int(session.get("session") or place),
                as_instant(session.get("started_at")),
                session.get("turns") or (),
            )
        return
    conversation = _object(row.get("conversation"))
    numbers = sorted(int(match[1]) for match in map(_LOCOMO_SESSION.match, conversation) if match)
    for number in numbers:
        said = conversation.get(f"session_{number}_date_time")
        yield number, _locomo_time(said) if said else None, conversation[f"session_{number}"] or ()


def _locomo_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip().upper().replace(" ON ", " on "), _LOCOMO_TIME).replace(tzinfo=UTC)
    except ValueError:
        return as_instant(text)


def _dialogue(
    row: Mapping[str, Any],
    id_keys: Sequence[str],
    turns: Sequence[Message],
    at: datetime | None,
    origin: Origin,
    bank: str | None,
    fallback_id: str,
) -> Iterator[Part]:
    if not turns:
        raise Unusable("no message says anything")
    given = next((row[key] for key in id_keys if row.get(key)), None)
    document_id = as_name(given, "the document id") or fallback_id
    item = Item(
        tuple(turns),
        document_id,
        timestamp=at,
        metadata=as_metadata(row.get("metadata")),
        tags=as_tags(row.get("tags")),
    )
    yield Part(_bank(row.get("bank"), bank), document_id, item, origin)


def _openai_text(content: Any, number: int) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise Unusable(f"message {number}: content is {type(content).__name__}")
    texts = [part if isinstance(part, str) else _object(part).get("text") for part in content]
    return "\n".join(text for text in texts if isinstance(text, str))


def _bank(given: Any, bank: str | None) -> str:
    named = as_name(given, "the bank") or bank
    if named is None:
        raise Unusable("there is no bank; give one with --bank")
    return named


def _object(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise Unusable(f"{type(row).__name__} where an object is expected")
    return row


READERS: Mapping[Format, Callable[[Any, Origin, str | None, str], Iterator[Part]]] = {
    Format.LOREBANK: read_lorebank,
    Format.OPENAI: read_openai,
    Format.SHAREGPT: read_sharegpt,
    Format.LOCOMO: read_locomo,
}


def with_tags(part: Part, tags: tuple[str, ...]) -> Part:
    """The part with more tags."""
    return replace(part, item=replace(part.item, tags=tuple(dict.fromkeys((*part.item.tags, *tags))))) if tags else part
