"""Restores in the bank's owner: slices of an export become plans; what is there already is left as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from actors.bank_ports import BankPorts, beside_loop
from actors.credits import size_of
from actors.turns import Turn
from memory.encoding import decode_document
from memory.errors import Unprocessable
from memory.ids import Scope, bucket_of_id
from memory.ingest import unit_dense_text, unit_vectors
from memory.operations import same_command
from memory.records import Record, RecordKind, Unit
from memory.restore_commands import BeginRestore, RestoreCommand, RestoreReceipt, RestoreSlice
from memory.restoring import BEGIN, StandingHere, begin_receipt_of, plan_begin_restore, plan_restore
from memory.sketches import sketch_of
from memory.store_calls import FindLive, GetRecords, NewUnit

LOOKED_UP = 256
"""Ids asked for in one call."""


@dataclass(frozen=True, slots=True)
class Restoring:
    """Units of a slice that did not stand before its turn, with their vectors, by id."""

    units: Mapping[str, NewUnit] = field(default_factory=dict)


class BankRestore:
    """Performs commands whose turn has come; `embed` works for them before it."""

    __slots__ = ("_ports", "_scope")

    def __init__(self, scope: Scope, ports: BankPorts) -> None:
        self._scope = scope
        self._ports = ports

    async def embed(self, command: RestoreCommand) -> Restoring:
        """Vectors of what does not stand."""
        if isinstance(command, BeginRestore):
            return Restoring()
        units = command.all_units()
        live = await self._live(units)
        return Restoring(await self._made([unit for unit in units if unit.id not in live]))

    async def perform(self, command: RestoreCommand, turn: Turn, embedded: Restoring) -> RestoreReceipt:
        """Do one command in its turn.

        Raises:
            Conflict: the operation id belongs to another command.
            Unprocessable: a unit is of another bank.
        """
        if isinstance(command, BeginRestore):
            return await self._begin(command, turn)
        units = command.all_units()
        if any(not _is_of(unit, self._scope) for unit in units):
            raise Unprocessable("a unit to be restored has an id of another bank")
        here = await self._standing(command, units)
        made = dict(embedded.units)
        made |= await self._made([unit for unit in units if unit.id not in here.live and unit.id not in made])
        view, now = turn.view(), self._ports.clock.now()
        plan, receipt = await beside_loop(size_of(command), plan_restore, view, command, here, made, now)
        if plan is not None:
            await turn.execute(plan)
        return receipt

    async def _begin(self, command: BeginRestore, turn: Turn) -> RestoreReceipt:
        call = GetRecords(RecordKind.OPERATION, (command.operation_id,))
        found = (await self._ports.store.perform(self._scope, call)).get(command.operation_id)
        if found is not None:
            same_command(found, BEGIN, command.fingerprint())
            return begin_receipt_of(found)
        plan, receipt = plan_begin_restore(turn.view(), command, self._ports.clock.now())
        await turn.execute(plan)
        return receipt

    async def _standing(self, command: RestoreSlice, units: Sequence[Unit]) -> StandingHere:
        keys: dict[RecordKind, list[str]] = {}
        for record in (*(record for one in command.documents for record in one.records), *command.records):
            keys.setdefault(record.kind, []).append(record.key)
        found: dict[tuple[RecordKind, str], Record] = {}
        for kind, wanted in keys.items():
            for start in range(0, len(wanted), LOOKED_UP):
                call = GetRecords(kind, tuple(wanted[start : start + LOOKED_UP]))
                found |= {(kind, key): one for key, one in (await self._ports.store.perform(self._scope, call)).items()}
        documents = {
            key: decode_document(key, record.body).content_hash
            for (kind, key), record in found.items()
            if kind is RecordKind.DOCUMENT
        }
        sources = [source.unit_id for unit in units for source in unit.sources]
        return StandingHere(await self._live(units, sources), found.keys(), documents)

    async def _live(self, units: Sequence[Unit], others: Sequence[str] = ()) -> frozenset[str]:
        ids = tuple(dict.fromkeys((*(unit.id for unit in units), *others)))
        live: frozenset[str] = frozenset()
        for start in range(0, len(ids), LOOKED_UP):
            live |= await self._ports.store.perform(self._scope, FindLive(ids[start : start + LOOKED_UP]))
        return live

    async def _made(self, units: Sequence[Unit]) -> dict[str, NewUnit]:
        if not units:
            return {}
        vectors = await self._ports.embed([unit_dense_text(unit) for unit in units])
        tokens = self._ports.tokenizer.count([unit.text for unit in units])
        made = {}
        for unit, vector, count in zip(units, vectors, tokens, strict=True):
            sketch = sketch_of(vector.dense) if unit.sketch is not None else None
            made[unit.id] = NewUnit(replace(unit, text_tokens=count, sketch=sketch), unit_vectors(unit, vector))
        return made


def _is_of(unit: Unit, scope: Scope) -> bool:
    try:
        return bucket_of_id(unit.id) == scope.bucket
    except ValueError:
        return False
