"""Which bank has which address: looked up by recalls, given and taken back by those who set up banks."""

import secrets
from collections.abc import Sequence

from memory.addresses import LOTS, Address, Holding, holding_of, is_same, next_holding
from memory.errors import Conflict, Unavailable
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind
from memory.store_calls import GetRecords, ReadHead, Store, WriteRecords

_ATTEMPTS = 8
"""Changes of one address by others that an attempt to change it gives way to."""


class AddressBook:
    """Addresses of all tenants. Nothing is remembered: whoever is told that a bank has one finds it there at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find_banks(self, tenant: str, addresses: Sequence[Address]) -> list[str | None]:
        """The bank that has each address; None where there is none."""
        keys = [address.key(tenant) for address in addresses]
        records = await self._store.perform(SYSTEM, GetRecords(RecordKind.ADDRESS, tuple(keys)))
        return [holding_of(records.get(key)).bank for key in keys]

    async def assign(self, bank: Scope, address: Address) -> None:
        """Give an address to a bank that exists; one that has it already keeps it.

        Raises:
            Conflict: another bank that exists has it.
        """
        key = address.key(bank.tenant)
        for _ in range(_ATTEMPTS):
            before = holding_of(await self._read(key))
            await self.check_free(bank, address, before)
            # Written even where the bank has it: who has just seen the bank gone must not take it after this.
            if await self._follow(key, bank.bank, before):
                return
        raise Unavailable(f"the scope of bank {bank.bank!r} is being changed by others")

    async def check_free(self, bank: Scope, address: Address, holding: Holding | None = None) -> None:
        """See that no other bank that exists has an address.

        Raises:
            Conflict: one has.
        """
        other = (holding or holding_of(await self._read(address.key(bank.tenant)))).bank
        if other in {None, bank.bank}:
            return
        head = await self._store.perform(Scope(bank.tenant, str(other)), ReadHead())
        if head is not None and head.exists:
            raise Conflict(f"bank {other!r} has this scope; one bank has a scope at most")

    async def release(self, bank: Scope, address: Address) -> None:
        """Take an address from a bank, if it is the bank's."""
        key = address.key(bank.tenant)
        for _ in range(_ATTEMPTS):
            before = holding_of(await self._read(key))
            if before.bank != bank.bank or await self._follow(key, None, before):
                return
        raise Unavailable(f"the scope of bank {bank.bank!r} is being changed by others")

    async def _follow(self, key: str, bank: str | None, before: Holding) -> bool:
        """Write what follows; whether it stands."""
        written = next_holding(key, bank, before, 1 + secrets.randbelow(LOTS - 1))
        await self._store.perform(SYSTEM, WriteRecords((written,)))
        return is_same(await self._read(key), written)

    async def _read(self, key: str) -> Record | None:
        return (await self._store.perform(SYSTEM, GetRecords(RecordKind.ADDRESS, (key,)))).get(key)
