"""What handlers are given: the bank, the door to the actors, the page asked for; and how they answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from actors.client import BankClient
from lorebank.wire import MAX_LIMIT
from memory.ids import Scope
from serve_app.ids_in_paths import PathId

BANKS = "/v1/default/banks"
BANK = BANKS + "/{bank_id}"
RECALL = "/v1/default/memories/recall"
"""Recall over several banks."""
MAX_SCANNED = 2000
"""Rows read for a listing that is filtered here rather than in the store."""
_SCAN_PAGE = 200

RowT = TypeVar("RowT")


async def _client_of(request: Request) -> BankClient:
    client: BankClient = request.app.state.client
    return client


async def _tenant_of(request: Request) -> str:
    tenant: str = request.state.tenant
    return tenant


async def _bank_of(request: Request, bank_id: PathId) -> Scope:
    return Scope(request.state.tenant, bank_id)


Client = Annotated[BankClient, Depends(_client_of)]
Tenant = Annotated[str, Depends(_tenant_of)]
Bank = Annotated[Scope, Depends(_bank_of)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Query(ge=0, lt=2**31)]


def json_response(body: Mapping[str, Any]) -> Response:
    """A 200 answer; built of plain values, not of models, because encoding is on the path of every recall."""
    return Response(orjson.dumps(body), media_type="application/json")


async def scan(
    fetch: Callable[[int, int], Awaitable[tuple[list[RowT], int]]], keep: Callable[[RowT], bool]
) -> tuple[list[RowT], bool]:
    """Rows to keep among the first MAX_SCANNED that `fetch(limit, offset)` lists, and whether these were not all."""
    kept: list[RowT] = []
    offset, total = 0, 1
    while offset < min(total, MAX_SCANNED):
        rows, total = await fetch(_SCAN_PAGE, offset)
        if not rows:
            break
        kept.extend(row for row in rows if keep(row))
        offset += len(rows)
    return kept, total > MAX_SCANNED
