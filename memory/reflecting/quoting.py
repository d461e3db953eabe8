"""An answer without a language model: mental models and quotes of what was found, with dates and who said it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory.errors import Unprocessable
from memory.packing import pack
from memory.recipes import Budget
from memory.reflecting.port import MENTAL_MODEL, Piece, Question
from memory.schema_filling import fill_schema
from memory.schema_values import NOTHING_REMEMBERED

QUOTED: Mapping[Budget, int] = {"low": 5, "mid": 8, "high": 12}
"""Pieces quoted at most."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """The text with the pieces it quotes; `structured_error` says why a schema could not be filled."""

    text: str
    pieces: tuple[Piece, ...]
    structured: Mapping[str, Any] | None = None
    structured_error: str | None = None


def quoted(pieces: Sequence[Piece], question: Question, reason: str, rules: int = 0) -> Quotation:
    """The answer of pieces, best first, never empty. reason: why it only quotes; rules: how many it cannot apply."""
    ids = {piece.id for piece in pieces}
    plain = [piece for piece in pieces if not any(source["unit_id"] in ids for source in _sources(piece))]
    order = sorted(plain, key=lambda piece: piece.kind != MENTAL_MODEL)
    chosen = pack([piece.tokens for piece in order], question.max_tokens, QUOTED[question.budget])
    kept = tuple(order[index] for index in chosen)
    unruled = f" {rules} directives apply; quotes cannot follow them." if rules else ""
    if kept:
        introduction = f"{reason}, so this answer quotes what is remembered, most relevant first:{unruled}"
        text = "\n".join((introduction, "", *map(_quote, kept)))
    else:
        text = f"{NOTHING_REMEMBERED} ({reason}: answers quote memory.){unruled}"
    if question.schema is None:
        return Quotation(text, kept)
    try:
        return Quotation(text, kept, fill_schema(question.schema, [piece.text for piece in kept]))
    except Unprocessable as exc:
        return Quotation(text, kept, structured_error=str(exc))


def _sources(piece: Piece) -> Sequence[Mapping[str, Any]]:
    """What a unit was drawn from; a mental model is no repetition of what it rests on."""
    return () if piece.kind == MENTAL_MODEL else piece.payload.get("sources", ())


def _quote(piece: Piece) -> str:
    """One line: who said it, when, and the words."""
    payload = piece.payload
    words = " ".join(piece.text.split())
    if piece.kind == MENTAL_MODEL:
        return f"- {payload.get('name', '')} (as of {str(payload.get('as_of') or '')[:10]}): {words}"
    day = str(payload.get("occurred_start") or payload.get("mentioned_at") or "")[:10]
    source = ", ".join(part for part in (payload.get("speaker"), day) if part)
    return f"- {source}: “{words}”" if source else f"- “{words}”"
