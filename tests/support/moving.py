"""A bank with everything a bank can have, and all that callers can see of it, in a form to compare between places."""

from collections.abc import Container
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from actors.bank_ports import Consolidation
from actors.client import BankClient
from actors.consolidating import RuleConsolidator
from actors.extraction import ExtractStage
from actors.settings import Settings
from memory.commands import (
    AppendTurns,
    CloseSession,
    CurateEntity,
    CurateFact,
    DeleteDocument,
    Item,
    ListEntities,
    Message,
    OpenSession,
    Retain,
    UpdateBank,
)
from memory.encoding import encode_unit
from memory.entities import entity_key
from memory.facts import EXTRACT
from memory.filters import AnyOf
from memory.ids import Scope
from memory.policy import BankPolicy
from memory.recall import RecallQuery
from memory.records import RecordKind, Unit
from memory.reflect_commands import PutDirective, PutModel
from memory.store_calls import ListRecords
from storage.reference_store import ReferenceStore
from tests.support.bank_state import check_bank
from tests.support.builders import DIM
from tests.support.clocks import FakeClock
from tests.support.extracting import CountingExtractor
from tests.support.local_client import recalling_client

MAY = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
NAMES = ("Ana", "Bo", "Maria", "Lee")
TOWNS = ("Paris", "Oslo", "Rome", "Bari", "Lyon")
SAID = ("I moved to {}.", "I live in {}.", "My sister visited {} last week.", "I don't live in {} anymore.")
OWN = {"seq", "epoch", "seen_seq", "born_version"}
"""What its place decides. Turns of a session are born with their document's version, once they are in its record."""


class Place:
    """A deployment in this process that extracts facts by rules and recalls."""

    def __init__(self) -> None:
        stages: dict[str, Any] = {}
        policy = BankPolicy(stages=(EXTRACT,), session_debounce_s=60.0)
        self.clock = FakeClock()
        self.batches: list[Any] = []
        settings = Settings(embedder="hash", embedding_dim=DIM)
        consolidation = Consolidation(self._decide, 256, with_model=False)
        self.client: BankClient = recalling_client(
            settings, stages=stages, policy=policy, clock=self.clock, consolidation=consolidation
        )
        cast("Any", self.client)._reader._clock = self.clock
        self.cluster: Any = cast("Any", self.client)._cluster
        self.engine: ReferenceStore = self.cluster.engine
        self.extractor = CountingExtractor()
        stages[EXTRACT] = ExtractStage(self.cluster.store, self.extractor)

    async def _decide(self, scope: Any, batch: Any) -> Any:
        self.batches.append(batch)
        return await RuleConsolidator(self.cluster.store, self.clock).decide(scope, batch)

    async def rest(self, scope: Scope) -> None:
        await self.cluster.bank(scope).stages.rest()

    async def settle(self, scope: Scope) -> None:
        """Let time go by until the bank is due, and what is due be done."""
        self.clock.pass_by(3600)
        await self.cluster.bank(scope).settle()
        await self.rest(scope)
        await self.cluster.bank(scope).consolidations.rest()

    def check(self, scope: Scope) -> None:
        check_bank(self.engine, scope)


async def live_a_life(place: Place, scope: Scope, documents: int = 12) -> None:
    """Documents replaced and deleted, facts corrected and denied, entities made one, sessions, rules, questions."""
    client = place.client
    await client.update_bank(scope, UpdateBank("p", {"name": "Ana", "disposition_empathy": 5}))
    for number in range(documents):
        name, town = NAMES[number % 4], TOWNS[number % 5]
        at = MAY + timedelta(days=number)
        turns = [
            Message(text.format(town), "user", name, at + timedelta(minutes=minute))
            for minute, text in enumerate(SAID[: 1 + number % 4])
        ]
        turns.append(Message(f"{town} is far from here, number {number}.", "assistant", timestamp=at))
        item = Item(tuple(turns), f"d{number}", tags=(f"t{number % 3}",), metadata={"n": str(number)}, context="a talk")
        await client.retain(scope, Retain(f"r{number}", (item,)))
    await client.retain(scope, Retain("again", (Item((Message("I live in Kyiv.", "user", "Bo", MAY),), "d1"),)))
    await client.delete_document(scope, DeleteDocument("gone", "d2"))
    await place.rest(scope)
    facts = sorted(await _facts(client, scope), key=lambda unit: (unit.text, unit.id))
    await client.curation.curate_fact(scope, CurateFact("c1", facts[0].id, {"text": "Ana never lived there"}))
    await client.curation.curate_fact(scope, CurateFact("c2", facts[-1].id, state="invalidated", reason="a joke"))
    await client.curation.curate_entity(
        scope, CurateEntity("e1", entity_key("Ana"), {"name": "Anna"}, merge=(entity_key("Bo"),))
    )
    for session in ("open", "closed"):
        await client.open_session(scope, OpenSession(f"o-{session}", session, tags=("chat",)))
        for number in range(3):
            turns_ = (Message(f"turn {number} of {session}: I live in Rome.", "user", "Maria"),)
            await client.append_turns(scope, AppendTurns(f"a-{session}-{number}", session, turns_))
    await client.close_session(scope, CloseSession("c", "closed"))
    await place.rest(scope)
    command = place.cluster.command
    await command(scope, PutDirective("w1", "kind", {"name": "Kind", "content": "Be kind."}, create=True))
    model = {"name": "Home", "source_query": "Where does Ana live?", "trigger": {"refresh_after_consolidation": True}}
    await command(scope, PutModel("m1", "home", model, create=True))


async def _facts(client: BankClient, scope: Scope) -> list[Unit]:
    return list((await client.list_units(scope, AnyOf("kind", ("fact",)), limit=1000)).units)


async def seen(place: Place, scope: Scope, queries: int = 20, own_operations: Container[str] = ()) -> dict[str, Any]:
    """Everything that callers see, with texts in place of ids, and without sequence numbers and `own_operations`."""
    client = place.client
    head = await client.find_head(scope)
    assert head is not None
    units = (await client.list_units(scope, limit=10_000)).units
    curated = (await client.inspect(scope, ListRecords(RecordKind.CURATION, 1000))).records
    names = {unit.id: f"{unit.kind} {unit.document_id} {unit.text}" for unit in units}
    names |= {record.key: f"curated {record.body['unit']['text']}" for record in curated}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in sorted(value.items()) if key not in OWN}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        return names.get(value, value) if isinstance(value, str) else value

    found: dict[str, Any] = {"profile": head.profile, "counters": head.counters, "created_at": head.created_at}
    found["units"] = [(names[unit.id], plain(encode_unit(unit))) for unit in units]
    for document in (await client.list_documents(scope, limit=1000)).documents:
        part = await client.read_document(scope, document.id)
        said = (part.text, document.version, document.created_at, document.updated_at, document.open)
        found[f"document {document.id}"] = (*said, document.tags, document.metadata, document.context)
    for kind in (RecordKind.CURATION, RecordKind.ENTITY, RecordKind.DIRECTIVE, RecordKind.MENTAL_MODEL,
                 RecordKind.MODEL_VERSION, RecordKind.SESSION, RecordKind.OPERATION):  # fmt: skip
        records = (await client.inspect(scope, ListRecords(kind, 1000))).records
        own = {"parts", "windows"}
        found[kind.value] = [
            (
                names.get(r.key, r.key),
                r.status,
                r.order,
                {k: v for k, v in sorted(_plain_body(plain, r).items()) if k not in own},
            )
            for r in records
            if r.key not in own_operations
        ]
    found["entities"] = [
        (entity.name, entity.facts, entity.mentions, entity.aliases, entity.first_mentioned_at)
        for entity in (await client.curation.list_entities(scope, ListEntities(1000))).entities
    ]
    for number in range(queries):
        name, town = NAMES[number % 4], TOWNS[(number // 4) % 5]
        as_of = MAY + timedelta(days=number % 9) if number % 3 == 2 else None
        question = ("Who lives in {1}?", "Where does {0} live?", "When did {0} move to {1}, number {2}?")[number % 3]
        query = RecallQuery(
            question.format(name, town, number), limit=10, query_timestamp=MAY + timedelta(days=20), as_of=as_of
        )
        answer = await client.recall(scope, query)
        found[f"recall {number}"] = (
            [(names[row.id], round(row.final, 6)) for row in answer.results],
            answer.incomplete,
        )
    return found


def _plain_body(plain: Any, record: Any) -> dict[str, Any]:
    body = plain(dict(record.body))
    if record.kind is RecordKind.OPERATION:
        body["documents"] = [[*row[:2], *row[3:]] for row in body.get("documents") or ()]
    if "sources" in body:
        body["sources"] = [source if isinstance(source, dict | str) else source[::2] for source in body["sources"]]
    return cast("dict[str, Any]", body)
