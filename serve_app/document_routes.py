"""Documents and their chunks."""

import uuid
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.commands import DeleteDocument
from memory.encoding import instant_to_text
from memory.filters import holds
from memory.ids import Scope
from memory.records import Document
from serve_app.body import JsonRoute
from serve_app.core_to_wire import chunk_row
from serve_app.ids_in_paths import PathId
from serve_app.memory_routes import require_unit_id
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, Tenant, json_response, scan
from serve_app.wire_to_core import to_filter

router = APIRouter(route_class=JsonRoute, tags=["documents"])

DOCUMENTS = BANK + "/documents"
DOCUMENT = DOCUMENTS + "/{document_id}"


@router.get(DOCUMENTS, response_model=wire.ListDocumentsResponse)
async def list_documents(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Annotated[str | None, Query(max_length=wire.MAX_QUERY_CHARS)] = None,
    tags: Annotated[list[str] | None, Query(max_length=wire.MAX_TAGS)] = None,
    tags_match: wire.TagsMatch = "any",
) -> Response:
    """A page of documents without their texts, last updated first; `q` is looked for in their ids."""
    where = to_filter(tags, tags_match)
    if not q and not tags and tags_match != "exact":
        page = await client.list_documents(bank, limit=limit, offset=offset)
        found, total, estimated = list(page.documents), page.total, False
    else:
        kept, estimated = await scan(
            lambda rows, start: _page(client, bank, rows, start),
            lambda document: (
                (not q or q.lower() in document.id.lower()) and holds(where, document.id, {"tags": document.tags})
            ),
        )
        found, total = kept[offset : offset + limit], len(kept)
    items = [_document_row(bank, document) for document in found]
    return json_response(
        {"items": items, "total": total, "limit": limit, "offset": offset, "total_is_estimate": estimated}
    )


@router.get(DOCUMENT, response_model=wire.DocumentResponse)
async def get_document(bank: Bank, client: Client, document_id: PathId) -> Response:
    """One document with its text, byte for byte as it was retained."""
    whole = await client.show_document(bank, document_id)
    document = whole.document
    stages = await client.find_stages(bank, document_id)
    kinds = Counter(entry.type.value for entry in document.chunks)
    return json_response(
        {
            **_document_row(bank, document),
            "original_text": whole.text,
            "nodes_by_fact_type": dict(kinds),
            "observation_scopes": None,
            "seq": document.seq,
            "version": document.version,
            "stage": "extracted" if stages.get("extract") == "done" else "accepted",
        }
    )


@router.delete(DOCUMENT, response_model=wire.DeleteDocumentResponse)
async def delete_document(bank: Bank, client: Client, document_id: PathId) -> Response:
    """Delete a document with its units and what was derived from them."""
    receipt = await client.delete_document(bank, DeleteDocument(str(uuid.uuid4()), document_id))
    return json_response(
        {
            "success": True,
            "message": f"document {document_id} and {receipt.units_deleted} memories deleted",
            "document_id": document_id,
            "memory_units_deleted": receipt.units_deleted,
        }
    )


@router.get(DOCUMENT + "/chunks", response_model=wire.ListChunksResponse)
async def list_chunks(
    bank: Bank, client: Client, document_id: PathId, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """A page of a document's chunks, in order."""
    part = await client.show_document(bank, document_id, (offset, offset + limit))
    items = [chunk_row(bank.bank, chunk, offset + index) for index, chunk in enumerate(part.chunks)]
    return json_response({"items": items, "total": len(part.document.chunks), "limit": limit, "offset": offset})


@router.get("/v1/default/chunks/{chunk_id}", response_model=wire.ChunkResponse)
async def get_chunk(tenant: Tenant, client: Client, chunk_id: PathId) -> Response:
    """One chunk by its id alone."""
    require_unit_id(chunk_id)
    scope, unit = await client.find_unit(tenant, chunk_id)
    document = (await client.get_documents(scope, (unit.document_id,))).get(unit.document_id)
    order = [entry.unit_id for entry in document.chunks] if document else []
    return json_response(chunk_row(scope.bank, unit, order.index(unit.id) if unit.id in order else 0))


async def _page(client: BankClient, bank: Scope, limit: int, offset: int) -> tuple[list[Document], int]:
    page = await client.list_documents(bank, limit=limit, offset=offset)
    return list(page.documents), page.total


def _document_row(bank: Scope, document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "bank_id": bank.bank,
        "content_hash": document.content_hash,
        "created_at": instant_to_text(document.created_at),
        "updated_at": instant_to_text(document.updated_at),
        "text_length": document.text_bytes,
        "memory_unit_count": len(document.chunks),
        "retain_params": {"context": document.context} if document.context else None,
        "document_metadata": dict(document.metadata),
        "tags": list(document.tags),
    }
