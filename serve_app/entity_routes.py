"""Entities, and tags with their counts."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from lorebank import wire
from memory.errors import NotFound
from serve_app.body import JsonRoute
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response

router = APIRouter(route_class=JsonRoute, tags=["entities"])

MAX_COUNTED_TAGS = 10_000
"""Tags of a bank that are counted; the most frequent ones."""


@router.get(BANK + "/entities", response_model=wire.EntityListResponse)
async def list_entities(bank: Bank, limit: Limit = 100, offset: Offset = 0) -> Response:
    """A page of the bank's canonical entities; there are none until entities are resolved."""
    del bank
    return json_response({"items": [], "total": 0, "limit": limit, "offset": offset})


@router.get(BANK + "/entities/{entity_id}", response_model=wire.EntityDetailResponse)
async def get_entity(bank: Bank, entity_id: PathId) -> Response:
    """One entity with what was observed about it."""
    raise NotFound(f"bank {bank.bank!r} has no entity {entity_id!r}")


@router.get(BANK + "/tags", response_model=wire.ListTagsResponse)
async def list_tags(
    bank: Bank,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Annotated[str | None, Query(max_length=wire.MAX_TAG_CHARS)] = None,
    source: str | None = None,
) -> Response:
    """A page of tags, most frequent first; `q` may hold the wildcard `*` and ignores case."""
    if source not in {None, "memories"}:
        return json_response({"items": [], "total": 0, "limit": limit, "offset": offset})
    counts = await client.count_values(bank, "tags", MAX_COUNTED_TAGS)
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
