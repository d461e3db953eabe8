"""Reads LoCoMo files: conversations, turns, and questions whose evidence names turns that exist.

Files of the same form hold chats with an agent (turns have a `role`) and notes (neither speakers nor times).
"""

import json
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_DIA_ID = re.compile(r"D:?\s*(\d+)\s*:\s*(\d+)")

ANSWERABLE = (1, 2, 3, 4)
"""Categories with an answer in the dialogue: multi-hop, temporal, open-domain, single-hop."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance or passage; `started_at` is its session's."""

    dia_id: str
    speaker: str | None
    text: str
    started_at: datetime | None
    role: str | None = None

    @property
    def who(self) -> str | None:
        """Who speaks, by name or else by role."""
        return self.speaker or self.role


@dataclass(frozen=True, slots=True)
class Session:
    """The turns of one sitting, or the passages of one text."""

    number: int
    started_at: datetime | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the dia_ids that hold its answer, at least one."""

    text: str
    category: int
    evidence: frozenset[str]
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One dialogue with its usable questions."""

    conversation_id: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]

    @property
    def turns(self) -> list[Turn]:
        """All turns in order."""
        return [turn for session in self.sessions for turn in session.turns]


def read_conversations(path: Path, *, limit: int | None = None, captions: bool = False) -> list[Conversation]:
    """The conversations of an NDJSON file, the first `limit` of them.

    With `captions` a turn that shared an image says so in its text.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line that is not a conversation, or a file with none.
    """
    conversations: list[Conversation] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if limit is not None and len(conversations) == limit:
                break
            if not line.strip():
                continue
            try:
                conversations.append(_conversation(json.loads(line), captions=captions))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a LoCoMo conversation ({error!r})") from error
    if not conversations:
        raise ValueError(f"{path}: holds no conversation")
    return conversations


def repaired_evidence(raw: Iterable[str], known: Container[str]) -> frozenset[str]:
    """The turns that evidence entries name, e.g. both of "D8:6; D9:17" and D30:5 of "D30:05"; unknown ones dropped."""
    named = (f"D{int(session)}:{int(turn)}" for entry in raw for session, turn in _DIA_ID.findall(entry))
    return frozenset(dia_id for dia_id in named if dia_id in known)


def dia_ids_in(text: str) -> tuple[str, ...]:
    """The dia_ids a text names, each once, in order of first mention."""
    return tuple(dict.fromkeys(f"D{int(session)}:{int(turn)}" for session, turn in _DIA_ID.findall(text)))


def _conversation(raw: Mapping[str, Any], *, captions: bool) -> Conversation:
    sessions = tuple(_session(session, captions=captions) for session in raw["sessions"])
    known = {turn.dia_id for session in sessions for turn in session.turns}
    questions = (_question(question, known) for question in raw["questions"])
    return Conversation(
        conversation_id=raw["conversation"],
        sessions=sessions,
        questions=tuple(one for one in questions if one.category in ANSWERABLE and one.evidence),
    )


def _session(raw: Mapping[str, Any], *, captions: bool) -> Session:
    started_at = _instant(raw.get("started_at"))
    turns = tuple(
        Turn(turn["dia_id"], turn.get("speaker"), _text(turn, captions=captions), started_at, turn.get("role"))
        for turn in raw["turns"]
    )
    return Session(raw["session"], started_at, turns)


def _text(raw: Mapping[str, Any], *, captions: bool) -> str:
    text: str = raw["text"]
    caption = raw.get("image_caption") if captions else None
    return f"{text} [shared image: {caption}]" if caption else text


def _question(raw: Mapping[str, Any], known: Container[str]) -> Question:
    evidence = repaired_evidence(raw["evidence"], known)
    return Question(raw["question"], raw["category"], evidence, _instant(raw.get("asked_at")))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
