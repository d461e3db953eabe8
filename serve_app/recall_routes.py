"""Recall: what matters for a query, with the chunks, entities and source facts asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.ids import Scope
from memory.recall import Ranked, RecallAnswer
from memory.records import UnitKind
from serve_app.body import JsonRoute
from serve_app.core_to_wire import entity_rows, result_row
from serve_app.observation_rows import source_facts, without_repeated
from serve_app.request_context import BANK, RECALL, Bank, Client, Tenant, json_response
from serve_app.shares import Shares
from serve_app.wire_to_core import to_address, to_recall_query

router = APIRouter(route_class=JsonRoute, tags=["recall"])


@router.post(BANK + "/memories/recall", response_model=wire.RecallResponse)
async def recall(bank: Bank, client: Client, body: wire.RecallRequest) -> Response:
    """Units that answer the query, best first. A bank nobody wrote to has none."""
    found = await client.recall(bank, to_recall_query(body))
    return json_response(await _answer_row(client, bank, found, body))


async def _answer_row(
    client: BankClient, bank: Scope, found: RecallAnswer, request: wire.RecallRequest
) -> dict[str, Any]:
    """Parts asked for are objects, if empty ones; parts that are off are null. bank: of the results that name none."""
    chunks, asked = request.include.chunks, request.include.source_facts
    if request.prefer_observations:
        found = replace(found, results=await without_repeated(client, bank, found.results))
    facts, cut = await source_facts(client, bank, found.results, asked) if asked is not None else (None, None)
    answer: dict[str, Any] = {
        "results": [result_row(result) for result in found.results],
        "trace": found.trace,
        "entities": entity_rows(found.results) if request.include.entities is not None else None,
        "chunks": await _chunks(client, bank, found.results, chunks.max_tokens) if chunks is not None else None,
        "source_facts": facts,
        "source_facts_truncated": cut,
    }
    if request.as_of is not None:
        answer["history_incomplete"] = found.incomplete
    if found.reranked is not None:
        answer["reranked"] = found.reranked
    if found.stale or request.min_seq is not None:
        answer["stale"] = found.stale
    return answer


@router.post(RECALL, response_model=wire.RecallResponse)
async def recall_stack(request: Request, tenant: Tenant, client: Client, body: wire.StackRecallRequest) -> Response:
    """Units of several banks that answer the query, best first; where two say the same, the nearer bank's first.

    The banks are named, the nearest first, or those that exist of the tiers seen from a scope: user of the agent, user,
    agent, host.
    """
    banks = body.banks
    if body.scope is not None:
        banks = await client.stacks.find_banks(tenant, to_address(body.scope))
    if not banks:
        empty = await _answer_row(client, Scope(tenant, ""), RecallAnswer(()), body)
        return json_response({**empty, "banks": [], "missing_banks": []})
    shares: Shares = request.state.shares
    async with shares.held((tenant, banks[0])):
        found = await client.stacks.recall(tenant, banks, to_recall_query(body), body.min_seqs)
        answer = await _answer_row(client, Scope(tenant, banks[0]), found.answer, body)
    answer |= {"banks": list(found.banks), "missing_banks": list(found.missing)}
    if body.min_seqs:
        answer["stale"] = found.answer.stale
    return json_response(answer)


async def _chunks(client: BankClient, bank: Scope, results: Sequence[Ranked], max_tokens: int) -> dict[str, Any]:
    """Chunks the results come from, best first, within the budget; the last one may be cut."""
    chosen = [result for result in results if result.payload["kind"] == UnitKind.CHUNK]
    wanted: dict[Scope, dict[str, None]] = {}
    for result in chosen:
        own = Scope(bank.tenant, result.bank) if result.bank else bank
        wanted.setdefault(own, {})[str(result.payload["document_id"])] = None
    found = await asyncio.gather(*(client.get_documents(own, tuple(ids)) for own, ids in wanted.items()))
    places = {
        entry.unit_id: index
        for documents in found
        for document in documents.values()
        for index, entry in enumerate(document.chunks)
    }
    chunks: dict[str, Any] = {}
    left = max_tokens
    for result in chosen:
        tokens = int(result.payload.get("text_tokens", 0))
        text = _within(result.payload, tokens, left)
        if not text:
            break
        chunks[result.id] = {
            "id": result.id,
            "text": text,
            "chunk_index": places.get(result.id, 0),
            "truncated": tokens > left,
        }
        left -= tokens
    return chunks


def _within(payload: Mapping[str, Any], tokens: int, left: int) -> str:
    """The text, or about as much of it as `left` tokens hold."""
    text = str(payload["text"])
    return text if tokens <= left else text[: len(text) * max(0, left) // tokens]
