"""Slack exports, unpacked: a folder for each channel with a file for each day; a channel's day is a document."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from jobs.parts import Origin, Part, Reject, Unusable, turn
from jobs.rows import BadRow, read_rows
from memory.commands import Item

USERS = "users.json"
_SAID = frozenset({"", "bot_message", "thread_broadcast", "me_message", "file_share", "reply_broadcast"})
"""Subtypes of messages in which somebody says something; the rest tells of joins, topics and the like."""
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|([^>]*))?>")
_CHANNEL = re.compile(r"<#[A-Z0-9]+\|([^>]*)>")
_LINK = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")


def is_slack_export(directory: Path) -> bool:
    """Whether a directory looks like one."""
    return (directory / USERS).is_file() and any((directory / name).is_file() for name in ("channels.json", "dms.json"))


def read_slack(directory: Path, bank: str) -> Iterator[Part | Reject]:
    """Messages of all channels, by channel and day, in the order in which they stand there."""
    names = _names(directory / USERS)
    for channel in sorted(path for path in directory.iterdir() if path.is_dir()):
        for day in sorted(channel.glob("*.json")):
            file, document_id = str(day), f"{channel.name}/{day.stem}"
            for row in read_rows(day):
                origin = Origin(file, row.number)
                if isinstance(row, BadRow):
                    yield Reject(origin, row.reason)
                    continue
                try:
                    yield Part(bank, document_id, _item(row.value, document_id, channel.name, names), origin)
                except ValueError as exc:
                    yield Reject(origin, str(exc), document_id)


def _item(message: Any, document_id: str, channel: str, names: Mapping[str, str]) -> Item:
    if not isinstance(message, Mapping):
        raise Unusable(f"a message is {type(message).__name__}, not an object")
    subtype = message.get("subtype") or ""
    if subtype not in _SAID:
        raise Unusable(f"{subtype}: nobody said anything")
    metadata = {"channel": channel}
    if message.get("thread_ts") and message.get("thread_ts") != message.get("ts"):
        metadata["thread_ts"] = str(message["thread_ts"])
    said = turn(
        _plain(str(message.get("text") or ""), names) or None,
        role="bot" if message.get("bot_id") else None,
        name=_speaker(message, names),
        timestamp=message.get("ts"),
        metadata=metadata,
    )
    return Item((said,), document_id)


def _speaker(message: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
    user = message.get("user")
    profile = message.get("user_profile") or message.get("bot_profile") or {}
    known = names.get(str(user)) if user else None
    return known or profile.get("real_name") or profile.get("name") or message.get("username") or user


def _names(users: Path) -> dict[str, str]:
    """Names of people by their ids; empty where the file is missing."""
    if not users.is_file():
        return {}
    try:
        rows = orjson.loads(users.read_bytes())
    except orjson.JSONDecodeError:
        return {}
    return {row["id"]: _name(row) for row in rows if isinstance(row, dict) and row.get("id")}


def _name(user: Mapping[str, Any]) -> str:
    profile = user.get("profile") or {}
    return str(profile.get("display_name") or user.get("real_name") or profile.get("real_name") or user.get("name"))


def _plain(text: str, names: Mapping[str, str]) -> str:
    """Slack's marks as people read them."""
    text = _MENTION.sub(lambda m: "@" + (m[2] or names.get(m[1], m[1])), text)
    text = _CHANNEL.sub(lambda m: "#" + m[1], text)
    text = _LINK.sub(lambda m: f"{m[2]} ({m[1]})" if m[2] and m[2] != m[1] else m[1], text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
