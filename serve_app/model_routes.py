"""Mental models: standing questions, their stored answers, and how these are refreshed."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from lorebank import wire
from memory.errors import InvalidRequest
from memory.filters import every, holds, tags_filter
from memory.mental_models import next_time
from memory.reflect_commands import ClearModel, DeleteModel, PutModel, RefreshModel
from memory.reflecting.structured import check_schema
from serve_app.body import JsonRoute, parse_json, read_body, validate
from serve_app.directive_routes import TagsQuery
from serve_app.ids_in_paths import PathId
from serve_app.model_rows import dry_run_row, model_row, version_row
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response

router = APIRouter(route_class=JsonRoute, tags=["mental models"])

MODELS = BANK + "/mental-models"
MODEL = MODELS + "/{mental_model_id}"
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@router.post(MODELS, response_model=wire.CreateMentalModelResponse)
async def create_model(bank: Bank, client: Client, body: wire.CreateMentalModelRequest) -> Response:
    """Create a mental model; its content is made in the background. An unknown bank is created."""
    operation_id = body.operation_id or str(uuid.uuid4())
    changes = _changes(body.model_dump(exclude={"id", "operation_id"}) | {"trigger": stored_trigger(body.trigger)})
    command = PutModel(operation_id, body.id or operation_id, changes, create=True)
    model = await client.reflecting.change_model(bank, command)
    return json_response({"mental_model_id": model.id, "operation_id": operation_id})


@router.get(MODELS, response_model=wire.MentalModelListResponse)
async def list_models(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    tags: TagsQuery = None,
    tags_match: wire.TagsMatch = "any",
    detail: wire.Detail = "metadata",
    exclude_knowledge_pages: Annotated[bool, Query()] = False,
) -> Response:
    """A page of mental models, newest first, with or without those that are knowledge pages."""
    where = every(tags_filter(tags, tags_match) if tags else None)
    found = [
        model
        for model in await client.reflecting.list_models(bank)
        if holds(where, model.id, {"tags": model.tags}) and not (exclude_knowledge_pages and model.page)
    ]
    page = tuple(found[offset : offset + limit])
    stale = await client.reflecting.find_stale(bank, page)
    rows = [model_row(bank, model, detail, is_stale=stale[model.id]) for model in page]
    return json_response({"items": rows, "total": len(found), "limit": limit, "offset": offset})


@router.get(MODEL, response_model=wire.MentalModelResponse)
async def get_model(bank: Bank, client: Client, mental_model_id: PathId, detail: wire.Detail = "full") -> Response:
    """One mental model."""
    model = await client.reflecting.get_model(bank, mental_model_id)
    stale = await client.reflecting.find_stale(bank, (model,))
    return json_response(model_row(bank, model, detail, is_stale=stale[model.id]))


@router.patch(MODEL, response_model=wire.MentalModelResponse)
async def update_model(
    bank: Bank, client: Client, mental_model_id: PathId, body: wire.UpdateMentalModelRequest
) -> Response:
    """Change the given fields of a mental model; its content changes with its next refresh."""
    given = body.model_dump(exclude_unset=True)
    if body.trigger is not None:
        given["trigger"] = stored_trigger(body.trigger)
    changes = _changes(given)
    if not changes:
        raise InvalidRequest("say what to change: name, source_query, tags, max_tokens or trigger")
    command = PutModel(str(uuid.uuid4()), mental_model_id, changes)
    model = await client.reflecting.change_model(bank, command)
    stale = await client.reflecting.find_stale(bank, (model,))
    return json_response(model_row(bank, model, "full", is_stale=stale[model.id]))


@router.delete(MODEL, response_model=wire.DeleteResponse)
async def delete_model(bank: Bank, client: Client, mental_model_id: PathId) -> Response:
    """Delete a mental model with its history."""
    await client.reflecting.delete_model(bank, DeleteModel(str(uuid.uuid4()), mental_model_id))
    return json_response({"success": True, "message": f"mental model {mental_model_id} is deleted", "deleted_count": 1})


@router.get(MODEL + "/history")
async def get_history(bank: Bank, client: Client, mental_model_id: PathId) -> Response:
    """Earlier contents, the latest first."""
    await client.reflecting.get_model(bank, mental_model_id)
    rows = [version_row(record) for record in await client.reflecting.list_versions(bank, mental_model_id)]
    return Response(orjson.dumps(rows), media_type="application/json")


@router.post(MODEL + "/refresh", response_model=wire.AsyncOperationSubmitResponse)
async def refresh_model(bank: Bank, client: Client, mental_model_id: PathId, request: Request) -> Response:
    """Have a mental model refreshed in the background; a refresh that is pending already is the one meant."""
    body = await _optional(request, wire.RefreshMentalModelRequest)
    assert isinstance(body, wire.RefreshMentalModelRequest)
    command = RefreshModel(str(uuid.uuid4()), mental_model_id, body.mode)
    model = await client.reflecting.change_model(bank, command)
    operation_id = model.pending.operation_id if model.pending else command.operation_id
    return json_response({"operation_id": operation_id, "status": "pending"})


@router.post(MODEL + "/dry-run-refresh", response_model=wire.DryRunRefreshResponse)
async def dry_run_refresh(bank: Bank, client: Client, mental_model_id: PathId) -> Response:
    """What a refresh would make of a mental model; nothing is stored. Costs what a refresh costs."""
    model = await client.reflecting.get_model(bank, mental_model_id)
    run = await client.reflecting.preview_refresh(bank, model, model.mode)
    return json_response(dry_run_row(model, run, client.curation.now()))


@router.post(MODEL + "/clear", response_model=wire.MentalModelResponse)
async def clear_model(bank: Bank, client: Client, mental_model_id: PathId) -> Response:
    """Empty a mental model; what it said goes to its history, and its next refresh makes it anew."""
    model = await client.reflecting.change_model(bank, ClearModel(str(uuid.uuid4()), mental_model_id))
    return json_response(model_row(bank, model, "full", is_stale=True))


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    changes = {name: value for name, value in given.items() if value is not None}
    if "tags" in changes:
        changes["tags"] = tuple(dict.fromkeys(changes["tags"]))
    return changes


def stored_trigger(trigger: wire.MentalModelTrigger) -> dict[str, Any]:
    """A trigger as it is stored.

    Raises:
        Unprocessable: a schedule is none, or the schema cannot be used.
    """
    for cron in (trigger.refresh_cron, trigger.full_refresh_cron):
        next_time(cron, _ANY_TIME)
    if trigger.response_schema is not None:
        check_schema(trigger.response_schema)
    return trigger.model_dump(mode="json", by_alias=True, exclude_none=True)


async def _optional(request: Request, model: type[BaseModel]) -> BaseModel:
    """The body, or the defaults where there is none."""
    raw = await read_body(request, request.app.state.settings.max_body_bytes)
    given = parse_json(raw) if raw.strip() else {}
    return validate(model, {} if given is None else given)
