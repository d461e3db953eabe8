"""Deletes banks one after the other, patiently: what is gone already is gone, so a run that is repeated goes on."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from jobs.patience import patiently
from memory.commands import DeleteBank
from memory.ids import Scope

if TYPE_CHECKING:
    from actors.client import BankClient


@dataclass(slots=True)
class Deleted:
    """What this run has removed."""

    banks: int = 0
    documents: int = 0
    units: int = 0


async def delete_tenant(client: "BankClient", tenant: str, patience_s: float, advance: Callable[[], None]) -> Deleted:
    """Delete every bank of a tenant; one that is made meanwhile goes, too.

    Raises:
        RetryLater: the deployment took nothing for too long.
    """
    deleted = Deleted()
    while page := (await client.list_banks(tenant, 1, 0)).banks:
        for name, _ in page:
            await delete_bank(client, Scope(tenant, name), deleted, patience_s)
            advance()
    return deleted


async def delete_bank(client: "BankClient", scope: Scope, deleted: Deleted, patience_s: float) -> None:
    """Delete one bank, if it is there."""
    if await client.find_head(scope) is None:
        return
    receipt = await patiently(patience_s, lambda: client.delete_bank(scope, DeleteBank(uuid4().hex)))
    deleted.banks += 1
    deleted.documents += receipt.documents_deleted
    deleted.units += receipt.units_deleted


async def each_bank(client: "BankClient", tenant: str) -> AsyncIterator[str]:
    """Names of a tenant's banks, a page in memory; those made or deleted meanwhile may be missed or named."""
    offset = 0
    while page := (await client.list_banks(tenant, 256, offset)).banks:
        for name, _ in page:
            yield name
        offset += len(page)
