"""Recall: what matters for a query, with the chunks, entities and source facts asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.ids import Scope
from memory.recall import Ranked
from memory.records import UnitKind
from serve_app.body import JsonRoute
from serve_app.core_to_wire import entity_rows, result_row
from serve_app.request_context import BANK, Bank, Client, json_response
from serve_app.wire_to_core import to_recall_query

router = APIRouter(route_class=JsonRoute, tags=["recall"])


@router.post(BANK + "/memories/recall", response_model=wire.RecallResponse)
async def recall(bank: Bank, client: Client, body: wire.RecallRequest) -> Response:
    """Units that answer the query, best first. A bank nobody wrote to has none."""
    return json_response(await recall_answer(client, bank, body))


async def recall_answer(client: BankClient, bank: Scope, request: wire.RecallRequest) -> dict[str, Any]:
    """The answer to a recall: parts asked for are objects, if empty ones; parts that are off are null."""
    found = await client.recall(bank, to_recall_query(request))
    chunks = request.include.chunks
    source_facts = request.include.source_facts
    return {
        "results": [result_row(result) for result in found.results],
        "trace": found.trace,
        "entities": entity_rows(found.results) if request.include.entities is not None else None,
        "chunks": await _chunks(client, bank, found.results, chunks.max_tokens) if chunks is not None else None,
        "source_facts": {} if source_facts is not None else None,
        "source_facts_truncated": False if source_facts is not None else None,
    }


async def _chunks(client: BankClient, bank: Scope, results: Sequence[Ranked], max_tokens: int) -> dict[str, Any]:
    """Chunks the results come from, best first, within the budget; the last one may be cut."""
    chosen = [result for result in results if result.payload["kind"] == UnitKind.CHUNK]
    ids = tuple(dict.fromkeys(str(result.payload["document_id"]) for result in chosen))
    documents = await client.get_documents(bank, ids) if ids else {}
    places = {entry.unit_id: index for document in documents.values() for index, entry in enumerate(document.chunks)}
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
