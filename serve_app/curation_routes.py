"""Curation: correcting facts, how they were corrected, previews of extraction, and what a bank knows by category."""

import uuid
from collections import defaultdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.commands import CurateFact, Item, ReprocessDocument
from memory.curation import INVALIDATED
from memory.encoding import instant_to_text
from memory.errors import InvalidRequest, NotFound
from memory.extraction.port import WindowFact
from memory.ids import Scope
from memory.recall import HOLDING
from memory.records import Unit, UnitKind
from serve_app.body import JsonRoute
from serve_app.core_to_wire import unit_detail
from serve_app.ids_in_paths import PathId
from serve_app.memory_routes import require_unit_id, unit_of
from serve_app.observation_rows import observation_history
from serve_app.request_context import BANK, Bank, Client, json_response, scan

router = APIRouter(route_class=JsonRoute, tags=["curation"])

MEMORY = BANK + "/memories/{memory_id}"
_FIELDS = ("text", "context", "occurred_start", "occurred_end", "mentioned_at", "entities")


@router.patch(MEMORY, response_model=wire.MemoryUnitResponse)
async def patch_memory(bank: Bank, client: Client, memory_id: PathId, body: wire.UpdateMemoryRequest) -> Response:
    """Correct a fact, invalidate it, or restore it; chunks are changed by retaining their document again."""
    require_unit_id(memory_id)
    given = body.model_dump(exclude_unset=True, include=set(_FIELDS))
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes and body.state is None:
        raise InvalidRequest("say what to change: text, context, dates, entities or state")
    await client.curation.curate_fact(bank, CurateFact(str(uuid.uuid4()), memory_id, changes, body.state, body.reason))
    return json_response(await _curated(client, bank, memory_id))


@router.get(MEMORY + "/history", response_model=wire.MemoryHistoryResponse)
async def get_history(bank: Bank, client: Client, memory_id: PathId) -> Response:
    """How a memory was curated, or what an observation said before, oldest first."""
    require_unit_id(memory_id)
    found = await client.curation.find_curation(bank, memory_id)
    if found is None:
        unit = await unit_of(client, bank, memory_id)
        rows = await observation_history(client, bank, unit.id) if unit.kind is UnitKind.OBSERVATION else []
        return json_response({"memory_id": memory_id, "state": "valid", "history": rows})
    return json_response({"memory_id": memory_id, "state": found.state, "history": list(found.history)})


@router.post(BANK + "/memories/dry-run-extract", response_model=wire.DryRunExtractResponse)
async def dry_run(bank: Bank, client: Client, body: wire.DryRunExtractRequest) -> Response:
    """The facts that would be found in a text; nothing is stored."""
    metadata = {"speaker": body.agent_name} if body.agent_name else {}
    item = Item(body.content, timestamp=body.timestamp, context=body.context, metadata=metadata)
    overrides = body.model_dump(
        include={"retain_mission", "retain_extraction_mode", "retain_custom_instructions"}, exclude_none=True
    )
    found, name = await client.curation.preview_extraction(bank, item, overrides)
    return json_response({"facts": [_fact_row(fact) for fact in found], "extractor": name})


@router.post(BANK + "/documents/{document_id}/reprocess", response_model=wire.ReprocessDocumentResponse)
async def reprocess_document(bank: Bank, client: Client, document_id: PathId) -> Response:
    """Have a document's facts found anew from its stored text."""
    receipt = await client.curation.reprocess_document(bank, ReprocessDocument(str(uuid.uuid4()), document_id))
    return json_response({"success": True, "operation_id": receipt.operation_id, "items_count": 1})


@router.get(BANK + "/profile/memories", response_model=wire.ProfileMemoriesResponse)
async def profile_memories(bank: Bank, client: Client) -> Response:
    """Facts that hold today, by category, the latest first."""
    found, _ = await scan(lambda limit, offset: _page(client, bank, limit, offset), lambda unit: bool(unit.category))
    now = client.curation.now()
    categories: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for unit in found:
        if unit.expires_at is None or unit.expires_at > now:
            categories[unit.category or ""].append(_profile_row(unit))
    return json_response({"bank_id": bank.bank, "categories": dict(sorted(categories.items()))})


async def _page(client: BankClient, bank: Scope, limit: int, offset: int) -> tuple[list[Unit], int]:
    page = await client.list_units(bank, HOLDING, limit=limit, offset=offset)
    return list(page.units), page.total


async def _curated(client: BankClient, bank: Scope, memory_id: str) -> dict[str, Any]:
    found = await client.curation.find_curation(bank, memory_id)
    if found is None:
        raise NotFound(f"no memory {memory_id!r}")
    if found.state == INVALIDATED:
        return unit_detail(found.unit) | {"state": INVALIDATED}
    return unit_detail(await unit_of(client, bank, memory_id))


def _profile_row(unit: Unit) -> dict[str, Any]:
    row = unit_detail(unit)
    return {"confidence": unit.confidence, **{name: row[name] for name in ("id", "text", "mentioned_at", "valid_from")}}


def _fact_row(found: WindowFact) -> dict[str, Any]:
    fact = found.fact
    occurred = fact.occurred
    return {
        "text": fact.text,
        "fact": fact.text,
        "fact_type": fact.type.value,
        "category": fact.category.value,
        "confidence": fact.confidence,
        "occurred_start": instant_to_text(occurred.start) if occurred else None,
        "occurred_end": instant_to_text(occurred.end) if occurred else None,
        "entities": [name for name, _ in found.entities],
        "slots": [
            {"subject": claim.subject, "attribute": claim.attribute, "value": claim.value, "holds": claim.holds}
            for claim in fact.claims
        ],
    }
