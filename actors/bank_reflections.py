"""Stored reflections of a bank, in its owner."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from actors.bank_ports import BankPorts
from actors.bank_stages import BankStages
from actors.turns import Turn
from memory.commands import OperationReceipt
from memory.errors import Conflict, NotFound
from memory.ids import Scope
from memory.ingest import unit_dense_text, unit_vectors
from memory.records import RecordKind, UnitKind
from memory.reflect_commands import (
    ClaimReflection,
    DeleteReflection,
    ReflectionClaim,
    ReflectionCommand,
    ReleaseReflection,
    StoreReflection,
)
from memory.reflections import (
    StoredReflection,
    check_asked,
    decode_reflection,
    plan_delete_reflection,
    plan_store_reflection,
    reflection_id,
    reflection_of,
    unit_of,
)
from memory.store_calls import FindLive, GetRecords, GetUnits, NewUnit


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who answers a question, and until when nobody else does."""

    holder: str
    asked: str
    until: datetime


class BankReflections:
    """Performs commands whose turn has come.

    Claims are kept in memory alone: they spare calls of the model, and nothing is wrong where one is lost.
    """

    __slots__ = ("_claims", "_ports", "_scope", "_stages")

    def __init__(self, scope: Scope, ports: BankPorts, stages: BankStages) -> None:
        self._claims: dict[str, _Claim] = {}
        self._scope = scope
        self._ports = ports
        self._stages = stages

    async def embed(self, command: ReflectionCommand) -> tuple[NewUnit, ...]:
        """The unit of a reflection that is to be stored, with its vectors, made outside the turn."""
        if not isinstance(command, StoreReflection):
            return ()
        if await self._find(reflection_id(self._scope, command.operation_id)) is not None:
            return ()
        unit = unit_of(reflection_of(self._scope, command, self._ports.clock.now()))
        (vector,) = await self._ports.embed([unit_dense_text(unit)])
        (tokens,) = self._ports.tokenizer.count([unit.text])
        return (NewUnit(replace(unit, text_tokens=tokens), unit_vectors(unit, vector)),)

    async def perform(
        self, command: ReflectionCommand, turn: Turn, made: tuple[NewUnit, ...]
    ) -> StoredReflection | OperationReceipt | ReflectionClaim:
        """Store, delete or claim a reflection in its turn; one that is stored already under its id stays as it is.

        Raises:
            NotFound: there is none of that id.
            Conflict: the operation id is that of another one, or what the answer rests on is gone.
        """
        if isinstance(command, DeleteReflection):
            return await self._delete(command, turn)
        if isinstance(command, ClaimReflection):
            return await self._claim(command)
        if isinstance(command, ReleaseReflection):
            return self._release(command)
        return await self._store(command, turn, made)

    async def _store(self, command: StoreReflection, turn: Turn, made: tuple[NewUnit, ...]) -> StoredReflection:
        found = await self._find(reflection_id(self._scope, command.operation_id))
        if found is not None:
            check_asked(found, command.asked)
            return found
        now = self._ports.clock.now()
        # It may have gone between the preparation and the turn.
        new = made or await self.embed(command)
        reflection = reflection_of(self._scope, command, new[0].unit.recorded_at or now)
        cited = tuple(dict.fromkeys(source.unit_id for source in reflection.sources))
        live = await self._ports.store.perform(self._scope, FindLive(cited)) if cited else frozenset[str]()
        await turn.execute(plan_store_reflection(turn.view(), reflection, new[0], set(cited) - live, now))
        self._claims.pop(reflection.id, None)
        return reflection

    async def _claim(self, command: ClaimReflection) -> ReflectionClaim:
        id_, now = command.reflection_id, self._ports.clock.now()
        self._claims = {key: claim for key, claim in self._claims.items() if claim.until > now}
        held = self._claims.get(id_)
        if held is not None and held.asked != command.asked:
            raise Conflict("this operation is another reflection, which is being answered; use a new operation_id")
        if held is not None and held.holder != command.operation_id:
            return ReflectionClaim(granted=False)
        if await self._find(id_) is not None:
            return ReflectionClaim(granted=False)
        self._claims[id_] = _Claim(command.operation_id, command.asked, now + timedelta(seconds=command.lease_s))
        return ReflectionClaim(granted=True)

    def _release(self, command: ReleaseReflection) -> ReflectionClaim:
        held = self._claims.get(command.reflection_id)
        if held is not None and held.holder == command.holder:
            del self._claims[command.reflection_id]
        return ReflectionClaim(granted=False)

    async def _delete(self, command: DeleteReflection, turn: Turn) -> OperationReceipt:
        id_ = command.reflection_id
        units = await self._ports.store.perform(self._scope, GetUnits((id_,)))
        unit = units.get(id_)
        if unit is not None and unit.kind is UnitKind.REFLECTION:
            await turn.execute(plan_delete_reflection(turn.view(), command, unit, self._ports.clock.now()))
        elif not await self._stages.was_done(command.operation_id):
            raise NotFound(f"bank {self._scope.bank!r} has no reflection {id_!r}")
        return OperationReceipt(id_, "deleted")

    async def _find(self, id_: str) -> StoredReflection | None:
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.REFLECTION, (id_,)))
        return decode_reflection(found[id_]) if id_ in found else None
