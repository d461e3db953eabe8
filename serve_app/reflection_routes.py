"""Stored reflections: answers that were asked to be kept."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from lorebank import wire
from memory.encoding import instant_to_text
from memory.ids import Scope
from memory.reflections import StoredReflection
from serve_app.body import JsonRoute
from serve_app.directive_routes import TagsQuery
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response
from serve_app.wire_to_core import to_filter

router = APIRouter(route_class=JsonRoute, tags=["reflect"])

REFLECTIONS = BANK + "/reflections"
REFLECTION = REFLECTIONS + "/{reflection_id}"


@router.get(REFLECTIONS, response_model=wire.ReflectionListResponse)
async def list_reflections(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    tags: TagsQuery = None,
    tags_match: wire.TagsMatch = "any",
) -> Response:
    """A page of stored reflections, newest first, without their evidence. Recall finds them by type `reflection`."""
    where = to_filter(tags, tags_match)
    found, total = await client.reflecting.stored.list(bank, where, limit=limit, offset=offset)
    rows = [_row(bank, one) for one in found]
    return json_response({"items": rows, "total": total, "limit": limit, "offset": offset})


@router.get(REFLECTION, response_model=wire.ReflectionResponse)
async def get_reflection(bank: Bank, client: Client, reflection_id: PathId) -> Response:
    """One stored reflection with its evidence."""
    found = await client.reflecting.stored.get(bank, reflection_id)
    return json_response(_row(bank, found) | {"based_on": dict(found.answer or {}).get("based_on")})


@router.delete(REFLECTION, response_model=wire.DeleteResponse)
async def delete_reflection(bank: Bank, client: Client, reflection_id: PathId) -> Response:
    """Delete a stored reflection; what it rests on stays."""
    await client.reflecting.stored.delete(bank, str(uuid.uuid4()), reflection_id)
    return json_response({"success": True, "message": f"reflection {reflection_id} is deleted", "deleted_count": 1})


def _row(bank: Scope, stored: StoredReflection) -> dict[str, Any]:
    answer = dict(stored.answer or {})
    answer.pop("based_on", None)
    return {
        "id": stored.id,
        "bank_id": bank.bank,
        "operation_id": stored.operation_id,
        "query": stored.query,
        "text": stored.text,
        "tags": list(stored.tags),
        "created_at": instant_to_text(stored.created_at),
        "sources": len(stored.sources),
        **answer,
    }
