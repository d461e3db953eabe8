"""Mental models of a tenant whose evidence has moved since their content was made."""

import uuid
from collections.abc import AsyncIterator

from actors.client import BankClient
from memory.ids import Scope, digest
from memory.mental_models import MODELS, MentalModel

BANKS_PAGE = 200


def refresh_id(scope: Scope, model: MentalModel) -> str:
    """Of the refresh of a content as it is now: asked for twice, it is one."""
    state = (str(model.version), str(model.refreshed_at), str(model.failed_at))
    return str(uuid.UUID(bytes=digest("refresh", scope.tenant, scope.bank, model.id, *state)[:16]))


async def stale_models(client: BankClient, tenant: str, bank: str | None) -> AsyncIterator[tuple[Scope, MentalModel]]:
    """Mental models of a tenant, or of one of its banks, whose evidence has moved."""
    async for scope in banks_with_models(client, tenant, bank):
        models = await client.reflecting.list_models(scope)
        stale = await client.reflecting.find_stale(scope, models)
        for model in models:
            if stale[model.id]:
                yield scope, model


async def banks_with_models(client: BankClient, tenant: str, bank: str | None) -> AsyncIterator[Scope]:
    """Banks that have mental models."""
    offset = 0
    while True:
        page = await client.list_banks(tenant, BANKS_PAGE, offset)
        for name, head in page.banks:
            if head.counters.get(MODELS) and bank in {None, name}:
                yield Scope(tenant, name)
        offset += BANKS_PAGE
        if offset >= page.total:
            return
