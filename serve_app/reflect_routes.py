"""Reflect: an answer in words with its evidence. Without a language model it quotes, and says so."""

import time
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.reflection import EVIDENCE_BY_BUDGET, MODE, Reflection, reflect_by_quoting
from serve_app.body import JsonRoute
from serve_app.core_to_wire import evidence_row
from serve_app.request_context import BANK, Bank, Client, json_response
from serve_app.wire_to_core import to_filter, to_types

router = APIRouter(route_class=JsonRoute, tags=["reflect"])


@router.post(BANK + "/reflect", response_model=wire.ReflectResponse)
async def reflect(bank: Bank, client: Client, body: wire.ReflectRequest) -> Response:
    """An answer composed of what is remembered; structured as `response_schema` says where one is given."""
    return json_response(await reflect_answer(client, bank, body))


async def reflect_answer(client: BankClient, bank: Scope, request: wire.ReflectRequest) -> dict[str, Any]:
    """Recall with the query, then answer by quoting."""
    query = RecallQuery(
        query=f"{request.query}\n{request.context}" if request.context else request.query,
        types=to_types(request.fact_types),
        budget=request.budget,
        max_tokens=request.max_tokens,
        limit=EVIDENCE_BY_BUDGET[request.budget],
        where=to_filter(request.tags, request.tags_match, request.tag_groups),
    )
    started_s = time.perf_counter()
    found = await client.recall(bank, query)
    duration_ms = round((time.perf_counter() - started_s) * 1000)
    reflection = reflect_by_quoting(found.results, request.budget, request.max_tokens, request.response_schema)
    return {
        "text": reflection.text,
        "based_on": _based_on(reflection) if request.include.facts is not None else None,
        "structured_output": reflection.structured,
        "structured_output_error": reflection.structured_error,
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        "trace": _trace(request, query, reflection, duration_ms) if request.include.tool_calls is not None else None,
        "mode": MODE,
    }


def _based_on(reflection: Reflection) -> dict[str, Any]:
    return {
        "memories": [evidence_row(result) for result in reflection.evidence],
        "mental_models": [],
        "directives": [],
    }


def _trace(
    request: wire.ReflectRequest, query: RecallQuery, reflection: Reflection, duration_ms: int
) -> dict[str, Any]:
    wanted = request.include.tool_calls is not None and request.include.tool_calls.output
    call = {
        "tool": "recall",
        "input": {"query": query.query, "budget": query.budget, "max_tokens": query.max_tokens},
        "output": {"memories": [evidence_row(result) for result in reflection.evidence]} if wanted else None,
        "duration_ms": duration_ms,
        "iteration": 0,
    }
    return {"tool_calls": [call], "llm_calls": []}
