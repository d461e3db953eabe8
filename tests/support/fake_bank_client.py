"""BankClient over dictionaries: the real planning of memory/, no Ray, no store, no model."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np

from actors.client import BankClient, DocumentPage
from actors.reflect_client import ReflectClient
from actors.settings import Settings
from actors.stack_client import FoundInStack
from memory.addresses import Address
from memory.bank_profile import SCOPE, address_row
from memory.commands import DeleteBank, DeleteDocument, DeleteReceipt, Retain, RetainReceipt, UpdateBank
from memory.directives import decode_directive
from memory.document_reading import DocumentPart
from memory.drafting import draft_documents
from memory.encoding import decode_document, encode_unit
from memory.errors import Conflict, NotFound
from memory.filters import TRUE, AnyOf, Filter, every, holds
from memory.fusion import keyword_score
from memory.ids import Scope
from memory.ingest import BankView, Embedded, plan_delete_bank, plan_delete_document, plan_retain, plan_update_bank
from memory.known_facts import EntityPage
from memory.mental_models import decode_model
from memory.merging import merge_document
from memory.packing import pack
from memory.plans import Plan
from memory.recall import Ranked, RecallAnswer, RecallQuery
from memory.receipts import receipt_of_operation
from memory.records import Document, Head, RecallProfile, Record, RecordKind, Unit, UnitState
from memory.reflect_commands import ClearModel, DeleteDirective, DeleteModel, PutDirective, PutModel
from memory.reflect_plans import (
    plan_clear_model,
    plan_delete_directive,
    plan_delete_model,
    plan_put_directive,
    plan_put_model,
    plan_refresh_model,
)
from memory.store_calls import (
    Batch,
    FindLive,
    GetRecords,
    GetUnits,
    HeadPage,
    ListRecords,
    ListUnits,
    ReadHead,
    RecordPage,
    UnitPage,
)

_DENSE = np.zeros(4, dtype=np.float32)


@dataclass
class _FakeBank:
    head: Head = field(default_factory=Head)
    units: dict[str, Unit] = field(default_factory=dict)
    records: dict[tuple[RecordKind, str], Record] = field(default_factory=dict)


class _FakeCuration:
    """No fact was ever extracted."""

    def __init__(self, client: "FakeBankClient") -> None:
        self._client = client

    async def list_entities(self, scope, command) -> EntityPage:
        await self._client._bank(scope)
        return EntityPage((), {}, {}, 0)

    async def list_invalidated(self, scope, *, limit, offset=0) -> UnitPage:
        await self._client._bank(scope)
        return UnitPage((), 0)

    async def find_curation(self, scope, unit_id) -> None:
        await self._client._bank(scope)

    async def curate_fact(self, scope, command):
        await self._client._bank(scope)
        raise NotFound(command.unit_id)

    async def curate_entity(self, scope, command):
        await self._client._bank(scope)
        raise NotFound(command.key)

    async def reprocess_document(self, scope, command):
        await self._client._bank(scope)
        raise NotFound(command.document_id)

    async def preview_extraction(self, scope, item, overrides):
        await self._client._bank(scope)
        return [], "rules"

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


class _FakeStacks:
    """Named banks, one after the other; a scope is whoever's last claimed it."""

    def __init__(self, client: "FakeBankClient") -> None:
        self._client = client
        self._banks: dict[tuple[str, Address], str] = {}

    async def find_banks(self, tenant, address) -> list[str]:
        return [self._banks[tenant, tier] for tier in address.tiers() if (tenant, tier) in self._banks]

    async def recall(self, tenant, banks, query, min_seqs) -> FoundInStack:
        answers = [await self._client.recall(Scope(tenant, bank), query) for bank in banks]
        results = [
            one._replace(bank=bank) for bank, answer in zip(banks, answers, strict=True) for one in answer.results
        ]
        return FoundInStack(RecallAnswer(tuple(results[: query.limit])), tuple(banks))

    async def update_bank(self, bank, changes, address) -> Head:
        if self._banks.setdefault((bank.tenant, address), bank.bank) != bank.bank:
            raise Conflict("another bank has this scope")
        return await self._client.update_bank(bank, UpdateBank("op", {**changes, SCOPE: address_row(address)}))

    async def release(self, bank, profile) -> None:
        self._banks = {key: name for key, name in self._banks.items() if name != bank.bank}


class _FakeStore:
    """The reads of reflections, over the dictionaries."""

    def __init__(self, client: "FakeBankClient") -> None:
        self._client = client

    async def perform(self, scope, request):
        bank = await self._client._bank(scope)
        if isinstance(request, Batch):
            return [await self.perform(scope, call) for call in request.calls]
        match request:
            case ReadHead():
                return bank.head
            case ListRecords(kind, limit, offset, status):
                return self._client._list(bank, kind, limit, offset, status)
            case GetRecords(kind, keys):
                return {key: bank.records[kind, key] for key in keys if (kind, key) in bank.records}
            case FindLive(ids):
                return frozenset(id_ for id_ in ids if id_ in bank.units)
            case GetUnits(ids):
                return {id_: bank.units[id_] for id_ in ids if id_ in bank.units}
            case ListUnits(limit, offset, where):
                return await self._client.list_units(scope, where, limit=limit, offset=offset)
        raise AssertionError(request)


class _FakeCluster:
    """Commands on directives and mental models, planned as their owner plans them."""

    def __init__(self, client: "FakeBankClient") -> None:
        self._client = client
        self.store = _FakeStore(client)

    async def command(self, scope, command):
        client = self._client
        bank = await client._bank(scope)
        view, now = client._view(scope, bank), datetime.now(UTC)
        if isinstance(command, (PutDirective, DeleteDirective)):
            record = bank.records.get((RecordKind.DIRECTIVE, command.directive_id))
            if isinstance(command, PutDirective):
                plan, after = plan_put_directive(view, command, decode_directive(record) if record else None, now)
            elif record is None:
                raise NotFound(command.directive_id)
            else:
                plan, after = plan_delete_directive(view, command, now), None
        else:
            record = bank.records.get((RecordKind.MENTAL_MODEL, command.model_id))
            model = decode_model(record) if record else None
            if isinstance(command, PutModel):
                plan, after = plan_put_model(view, command, model, now)
            elif model is None:
                raise NotFound(command.model_id)
            elif isinstance(command, DeleteModel):
                plan, after = plan_delete_model(view, command, model, now), None
            elif isinstance(command, ClearModel):
                plan, after = plan_clear_model(view, command, model, now)
            else:
                plan, after = plan_refresh_model(view, command, model, now)
        client._apply(bank, plan)
        return after


class FakeBankClient(BankClient):
    """Set `failure` to have every call raise it, `delay_s` to have every call take that long."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._banks: dict[Scope, _FakeBank] = {}
        self.curation = cast("Any", _FakeCuration(self))
        self.stacks = cast("Any", _FakeStacks(self))
        self.reflecting = ReflectClient(cast("Any", _FakeCluster(self)), cast("Any", self), settings)
        self.failure: BaseException | None = None
        self.delay_s = 0.0
        self.queries: list[RecallQuery] = []

    async def wait_for_stage(self, scope, documents, stage, timeout_s) -> bool:
        await self._bank(scope)
        return True

    async def _bank(self, scope: Scope) -> _FakeBank:
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        return self._banks.setdefault(scope, _FakeBank())

    # -- writes

    async def retain(self, scope: Scope, command: Retain) -> RetainReceipt:
        bank = await self._bank(scope)
        now = datetime.now(UTC)
        drafts = draft_documents(scope, command, now)
        known = bank.records.get((RecordKind.OPERATION, command.operation_id))
        if known is not None:
            if known.body.get("fingerprint") != command.fingerprint():
                raise Conflict(f"operation id {command.operation_id!r} was used for another command")
            return receipt_of_operation(command.operation_id, known.body)
        merges = [merge_document(scope, self._document(bank, draft.id), draft) for draft in drafts]
        embedded = {
            chunk.content_hash: Embedded(_DENSE, len(chunk.text.split())) for merge in merges for _, chunk in merge.new
        }
        plan, receipt = plan_retain(self._view(scope, bank), command, merges, embedded, now)
        self._apply(bank, plan)
        return receipt

    async def delete_document(self, scope: Scope, command: DeleteDocument) -> DeleteReceipt:
        bank = await self._bank(scope)
        document = self._document(bank, command.document_id)
        if document is None:
            raise NotFound(f"bank {scope.bank!r} has no document {command.document_id!r}")
        plan, receipt = plan_delete_document(self._view(scope, bank), command, document, datetime.now(UTC))
        self._apply(bank, plan)
        return receipt

    async def delete_bank(self, scope: Scope, command: DeleteBank) -> DeleteReceipt:
        bank = await self._bank(scope)
        plan, receipt = plan_delete_bank(self._view(scope, bank), command, datetime.now(UTC))
        self._apply(bank, plan)
        return receipt

    async def update_bank(self, scope: Scope, command: UpdateBank) -> Head:
        bank = await self._bank(scope)
        self._apply(bank, plan_update_bank(self._view(scope, bank), command, datetime.now(UTC)))
        return bank.head

    # -- reads

    async def recall(self, scope: Scope, query: RecallQuery) -> RecallAnswer:
        """Units ranked by the words they share with the query; all that match the filter are candidates."""
        bank = await self._bank(scope)
        self.queries.append(query)
        types = AnyOf("type", tuple(kind.value for kind in query.types)) if query.types else None
        where = every(query.where, types)
        words = set(re.findall(r"\w+", query.query.lower()))
        scored = []
        for unit in bank.units.values():
            payload = encode_unit(unit)
            if holds(where, unit.id, payload):
                shared = len(words & set(re.findall(r"\w+", unit.text.lower())))
                score = keyword_score(float(shared))
                scored.append(Ranked(unit.id, payload, (1 + score) / 3, score, score))
        ranked = sorted(scored, key=lambda result: (-result.final, result.id))
        chosen = pack([int(r.payload.get("text_tokens", 0)) for r in ranked], query.max_tokens, query.limit)
        return RecallAnswer(tuple(ranked[i] for i in chosen), {"budget": query.budget} if query.trace else None)

    async def find_head(self, scope: Scope) -> Head | None:
        bank = await self._bank(scope)
        return bank.head if bank.head.exists else None

    async def list_banks(self, tenant: str, limit: int, offset: int) -> HeadPage:
        await self._bank(Scope(tenant, ""))
        rows = sorted((s.bank, b.head) for s, b in self._banks.items() if s.tenant == tenant and b.head.exists)
        return HeadPage(tuple(rows[offset : offset + limit]), len(rows))

    async def list_units(self, scope: Scope, where: Filter = TRUE, *, limit: int, offset: int = 0) -> UnitPage:
        bank = await self._bank(scope)
        found = [unit for unit in bank.units.values() if holds(where, unit.id, encode_unit(unit))]
        found.sort(key=lambda unit: (-unit.seq, unit.id))
        return UnitPage(tuple(found[offset : offset + limit]), len(found))

    async def get_unit(self, scope: Scope, unit_id: str) -> Unit:
        bank = await self._bank(scope)
        if unit_id not in bank.units:
            raise NotFound(f"bank {scope.bank!r} has no memory {unit_id!r}")
        return bank.units[unit_id]

    async def read_document(
        self, scope: Scope, document_id: str, chunks: tuple[int, int | None] = (0, None)
    ) -> DocumentPart:
        bank = await self._bank(scope)
        document = self._document(bank, document_id)
        if document is None:
            raise NotFound(f"bank {scope.bank!r} has no document {document_id!r}")
        return DocumentPart(document, tuple(bank.units[e.unit_id] for e in document.chunks[slice(*chunks)]))

    show_document = read_document

    async def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit]:
        for scope, bank in self._banks.items():
            if scope.tenant == tenant and unit_id in bank.units:
                return scope, bank.units[unit_id]
        raise NotFound(f"no memory {unit_id!r}")

    async def get_documents(self, scope: Scope, ids: tuple[str, ...]) -> dict[str, Document]:
        bank = await self._bank(scope)
        found = {id_: self._document(bank, id_) for id_ in ids}
        return {id_: document for id_, document in found.items() if document is not None}

    async def list_documents(self, scope: Scope, *, limit: int, offset: int = 0) -> DocumentPage:
        page = self._list(await self._bank(scope), RecordKind.DOCUMENT, limit, offset, None)
        return DocumentPage(tuple(decode_document(r.key, r.body) for r in page.records), page.total)

    async def list_operations(
        self, scope: Scope, *, limit: int, offset: int = 0, status: str | None = None
    ) -> RecordPage:
        return self._list(await self._bank(scope), RecordKind.OPERATION, limit, offset, status)

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        return (await self._bank(scope)).records.get((RecordKind.OPERATION, operation_id))

    async def find_stages(self, scope: Scope, document_id: str) -> dict[str, Any]:
        del document_id
        await self._bank(scope)
        return {}

    async def count_values(self, scope: Scope, field: str, limit: int, where: Filter = TRUE) -> dict[str, int]:
        bank = await self._bank(scope)
        counts: dict[str, int] = {}
        for unit in bank.units.values():
            payload = encode_unit(unit)
            if holds(where, unit.id, payload):
                found = payload.get(field, ())
                for value in (found,) if isinstance(found, str) else found:
                    counts[value] = counts.get(value, 0) + 1
        return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:limit])

    async def ready(self) -> dict[str, Any]:
        await self._bank(Scope("", ""))
        return {"hosts": [{}, {}], "shards": [{}], "ring_version": 1}

    # -- one bank

    def _view(self, scope: Scope, bank: _FakeBank) -> BankView:
        return BankView(scope, bank.head, RecallProfile())

    def _document(self, bank: _FakeBank, document_id: str) -> Document | None:
        record = bank.records.get((RecordKind.DOCUMENT, document_id))
        return None if record is None else decode_document(document_id, record.body)

    def _list(self, bank: _FakeBank, kind: RecordKind, limit: int, offset: int, status: str | None) -> RecordPage:
        found = [r for (k, _), r in bank.records.items() if k is kind and (status is None or r.status == status)]
        found.sort(key=lambda record: (-record.order, record.key))
        return RecordPage(tuple(found[offset : offset + limit]), len(found))

    def _apply(self, bank: _FakeBank, plan: Plan) -> None:
        if plan.clear:
            bank.units.clear()
            bank.records.clear()
        for new in plan.add:
            bank.units[new.unit.id] = replace(new.unit, state=UnitState.LIVE)
        for unit_id in plan.retire:
            del bank.units[unit_id]
        for key in plan.remove:
            del bank.records[key]
        for record in plan.records:
            bank.records[record.kind, record.key] = record
        bank.head = plan.head_after
