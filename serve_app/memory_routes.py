"""Memories: retain, list, get."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.commands import RetainReceipt
from memory.curation import INVALIDATED
from memory.errors import NotFound
from memory.facts import EXTRACT
from memory.filters import REMEMBERED, Any_, AnyOf, Words, every
from memory.ids import Scope, bucket_of_id
from memory.records import Unit
from serve_app.body import JsonRoute
from serve_app.core_to_wire import unit_detail, unit_row
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response
from serve_app.wire_to_core import has_word, to_filter, to_retain

router = APIRouter(route_class=JsonRoute, tags=["memories"])

WAIT_SHARE = 0.8
"""Share of a request's time that it may wait for a stage."""
STATES_OF_LIVE = frozenset({"valid", "all"})
"""Values of the `state` filter under which live units are listed; the others name units that are not kept."""
CONSOLIDATION_STATES_OF_ALL = frozenset({"pending", "all"})


@router.post(BANK + "/memories", response_model=wire.RetainResponse)
async def retain(bank: Bank, client: Client, body: wire.RetainRequest) -> Response:
    """Remember items. When this answers they are durable and the next recall finds them, `async` or not.

    With `wait_for: extracted` it answers once facts have been found, or when the time is up; `stage` says which.
    """
    receipt = await client.retain(bank, to_retain(body))
    stage = await _reached(client, bank, body, receipt)
    return json_response(retain_answer(bank, body, receipt, client.settings.durability, stage))


@router.get(BANK + "/memories/list", response_model=wire.ListMemoryUnitsResponse)
async def list_memories(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    type: wire.RecallType | None = None,  # noqa: A002 - the wire's name
    q: Annotated[str | None, Query(max_length=wire.MAX_QUERY_CHARS)] = None,
    consolidation_state: str | None = None,
    state: str | None = None,
    document_id: str | None = None,
    entity_id: str | None = None,
    tags: Annotated[list[str] | None, Query(max_length=wire.MAX_TAGS)] = None,
    tags_match: wire.TagsMatch = "any",
) -> Response:
    """A page of units, newest first. `q` finds units that hold all its words."""
    if state == INVALIDATED:
        found = await client.curation.list_invalidated(bank, limit=limit, offset=offset)
        rows = [unit_row(unit) | {"state": INVALIDATED} for unit in found.units]
        return json_response({"items": rows, "total": found.total, "limit": limit, "offset": offset})
    none = (state not in {None, *STATES_OF_LIVE}) or (consolidation_state not in {None, *CONSOLIDATION_STATES_OF_ALL})
    if none:
        return json_response({"items": [], "total": 0, "limit": limit, "offset": offset})
    where = every(
        AnyOf("type", (type,)) if type else REMEMBERED,
        Any_((Words("text", q), Words("context", q))) if q is not None and has_word(q) else None,
        AnyOf("document_id", (document_id,)) if document_id else None,
        AnyOf("entities", (entity_id,)) if entity_id else None,
        to_filter(tags, tags_match),
    )
    page = await client.list_units(bank, where, limit=limit, offset=offset)
    rows = [unit_row(unit) for unit in page.units]
    return json_response({"items": rows, "total": page.total, "limit": limit, "offset": offset})


@router.get(BANK + "/memories/{memory_id}", response_model=wire.MemoryUnitResponse)
async def get_memory(bank: Bank, client: Client, memory_id: PathId) -> Response:
    """One unit."""
    return json_response(unit_detail(await unit_of(client, bank, memory_id)))


async def unit_of(client: BankClient, bank: Scope, unit_id: str) -> Unit:
    """One live unit.

    Raises:
        NotFound: no such unit in this bank, or no id of a unit at all.
    """
    require_unit_id(unit_id)
    return await client.get_unit(bank, unit_id)


def require_unit_id(text: str) -> None:
    """Check that a text has the form of a unit's id before the store is asked.

    Raises:
        NotFound: it has not, so nothing is stored under it.
    """
    try:
        bucket_of_id(text)
    except ValueError as exc:
        raise NotFound(f"no memory {text!r}") from exc


async def _reached(client: BankClient, bank: Scope, request: wire.RetainRequest, receipt: RetainReceipt) -> wire.Stage:
    if request.wait_for != "extracted":
        return "accepted"
    documents = {document.document_id: document.seq for document in receipt.documents}
    timeout_s = client.settings.request_timeout_s * WAIT_SHARE
    done = await client.wait_for_stage(bank, documents, EXTRACT, timeout_s)
    return "extracted" if done else "accepted"


def retain_answer(
    bank: Scope, request: wire.RetainRequest, receipt: RetainReceipt, durability: str, stage: wire.Stage
) -> dict[str, Any]:
    """The receipt as clients read it; `usage` counts LLM tokens, of which accepting costs none."""
    answer: dict[str, Any] = {
        "success": True,
        "bank_id": bank.bank,
        "items_count": len(request.items),
        "async": request.async_,
        "operation_id": receipt.operation_id,
        "operation_ids": [receipt.operation_id] if request.async_ else None,
        "usage": None if request.async_ else {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        "document_ids": [document.document_id for document in receipt.documents],
        "seq": receipt.seq,
        "stage": stage,
        "durability": durability,
        "replayed": receipt.replayed,
        "documents": [
            {
                "document_id": document.document_id,
                "version": document.version,
                "seq": document.seq,
                "added": document.added,
                "kept": document.kept,
                "retired": document.retired,
            }
            for document in receipt.documents
        ],
    }
    return answer
