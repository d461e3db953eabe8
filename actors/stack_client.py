"""StackClient: recall over several banks of a tenant, and the addresses by which they are found."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from actors.address_book import AddressBook
from actors.reader import Reader
from memory.addresses import Address
from memory.bank_profile import SCOPE, address_of, address_row
from memory.commands import UpdateBank
from memory.ids import Scope
from memory.recall import RecallAnswer, RecallQuery
from memory.records import Head
from memory.store_calls import Store

Update = Callable[[Scope, UpdateBank], Awaitable[Head]]


@dataclass(frozen=True, slots=True)
class FoundInStack:
    """The answer; the banks that were asked, the nearest first, and those of them that do not exist."""

    answer: RecallAnswer
    banks: tuple[str, ...]
    missing: tuple[str, ...] = ()


class StackClient:
    """Part of BankClient; raises what it raises."""

    def __init__(self, reader: Reader, store: Store, update: Update) -> None:
        self._reader = reader
        self._book = AddressBook(store)
        self._update = update

    async def recall(
        self, tenant: str, banks: Sequence[str], query: RecallQuery, min_seqs: Mapping[str, int]
    ) -> FoundInStack:
        """What matters for a query in the named banks of a tenant, the nearest first."""
        scopes = [Scope(tenant, bank) for bank in banks]
        found = await self._reader.recall_stack(scopes, query, min_seqs)
        return FoundInStack(found.answer, tuple(banks), found.missing)

    async def find_banks(self, tenant: str, address: Address) -> list[str]:
        """The banks whose memories are seen from an address, the nearest first."""
        found = await self._book.find_banks(tenant, address.tiers())
        return list(dict.fromkeys(bank for bank in found if bank is not None))

    async def update_bank(self, bank: Scope, changes: Mapping[str, Any], address: Address) -> Head:
        """Create a bank or change its profile, and give it an address in place of the one it had.

        What it had stays its own until the new one is: broken off anywhere, it is done by asking again.

        Raises:
            Conflict: another bank has the address; nothing was changed, unless it was taken just now.
        """
        await self._book.check_free(bank, address)
        head = await self._update(bank, UpdateBank(str(uuid4()), changes))
        await self._book.assign(bank, address)
        before = address_of(head.profile)
        if before == address:
            return head
        if before is not None:
            await self._book.release(bank, before)
        return await self._update(bank, UpdateBank(str(uuid4()), {SCOPE: address_row(address)}))

    async def release(self, bank: Scope, profile: Mapping[str, Any]) -> None:
        """Take its address from a bank that is gone."""
        address = address_of(profile)
        if address is not None:
            await self._book.release(bank, address)
