"""What the model may say in a step, as JSON Schemas, and how its answers are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory.extraction.answer_reading import parse_json
from memory.reflecting.port import ToolCall

MAX_CALLS = 8
"""Of one step; what is more is left out."""
MAX_QUERY_CHARS = 1_000
MAX_IDS = 10


@dataclass(frozen=True, slots=True)
class Step:
    """What was said: tools to call, or an answer with the labels it rests on. Neither: it cannot be read."""

    calls: tuple[ToolCall, ...] = ()
    answer: str = ""
    used: tuple[str, ...] = ()


def step_schema(tools: Sequence[str]) -> dict[str, Any]:
    """Schema of a step in which tools may be called."""
    call = _object(
        {
            "tool": {"type": "string", "enum": list(tools)},
            "query": {"type": ["string", "null"]},
            "ids": {"type": ["array", "null"], "items": {"type": "string"}},
        }
    )
    return _object(
        {
            "calls": {"type": "array", "items": call},
            "answer": {"type": ["string", "null"]},
            "used": {"type": "array", "items": {"type": "string"}},
        }
    ) | {"title": "step"}


def answer_schema() -> dict[str, Any]:
    """Schema of a step in which the question must be answered."""
    used = {"type": "array", "items": {"type": "string"}}
    return _object({"answer": {"type": "string"}, "used": used}) | {"title": "answer"}


def read_step(text: str) -> Step:
    """The step of a model's text: JSON, JSON in other words, or JSON that was cut off."""
    found, _ = parse_json(text)
    if not isinstance(found, Mapping):
        return Step()
    answer = found.get("answer")
    if isinstance(answer, str) and answer.strip():
        return Step(answer=answer.strip(), used=_texts(found.get("used"), 1000))
    calls = found.get("calls")
    listed = [_call(entry) for entry in calls if isinstance(entry, Mapping)] if isinstance(calls, list) else []
    return Step(calls=tuple(listed[:MAX_CALLS]))


def _call(entry: Mapping[Any, Any]) -> ToolCall:
    query = entry.get("query")
    return ToolCall(
        str(entry.get("tool") or "")[:100],
        query.strip()[:MAX_QUERY_CHARS] if isinstance(query, str) else "",
        _texts(entry.get("ids"), MAX_IDS),
    )


def _texts(value: Any, most: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(dict.fromkeys(one for one in value if isinstance(one, str)))[:most]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
