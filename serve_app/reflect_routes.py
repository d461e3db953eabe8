"""Reflect: an answer in words with its evidence. Without a language model it quotes, and says so."""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from actors.reflecting import Progress, usage_of
from actors.reflection_client import ReflectionClient
from lorebank import wire
from memory.errors import LorebankError
from memory.ids import Scope
from memory.reflecting.port import MENTAL_MODEL, Answered, Piece, Question, TracedTool
from memory.reflections import StoredReflection
from serve_app.body import JsonRoute
from serve_app.core_to_wire import shared_fields
from serve_app.errors import response_of
from serve_app.reflections import Reflections
from serve_app.request_context import BANK, Bank, Client, json_response
from serve_app.wire_to_core import to_filter, to_types

router = APIRouter(route_class=JsonRoute, tags=["reflect"])


@router.post(BANK + "/reflect", response_model=wire.ReflectResponse)
async def reflect(bank: Bank, client: Client, request: Request, body: wire.ReflectRequest) -> Response:
    """An answer composed of what is remembered; structured as `response_schema` says where one is given.

    With `stream` it comes as server-sent events: `step` for what is being done, then `answer`, or `error`. With `store`
    it is kept; sent again under the same `operation_id` it is answered from what is kept.
    """
    reflections: Reflections = request.app.state.reflections
    question = to_question(body)
    keep = _Keep(client.reflecting.stored, bank, body, question) if body.store else None
    known = await keep.find() if keep else None
    if known is not None:
        row = stored_row(body, known)
        return Response(_line("answer", row), media_type="text/event-stream") if body.stream else json_response(row)
    if not body.stream:
        answered = await reflections.answer(bank, question)
        return json_response(await _finished(body, keep, answered))
    events = aiter(reflections.watch(bank, question))
    first = await anext(events)  # what is wrong with the request is answered as such
    return StreamingResponse(_events(body, keep, first, events), media_type="text/event-stream")


class _Keep:
    """Where the answer to one request is stored."""

    def __init__(self, stored: ReflectionClient, bank: Scope, body: wire.ReflectRequest, question: Question) -> None:
        self._stored = stored
        self._bank = bank
        self._operation_id = body.operation_id or str(uuid.uuid4())
        self._tags = tuple(dict.fromkeys((body.tags or ()) if body.store_tags is None else body.store_tags))
        self._question = question

    async def find(self) -> StoredReflection | None:
        """What is stored under the request's operation id."""
        return await self._stored.find(self._bank, self._operation_id, self._question, self._tags)

    async def store(self, answered: Answered) -> str:
        """Keep an answer; its id."""
        stored = await self._stored.store(self._bank, self._operation_id, self._question, self._tags, answered)
        return stored.id


async def _finished(body: wire.ReflectRequest, keep: _Keep | None, answered: Answered) -> dict[str, Any]:
    row = answer_row(body, answered)
    return row if keep is None else row | {"reflection_id": await keep.store(answered)}


def to_question(body: wire.ReflectRequest) -> Question:
    """The question of a request."""
    return Question(
        query=body.query,
        context=body.context or "",
        budget=body.budget,
        max_tokens=body.max_tokens,
        schema=body.response_schema,
        where=to_filter(body.tags, body.tags_match, body.tag_groups),
        scoped=bool(body.tags or body.tag_groups),
        types=to_types(body.fact_types),
        all_directives=body.apply_all_directives,
        use_mental_models=not body.exclude_mental_models,
        excluded_mental_models=tuple(body.exclude_mental_model_ids),
    )


def answer_row(body: wire.ReflectRequest, answered: Answered) -> dict[str, Any]:
    """The answer as the wire has it, with the parts that were asked for."""
    tool_calls = body.include.tool_calls
    return {
        "text": answered.text,
        "based_on": based_on_row(answered) if body.include.facts is not None else None,
        "structured_output": answered.structured,
        "structured_output_error": answered.structured_error,
        "usage": usage_of(answered),
        "trace": trace_row(answered, outputs=tool_calls.output) if tool_calls is not None else None,
        "mode": answered.mode,
        "reason": answered.reason or None,
    }


def stored_row(body: wire.ReflectRequest, stored: StoredReflection) -> dict[str, Any]:
    """An answer that was stored before, as the wire has it; there is no trace of it."""
    answer = dict(stored.answer or {})
    based_on = answer.pop("based_on", None)
    shown = based_on if body.include.facts is not None else None
    return {"text": stored.text, "based_on": shown, "trace": None, **answer, "reflection_id": stored.id}


def based_on_row(answered: Answered) -> dict[str, Any]:
    """What an answer rests on."""
    models = [piece for piece in answered.based_on if piece.kind == MENTAL_MODEL]
    return {
        "memories": [_memory(piece) for piece in answered.based_on if piece.kind != MENTAL_MODEL],
        "mental_models": [
            {"id": piece.id, "text": piece.text, "context": piece.payload.get("name")} for piece in models
        ],
        "directives": [{"id": rule.id, "name": rule.name, "content": rule.content} for rule in answered.directives],
    }


def trace_row(answered: Answered, *, outputs: bool) -> dict[str, Any]:
    """The calls that were made, in order."""
    return {
        "tool_calls": [_tool_row(traced, outputs=outputs) for traced in answered.tools],
        "llm_calls": [
            {"scope": traced.purpose, "duration_ms": round(traced.took_s * 1000)} for traced in answered.models
        ],
    }


def _tool_row(traced: TracedTool, *, outputs: bool) -> dict[str, Any]:
    call, answer = traced.call, traced.answer
    given: Mapping[str, Any] = {"query": call.query, "ids": list(call.ids)}
    output = {"memories": [_memory(piece) for piece in answer.pieces]}
    return {
        "tool": call.tool,
        "input": {name: value for name, value in given.items() if value},
        "output": ({"refused": answer.problem} if answer.problem else output) if outputs else None,
        "duration_ms": round(answer.took_s * 1000),
        "iteration": traced.round,
    }


def _memory(piece: Piece) -> dict[str, Any]:
    if piece.kind == MENTAL_MODEL:
        return {"id": piece.id, "text": piece.text, "type": "mental_model", "context": piece.payload.get("name")}
    return shared_fields(piece.id, piece.payload)


async def _events(
    body: wire.ReflectRequest,
    keep: _Keep | None,
    first: Progress | Answered,
    rest: AsyncIterator[Progress | Answered],
) -> AsyncIterator[bytes]:
    try:
        yield await _event(body, keep, first)
        async for event in rest:
            yield await _event(body, keep, event)
    except (TimeoutError, LorebankError) as exc:
        yield b"event: error\ndata: " + bytes(response_of(exc).body) + b"\n\n"


async def _event(body: wire.ReflectRequest, keep: _Keep | None, event: Progress | Answered) -> bytes:
    if isinstance(event, Answered):
        return _line("answer", await _finished(body, keep, event))
    calls = [{"tool": call.tool, "query": call.query} for call in event.calls]
    return _line("step", {"doing": event.doing, "calls": calls})


def _line(name: str, row: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: ".encode() + orjson.dumps(row) + b"\n\n"
