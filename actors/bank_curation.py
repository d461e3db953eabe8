"""What people say of a bank's facts and entities, in its owner's turn."""

from dataclasses import replace

from actors.bank_ports import BankPorts
from actors.bank_stages import BankStages
from actors.turns import Turn
from memory.commands import (
    CurateEntity,
    CurateFact,
    CurationCommand,
    ListEntities,
    OperationReceipt,
    ReprocessDocument,
)
from memory.curation import curated, decode_curation, plan_curate, plan_curate_entity, plan_reprocess
from memory.entities import Entity
from memory.entity_names import NamedEntity
from memory.errors import Conflict, NotFound
from memory.ids import Scope
from memory.ingest import unit_dense_text, unit_vectors
from memory.known_facts import EntityPage, is_extracted
from memory.records import RecordKind, Unit
from memory.sketches import sketch_of
from memory.store_calls import GetRecords, GetUnits, NewUnit


class BankCuration:
    """Performs commands whose turn has come."""

    __slots__ = ("_ports", "_scope", "_stages")

    def __init__(self, scope: Scope, ports: BankPorts, stages: BankStages) -> None:
        self._scope = scope
        self._ports = ports
        self._stages = stages

    async def perform(self, command: CurationCommand, turn: Turn) -> OperationReceipt | EntityPage:
        """Do one command in its turn."""
        if isinstance(command, ListEntities):
            return (await turn.known()).page(command)
        if await self._stages.was_done(command.operation_id):
            return await self._answer_again(command)
        if isinstance(command, CurateFact):
            return await self._curate(command, turn)
        if isinstance(command, CurateEntity):
            return await self._curate_entity(command, turn)
        return await self._reprocess(command, turn)

    async def _answer_again(self, command: CurateFact | CurateEntity | ReprocessDocument) -> OperationReceipt:
        """The receipt of a command that was done before, and whose answer was lost."""
        if isinstance(command, CurateFact):
            found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.CURATION, (command.unit_id,)))
            if command.unit_id not in found:
                raise NotFound(f"no memory {command.unit_id!r}")
            return OperationReceipt(command.unit_id, found[command.unit_id].status)
        if isinstance(command, CurateEntity):
            return OperationReceipt(command.key, "completed")
        work = (await self._stages.works((command.document_id,))).get(command.document_id)
        if work is None:
            raise NotFound(f"bank {self._scope.bank!r} has no document {command.document_id!r}")
        return OperationReceipt(work.operation_id, "pending")

    async def _curate(self, command: CurateFact, turn: Turn) -> OperationReceipt:
        """Correcting is rare, and one text: it is embedded in the turn."""
        perform, now = self._ports.store.perform, self._ports.clock.now()
        live: dict[str, Unit] = await perform(self._scope, GetUnits((command.unit_id,)))
        unit = live.get(command.unit_id)
        if unit is not None and not is_extracted(unit):
            raise Conflict("only facts can be curated: to change a chunk, retain its document again")
        records = await perform(self._scope, GetRecords(RecordKind.CURATION, (command.unit_id,)))
        record = records.get(command.unit_id)
        found, write = curated(command, unit, decode_curation(record) if record else None, now)
        new = await self._embedded(write) if write else None
        plan = plan_curate(turn.view(), command, found, new, live=unit is not None, counted=record is not None, now=now)
        await turn.execute(plan)
        return OperationReceipt(command.unit_id, found.state)

    async def _embedded(self, unit: Unit) -> NewUnit:
        (vector,) = await self._ports.embed([unit_dense_text(unit)])
        tokens = self._ports.tokenizer.count([unit.text])[0]
        counted = replace(unit, text_tokens=tokens, sketch=sketch_of(vector.dense))
        return NewUnit(counted, unit_vectors(counted, vector))

    async def _curate_entity(self, command: CurateEntity, turn: Turn) -> OperationReceipt:
        known = await turn.known()
        entities: dict[str, Entity] = dict(known.knowledge.entities())
        named: dict[str, NamedEntity] = dict(known.named)
        await turn.execute(plan_curate_entity(turn.view(), command, entities, named, self._ports.clock.now()))
        return OperationReceipt(command.key, "completed")

    async def _reprocess(self, command: ReprocessDocument, turn: Turn) -> OperationReceipt:
        document_id = command.document_id
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.DOCUMENT, (document_id,)))
        if document_id not in found:
            raise NotFound(f"bank {self._scope.bank!r} has no document {document_id!r}")
        work = (await self._stages.works((document_id,))).get(document_id)
        plan, operation_id = plan_reprocess(turn.view(), command, work, self._ports.clock.now())
        await turn.execute(plan)
        return OperationReceipt(operation_id, "pending")
