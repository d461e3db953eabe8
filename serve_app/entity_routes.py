"""Entities, and tags with their counts."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.commands import CurateEntity, ListEntities
from memory.encoding import instant_to_text
from memory.entities import Entity
from memory.errors import NotFound
from memory.filters import EVIDENCE
from memory.ids import Scope
from memory.known_facts import EntityPage
from serve_app.body import JsonRoute
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response

router = APIRouter(route_class=JsonRoute, tags=["entities"])

MAX_COUNTED_TAGS = 10_000
"""Tags of a bank that are counted; the most frequent ones."""


ENTITIES = BANK + "/entities"
ENTITY = ENTITIES + "/{entity_id}"


@router.get(ENTITIES, response_model=wire.EntityListResponse)
async def list_entities(bank: Bank, client: Client, limit: Limit = 100, offset: Offset = 0) -> Response:
    """A page of the bank's canonical entities, most mentioned first."""
    page = await client.curation.list_entities(bank, ListEntities(limit, offset))
    items = [_entity_row(page, entity) for entity in page.entities]
    return json_response({"items": items, "total": page.total, "limit": limit, "offset": offset})


@router.get(ENTITY, response_model=wire.EntityDetailResponse)
async def get_entity(bank: Bank, client: Client, entity_id: PathId) -> Response:
    """One entity with what was observed about it."""
    return json_response(await _entity(client, bank, entity_id))


@router.patch(ENTITY, response_model=wire.EntityDetailResponse)
async def patch_entity(bank: Bank, client: Client, entity_id: PathId, body: wire.UpdateEntityRequest) -> Response:
    """Say how an entity is known: its name, its type, names that mean it, the platform's id of a person."""
    changes = body.model_dump(exclude_unset=True)
    if "aliases" in changes:
        changes["aliases"] = changes["aliases"] or []
    await client.curation.curate_entity(bank, CurateEntity(str(uuid.uuid4()), entity_id, changes))
    return json_response(await _entity(client, bank, entity_id))


@router.post(ENTITY + "/merge", response_model=wire.EntityDetailResponse)
async def merge_entities(bank: Bank, client: Client, entity_id: PathId, body: wire.MergeEntitiesRequest) -> Response:
    """Make other entities this one: their names mean it from now on."""
    merge = tuple(dict.fromkeys(body.entity_ids))
    await client.curation.curate_entity(bank, CurateEntity(str(uuid.uuid4()), entity_id, {}, merge))
    return json_response(await _entity(client, bank, entity_id))


async def _entity(client: BankClient, bank: Scope, entity_id: str) -> dict[str, Any]:
    page = await client.curation.list_entities(bank, ListEntities(1, 0, entity_id))
    if not page.entities:
        raise NotFound(f"bank {bank.bank!r} has no entity {entity_id!r}")
    return _entity_row(page, page.entities[0]) | {"observations": []}


def _entity_row(page: EntityPage, entity: Entity) -> dict[str, Any]:
    named = page.named.get(entity.key)
    user_id = named.user_id if named else None
    first = entity.first_mentioned_at
    return {
        "id": entity.key,
        "canonical_name": (named.name if named else None) or entity.name,
        "mention_count": entity.mentions,
        "first_seen": instant_to_text(first) if first else None,
        "last_seen": instant_to_text(entity.last_mentioned_at),
        "metadata": {
            "type": (named.type if named else None) or entity.type,
            "aliases": list(dict.fromkeys((*entity.aliases, *(named.names if named else ())))),
            "facts": entity.facts,
            "user_ids": [*entity.user_ids, *((user_id,) if user_id else ())],
            "company": {page.names.get(key, key): count for key, count in entity.company.items()},
        },
    }


@router.get(BANK + "/tags", response_model=wire.ListTagsResponse)
async def list_tags(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Annotated[str | None, Query(max_length=wire.MAX_TAG_CHARS)] = None,
    source: str | None = None,
) -> Response:
    """A page of tags, most frequent first, facts not counted; `q` may hold the wildcard `*` and ignores case."""
    if source not in {None, "memories"}:
        return json_response({"items": [], "total": 0, "limit": limit, "offset": offset})
    counts = await client.count_values(bank, "tags", MAX_COUNTED_TAGS, EVIDENCE)
    rows = sorted(
        ((tag, count) for tag, count in counts.items() if not q or _matches(q.casefold(), tag.casefold())),
        key=lambda row: (-row[1], row[0]),
    )
    items = [{"tag": tag, "count": count} for tag, count in rows[offset : offset + limit]]
    return json_response({"items": items, "total": len(rows), "limit": limit, "offset": offset})


def _matches(pattern: str, tag: str) -> bool:
    """Whether a tag has the pattern's parts in order; takes time linear in both, whatever the pattern."""
    first, *middle = pattern.split("*")
    if not middle:
        return tag == first
    last = middle.pop()
    if not (tag.startswith(first) and tag.endswith(last)) or len(tag) < len(first) + len(last):
        return False
    at, end = len(first), len(tag) - len(last)
    for part in middle:
        found = tag.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
