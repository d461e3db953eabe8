"""Observations: have them made, remove them, and under which tags there are how many."""

import uuid
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lorebank import wire
from memory.consolidating.commands import ClearObservations, Consolidate
from memory.consolidating.targets import targets_of
from serve_app.body import JsonRoute, parse_json, read_body, validate
from serve_app.ids_in_paths import PathId
from serve_app.memory_routes import require_unit_id
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response

router = APIRouter(route_class=JsonRoute, tags=["observations"])


@router.post(BANK + "/consolidate", response_model=wire.ConsolidationResponse)
async def consolidate(bank: Bank, client: Client, request: Request) -> Response:
    """Consolidate what is not; the answer comes at once, its operation tells of the end.

    Of `observation_scopes` a fact is meant that has all tags of one; without them all facts are.
    """
    raw = await read_body(request, request.app.state.settings.max_body_bytes)
    body = validate(wire.ConsolidationRequest, parse_json(raw) if raw.strip() else {})
    assert isinstance(body, wire.ConsolidationRequest)
    operation_id = body.operation_id or str(uuid.uuid4())
    command = Consolidate(operation_id, targets=targets_of(body.observation_scopes))
    receipt = await client.observing.consolidate(bank, command)
    return json_response({"operation_id": receipt.operation_id, "deduplicated": receipt.joined})


@router.post(BANK + "/consolidation/recover", response_model=wire.RecoverConsolidationResponse)
async def recover(bank: Bank, client: Client) -> Response:
    """Try again what was given up on."""
    receipt = await client.observing.consolidate(bank, Consolidate(str(uuid.uuid4()), recover=True))
    return json_response({"retried_count": receipt.count})


@router.delete(BANK + "/observations", response_model=wire.DeleteResponse)
async def clear_all(bank: Bank, client: Client) -> Response:
    """Remove all observations. Where the bank consolidates by itself, they are made anew."""
    receipt = await client.observing.clear(bank, ClearObservations(str(uuid.uuid4())))
    message = f"{receipt.count} observations removed"
    return json_response({"success": True, "message": message, "deleted_count": receipt.count})


@router.delete(BANK + "/memories/{memory_id}/observations", response_model=wire.ClearMemoryObservationsResponse)
async def clear_of_memory(bank: Bank, client: Client, memory_id: PathId) -> Response:
    """Remove the observations that rest on one fact; what else they rest on is consolidated anew."""
    require_unit_id(memory_id)
    receipt = await client.observing.clear(bank, ClearObservations(str(uuid.uuid4()), memory_id))
    return json_response({"deleted_count": receipt.count})


@router.get(BANK + "/observations/scopes", response_model=wire.ObservationScopesResponse)
async def list_scopes(bank: Bank, client: Client, limit: Limit = 100, offset: Offset = 0) -> Response:
    """Under which tags observations stand, the most populous set first; no tags: the shared scope."""
    counted = await client.observing.count_scopes(bank)
    rows: list[dict[str, Any]] = [
        {"tags": list(tags), "count": count} for tags, count in counted[offset : offset + limit]
    ]
    return json_response({"scopes": rows, "total": len(counted), "limit": limit, "offset": offset})
