"""Reflect: an answer in words with its evidence. Without a language model it quotes, and says so."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
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
    it is kept; sent again under the same `operation_id` it is answered from what is kept, or will be.
    """
    reflections: Reflections = request.app.state.reflections
    question = to_question(body)
    keep = None
    if body.store:
        lease_s = request.app.state.settings.request_timeout_s if client.reflecting.with_model else None
        keep = _Keep(client.reflecting.stored, bank, body, question, lease_s)
    events = _made(reflections, bank, question, keep)
    if not body.stream:
        async with aclosing(events):
            return json_response([_row(body, event) async for event in events if not isinstance(event, Progress)][-1])
    first = await anext(events)  # what is wrong with the request is answered as such
    return StreamingResponse(_events(body, first, events), media_type="text/event-stream")


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that was stored now."""

    answered: Answered
    reflection_id: str


_Made = Progress | Answered | _Kept | StoredReflection


class _Keep:
    """Where the answer to one request is stored. lease_s None: nothing is paid for it, who asks twice does no harm."""

    def __init__(
        self,
        stored: ReflectionClient,
        bank: Scope,
        body: wire.ReflectRequest,
        question: Question,
        lease_s: float | None,
    ) -> None:
        self._stored = stored
        tags = tuple(dict.fromkeys((body.tags or ()) if body.store_tags is None else body.store_tags))
        self._asked = bank, body.operation_id or str(uuid.uuid4()), question, tags
        self._lease_s = lease_s

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[StoredReflection | None]:
        """What is stored under the request's operation id, else nobody beside this request makes it."""
        if self._lease_s is None:
            yield await self._stored.find(*self._asked)
            return
        async with self._stored.claimed(*self._asked, self._lease_s) as known:
            yield known

    async def store(self, answered: Answered) -> _Kept:
        """Keep an answer."""
        return _Kept(answered, (await self._stored.store(*self._asked, answered)).id)


async def _made(
    reflections: Reflections, bank: Scope, question: Question, keep: _Keep | None
) -> AsyncGenerator[_Made, None]:
    """What is done for an answer; the answer comes last."""
    if keep is None:
        async for event in reflections.watch(bank, question):
            yield event
        return
    async with keep.claimed() as known:
        if known is not None:
            yield known
            return
        async for event in reflections.watch(bank, question):
            yield await keep.store(event) if isinstance(event, Answered) else event


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


async def _events(body: wire.ReflectRequest, first: _Made, rest: AsyncGenerator[_Made, None]) -> AsyncIterator[bytes]:
    try:
        async with aclosing(rest):
            yield _event(body, first)
            async for event in rest:
                yield _event(body, event)
    except (TimeoutError, LorebankError) as exc:
        yield b"event: error\ndata: " + bytes(response_of(exc).body) + b"\n\n"


def _event(body: wire.ReflectRequest, event: _Made) -> bytes:
    if not isinstance(event, Progress):
        return _line("answer", _row(body, event))
    calls = [{"tool": call.tool, "query": call.query} for call in event.calls]
    return _line("step", {"doing": event.doing, "calls": calls})


def _row(body: wire.ReflectRequest, made: Answered | _Kept | StoredReflection) -> dict[str, Any]:
    if isinstance(made, StoredReflection):
        return stored_row(body, made)
    if isinstance(made, _Kept):
        return answer_row(body, made.answered) | {"reflection_id": made.reflection_id}
    return answer_row(body, made)


def _line(name: str, row: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: ".encode() + orjson.dumps(row) + b"\n\n"
