"""Reflect without a language model: an answer that quotes what is remembered, and says plainly that it only quotes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory.errors import Unprocessable
from memory.packing import pack
from memory.recall import Ranked
from memory.recipes import Budget
from memory.schema_filling import fill_schema
from memory.schema_values import NOTHING_REMEMBERED

EVIDENCE_BY_BUDGET: Mapping[Budget, int] = {"low": 5, "mid": 8, "high": 12}
"""Units quoted at most."""
MODE = "extractive"
"""How answers made here are marked."""

_INTRODUCTION = "No language model is configured, so this answer quotes what is remembered, most relevant first:"
_NOTHING = f"{NOTHING_REMEMBERED} (No language model is configured: answers quote memory.)"


@dataclass(frozen=True, slots=True)
class Reflection:
    """An answer with its evidence; `structured_error` says why a schema could not be filled."""

    text: str
    evidence: tuple[Ranked, ...]
    structured: Mapping[str, Any] | None = None
    structured_error: str | None = None


def reflect_by_quoting(
    results: Sequence[Ranked], budget: Budget, max_tokens: int, schema: Mapping[str, Any] | None = None
) -> Reflection:
    """The answer from ranked recall results, best first; never an empty text."""
    evidence = _choose(results, budget, max_tokens)
    text = "\n".join((_INTRODUCTION, "", *map(_quote, evidence))) if evidence else _NOTHING
    if schema is None:
        return Reflection(text, evidence)
    try:
        return Reflection(text, evidence, fill_schema(schema, [str(r.payload["text"]) for r in evidence]))
    except Unprocessable as exc:
        return Reflection(text, evidence, structured_error=str(exc))


def _choose(results: Sequence[Ranked], budget: Budget, max_tokens: int) -> tuple[Ranked, ...]:
    tokens = [int(result.payload.get("text_tokens", 0)) for result in results]
    return tuple(results[index] for index in pack(tokens, max_tokens, EVIDENCE_BY_BUDGET[budget]))


def _quote(result: Ranked) -> str:
    """One line: who said it, when, and the words."""
    payload = result.payload
    day = str(payload.get("occurred_start") or payload.get("mentioned_at") or "")[:10]
    source = ", ".join(part for part in (payload.get("speaker"), day) if part)
    words = " ".join(str(payload["text"]).split())
    return f"- {source}: “{words}”" if source else f"- “{words}”"
