"""Directives: the rules that reflect follows before everything else."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from lorebank import wire
from memory.directives import Directive
from memory.encoding import instant_to_text
from memory.errors import InvalidRequest
from memory.filters import every, holds, tags_filter
from memory.ids import Scope
from memory.reflect_commands import DeleteDirective, PutDirective
from serve_app.body import JsonRoute
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response

router = APIRouter(route_class=JsonRoute, tags=["directives"])

DIRECTIVES = BANK + "/directives"
DIRECTIVE = DIRECTIVES + "/{directive_id}"
TagsQuery = Annotated[list[str] | None, Query(max_length=wire.MAX_LIMIT)]


@router.post(DIRECTIVES, response_model=wire.DirectiveResponse)
async def create_directive(bank: Bank, client: Client, body: wire.CreateDirectiveRequest) -> Response:
    """Create a directive; an unknown bank is created."""
    operation_id = body.operation_id or str(uuid.uuid4())
    changes = _changes(body.model_dump(exclude={"operation_id"}))
    command = PutDirective(operation_id, operation_id, changes, create=True)
    return json_response(_row(bank, await client.reflecting.put_directive(bank, command)))


@router.get(DIRECTIVES, response_model=wire.DirectiveListResponse)
async def list_directives(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    tags: TagsQuery = None,
    tags_match: wire.TagsMatch = "any",
    active_only: Annotated[bool, Query()] = False,
) -> Response:
    """A page of directives, highest priority first. With `tags`, those that would hold for a request with them."""
    found = await client.reflecting.list_directives(bank)
    where = every(tags_filter(tags, tags_match) if tags else None)
    kept = [
        one
        for one in found
        if (one.active or not active_only) and (not one.tags or holds(where, one.id, {"tags": one.tags}))
    ]
    rows = [_row(bank, one) for one in kept[offset : offset + limit]]
    return json_response({"items": rows, "total": len(kept), "limit": limit, "offset": offset})


@router.get(DIRECTIVE, response_model=wire.DirectiveResponse)
async def get_directive(bank: Bank, client: Client, directive_id: PathId) -> Response:
    """One directive."""
    return json_response(_row(bank, await client.reflecting.get_directive(bank, directive_id)))


@router.patch(DIRECTIVE, response_model=wire.DirectiveResponse)
async def update_directive(
    bank: Bank, client: Client, directive_id: PathId, body: wire.UpdateDirectiveRequest
) -> Response:
    """Change the given fields of a directive."""
    changes = _changes(body.model_dump(exclude_unset=True))
    if not changes:
        raise InvalidRequest("say what to change: name, content, priority, is_active or tags")
    command = PutDirective(str(uuid.uuid4()), directive_id, changes)
    return json_response(_row(bank, await client.reflecting.put_directive(bank, command)))


@router.delete(DIRECTIVE, response_model=wire.DeleteResponse)
async def delete_directive(bank: Bank, client: Client, directive_id: PathId) -> Response:
    """Delete a directive."""
    await client.reflecting.delete_directive(bank, DeleteDirective(str(uuid.uuid4()), directive_id))
    return json_response({"success": True, "message": f"directive {directive_id} is deleted", "deleted_count": 1})


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    names = {"is_active": "active"}
    changes = {names.get(name, name): value for name, value in given.items() if value is not None}
    if "tags" in changes:
        changes["tags"] = tuple(dict.fromkeys(changes["tags"]))
    return changes


def _row(bank: Scope, directive: Directive) -> dict[str, Any]:
    return {
        "id": directive.id,
        "bank_id": bank.bank,
        "name": directive.name,
        "content": directive.content,
        "priority": directive.priority,
        "is_active": directive.active,
        "tags": list(directive.tags),
        "created_at": instant_to_text(directive.created_at),
        "updated_at": instant_to_text(directive.updated_at),
    }
