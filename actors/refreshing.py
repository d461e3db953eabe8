"""Refreshes of mental models: reflect on the standing question, or edit what there is by what came since."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from actors.reflecting import Character, Reflector, usage_of
from memory.extraction.grouping import estimate_tokens
from memory.ids import Scope
from memory.mental_models import MentalModel, RefreshMode
from memory.model_edits import EDIT_TASK, Edit, apply_edits, blocks_of, edits_schema, read_edits
from memory.records import Source, UnitType
from memory.reflect_commands import Refreshed
from memory.reflecting.evidence import Evidence
from memory.reflecting.loop import STEP_TOKENS
from memory.reflecting.port import MENTAL_MODEL, Answered, AskModel, ModelAway, Piece, Question
from memory.reflecting.prompt import edit_message, fenced, question_message
from memory.reflecting.quoting import QUOTED
from memory.store_calls import ReadHead, Store

NO_CONTENT = "there is no content to edit"
QUERY_CHANGED = "the source query has changed"
MAX_SOURCES = 400
"""Units that a content may rest on; a document that rests on more is made anew rather than edited."""


class RefreshFailedError(Exception):
    """No content was made; what there was stays. tokens: what was spent on it."""

    def __init__(self, reason: str, tokens: int = 0) -> None:
        super().__init__(reason)
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class RefreshRun:
    """What a refresh did: its result, the text of the reflection before edits, edits, and why it ran in its mode."""

    result: Refreshed
    answered: Answered
    fallback: str = ""
    applied: tuple[Edit, ...] = ()
    skipped: tuple[Edit, ...] = ()
    took_ms: int = 0


class Refresher:
    """Refreshes mental models from one event loop; writes nothing."""

    def __init__(self, store: Store, reflector: Reflector, seconds: float, *, with_model: bool) -> None:
        self._store = store
        self._reflector = reflector
        self._seconds = seconds
        self._with_model = with_model

    async def refresh(self, scope: Scope, model: MentalModel, mode: RefreshMode) -> RefreshRun:
        """The content a mental model is to have.

        Raises:
            RefreshFailedError: the language model did not answer.
            RetryLater: the store does not answer.
        """
        began_s = time.monotonic()
        head = await self._store.perform(scope, ReadHead())
        seen_seq = head.seq if head is not None else 0
        fallback = self._fallback(model) if mode == "delta" else ""
        if mode == "full" or fallback:
            run = await self._anew(scope, model, seen_seq)
        else:
            run = await self._edited(scope, model, seen_seq)
        return replace(run, fallback=fallback, took_ms=round((time.monotonic() - began_s) * 1000))

    def _fallback(self, model: MentalModel) -> str:
        """Why a model cannot be edited; empty: it can."""
        if not model.content:
            return NO_CONTENT
        if model.answered != model.source_query:
            return QUERY_CHANGED
        if len(model.sources) > MAX_SOURCES:
            return "it rests on too many memories to be edited"
        return "" if self._with_model else "without a language model nothing is edited"

    async def _anew(self, scope: Scope, model: MentalModel, seen_seq: int) -> RefreshRun:
        answered = await self._reflector.reflect(scope, question_of(model), self._seconds)
        if self._with_model and answered.mode != "llm":
            raise RefreshFailedError(answered.reason, answered.prompt_tokens + answered.answer_tokens)
        content = answered.text if answered.seen else ""
        sources = sources_of(answered.seen)
        changed = content != model.content
        kept = _shown(answered)
        tokens = kept["usage"]["total_tokens"]
        result = Refreshed(content, "full", sources, seen_seq, model.source_query, changed, kept, tokens)
        return RefreshRun(result, answered)

    async def _edited(self, scope: Scope, model: MentalModel, seen_seq: int) -> RefreshRun:
        question = replace(question_of(model), after_seq=model.seen_seq)
        pieces = await self._reflector.look_up(scope, question)
        if not pieces:
            same = Refreshed(model.content, "delta", model.sources, seen_seq, model.answered, changed=False)
            result = replace(same, reflection=model.reflection or {})
            return RefreshRun(result, Answered(model.content, "llm"))
        evidence = Evidence(self._reflector.evidence_tokens)
        rows, _ = evidence.show(pieces)
        character: Character = await self._reflector.character(scope)
        brief = self._reflector.brief_for(character, question)
        blocks = [{"block": number, "text": text} for number, text in enumerate(blocks_of(model.content), 1)]
        messages = (
            {"role": "system", "content": edit_message(brief, EDIT_TASK)},
            {"role": "user", "content": question_message(question, self._reflector.now())},
            {"role": "user", "content": fenced({"document": blocks, "remembered_since": rows})},
        )
        prompt = sum(estimate_tokens(message["content"]) for message in messages)
        wish = AskModel("edit", messages, edits_schema(), model.max_tokens + STEP_TOKENS, prompt, self._seconds)
        reply = await self._reflector.ask(scope, wish)
        if isinstance(reply, ModelAway):
            raise RefreshFailedError(reply.reason)
        read = read_edits(reply.completion.text)
        if read is None:
            spent = reply.completion.prompt_tokens + reply.completion.completion_tokens
            raise RefreshFailedError("the language model's edits could not be read", spent)
        edits, labels = read
        content, applied, skipped = apply_edits(model.content, edits)
        seen = evidence.pieces
        sources = tuple({source.unit_id: source for source in (*model.sources, *sources_of(seen))}.values())
        answered = Answered(
            content,
            "llm",
            based_on=evidence.named(labels) or seen,
            seen=seen,
            directives=brief.directives,
            prompt_tokens=reply.completion.prompt_tokens,
            answer_tokens=reply.completion.completion_tokens,
        )
        changed = content != model.content
        kept = _shown(answered)
        tokens = kept["usage"]["total_tokens"]
        result = Refreshed(content, "delta", sources, seen_seq, model.source_query, changed, kept, tokens)
        return RefreshRun(result, answered, "", tuple(applied), tuple(skipped))


def question_of(model: MentalModel) -> Question:
    """The standing question, as its trigger wants it asked; never answered from the model itself."""
    trigger = model.trigger
    return Question(
        query=model.source_query,
        budget=trigger.get("budget") or "mid",
        max_tokens=model.max_tokens,
        schema=trigger.get("response_schema"),
        where=model.where,
        scoped=bool(model.tags or trigger.get("tag_groups")),
        types=tuple(UnitType(kind) for kind in trigger.get("fact_types") or ()),
        use_mental_models=not trigger.get("exclude_mental_models"),
        excluded_mental_models=(model.id, *(trigger.get("exclude_mental_model_ids") or ())),
    )


def sources_of(pieces: Sequence[Piece]) -> tuple[Source, ...]:
    """All units that pieces are or rest on: what a content is retracted by."""
    found: dict[str, Source] = {}
    for piece in pieces:
        if piece.kind == MENTAL_MODEL:
            found.update((unit, Source(unit, seq, content)) for unit, seq, content in piece.payload["sources"])
        else:
            # What recall brings has no content hash; a unit whose text is corrected gets a new seq.
            found[piece.id] = Source(piece.id, int(piece.payload["seq"]), str(piece.payload.get("content_hash", "")))
    return tuple(found.values())


def _shown(answered: Answered) -> dict[str, Any]:
    """What is kept of a reflection with the content it made."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    most = 4 * max(QUOTED.values())
    for piece in answered.based_on[:most]:
        kind = "mental-models" if piece.kind == MENTAL_MODEL else str(piece.payload["type"])
        by_type.setdefault(kind, []).append({"id": piece.id, "text": piece.text})
    if answered.directives:
        by_type["directives"] = [
            {"id": rule.id, "name": rule.name, "content": rule.content} for rule in answered.directives
        ]
    return {
        "text": answered.text,
        "based_on": by_type,
        "mode": answered.mode,
        "structured_output": dict(answered.structured) if answered.structured is not None else None,
        "usage": usage_of(answered),
    }
