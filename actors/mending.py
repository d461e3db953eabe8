"""Repair of one bank by its owner, in the bank's turn: audit, plan, execute."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from actors.bank_ports import BankPorts
from memory.audit import AuditBank
from memory.breaches import Audit
from memory.commands import RepairBank, RepairReceipt
from memory.ids import Scope
from memory.ingest import unit_dense_text, unit_vectors
from memory.plans import Plan
from memory.records import Head, Unit
from memory.repair import REMADE_UNITS, Mending, ReadMending, plan_repair
from memory.stepping import drive
from memory.store_calls import NewUnit


class Mender:
    """Mends a bank whose owner calls it with no other command under way."""

    def __init__(self, scope: Scope, ports: BankPorts) -> None:
        self._scope = scope
        self._ports = ports
        self._store = ports.store
        self._embed = ports.embed
        self._clock = ports.clock

    async def audit(self) -> Audit:
        """Everything that is wrong with the bank, its vectors included."""
        asked, *_ = await self._ports.spaces()
        return await drive(self._store.perform, self._scope, AuditBank(self._scope, "all", space=asked).steps())

    async def mend(
        self,
        command: RepairBank,
        head: Head,
        salvaged: Mapping[str, Unit],
        execute: Callable[[Plan], Awaitable[Head]],
    ) -> RepairReceipt:
        """Plan and execute what an audit of the settled bank asks for.

        `salvaged`: units that a document listed and that were not live before the bank was taken and swept.
        """
        audit = await self.audit()
        salvaged = {**salvaged, **audit.salvage}
        mending: Mending = await drive(self._store.perform, self._scope, ReadMending(audit, salvaged).steps())
        receipt = RepairReceipt(
            command.operation_id,
            head.epoch,
            head.seq,
            retired=len(audit.retire),
            remade=len(mending.remake),
            revived=len(mending.revive),
            records=len(mending.records) + len(audit.remove),
        )
        if not mending.units and not any(breach.repairable for breach in audit.breaches):
            return receipt
        for start in range(0, max(len(mending.units), 1), REMADE_UNITS):
            new = await self._embedded(mending.units[start : start + REMADE_UNITS])
            head = await execute(plan_repair(head, command, audit, mending, new, self._clock.now()))
            audit, mending = Audit(self._scope), replace(mending, records=())  # the rest is done with the first plan
        return replace(receipt, seq=head.seq)

    async def _embedded(self, units: Sequence[Unit]) -> list[NewUnit]:
        vectors = await self._embed([unit_dense_text(unit) for unit in units]) if units else []
        return [NewUnit(unit, unit_vectors(unit, vector)) for unit, vector in zip(units, vectors, strict=True)]
