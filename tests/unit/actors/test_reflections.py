"""Stored reflections in a bank: kept once, listed, found where asked for, gone with what they rest on."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from actors.reflection_client import ReflectionClient
from memory.commands import DeleteBank, DeleteDocument, RepairBank
from memory.errors import Conflict, NotFound, Unavailable
from memory.filters import TRUE, tags_filter
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.records import RecordKind, UnitType
from memory.reflect_commands import ClaimReflection, PutModel
from memory.reflecting.port import Question
from memory.reflections import StoredReflection, fingerprint_of, reflection_id
from memory.store_calls import ListRecords, ReadHead, SwapHead
from storage.reference_store import ReferenceStore
from tests.support.bank_owner import user
from tests.support.builders import DIM
from tests.support.loops import in_loop
from tests.support.planting import audit
from tests.support.reflecting import ReflectingOwner


@pytest.fixture
def bank(llm) -> ReflectingOwner:
    return ReflectingOwner(ReferenceStore(DIM), llm)


def stored_in(bank: ReflectingOwner) -> ReflectionClient:
    async def command(scope: Scope, given: Any) -> Any:
        return await bank.bank.perform(given)

    cluster: Any = SimpleNamespace(store=bank.store, command=command)
    return ReflectionClient(cluster, bank.reader)


async def keep(bank, query="Where is the key?", op="op-r", tags=(), **given) -> StoredReflection:
    question = Question(query, **given)
    answered = await bank.reflector.reflect(bank.scope, question)
    return await stored_in(bank).store(bank.scope, op, question, tags, answered)


async def recalled(bank, query, **given) -> set[str]:
    found = await bank.reflector._recall(bank.scope, RecallQuery(query, **given))
    return {result.payload["type"] for result in found.results}


@in_loop
async def test_a_reflection_is_kept_listed_found_where_asked_for_and_deleted(bank):
    await bank.retain(user("The key lies under the pot."))
    stored = await keep(bank)
    client = stored_in(bank)
    assert await client.list(bank.scope, TRUE, limit=10, offset=0) == ((stored,), 1)
    assert await client.get(bank.scope, stored.id) == stored
    assert stored.query == "Where is the key?"
    assert "under the pot" in stored.text
    assert stored.answer["usage"]["total_tokens"] > 0
    assert stored.answer["based_on"]["memories"][0]["text"] == "The key lies under the pot."
    assert await recalled(bank, "Where is the key?") == {"world"}
    assert await recalled(bank, "Where is the key?", types=(UnitType.REFLECTION,)) == {"reflection"}
    assert await recalled(bank, "key", types=(UnitType.REFLECTION, UnitType.WORLD)) == {"reflection", "world"}
    assert bank.read(ReadHead()).counters["type:reflection"] == 1
    assert audit(bank.engine, bank.scope) == []
    bank.check()
    for _ in range(2):
        await client.delete(bank.scope, "op-d", stored.id)
    with pytest.raises(NotFound):
        await client.delete(bank.scope, "op-e", stored.id)
    with pytest.raises(NotFound):
        await client.get(bank.scope, stored.id)
    assert await client.list(bank.scope, TRUE, limit=10, offset=0) == ((), 0)
    assert "type:reflection" not in bank.read(ReadHead()).counters
    assert audit(bank.engine, bank.scope) == []
    bank.check()


@in_loop
async def test_what_a_reflection_said_is_no_evidence_for_another_one(bank, llm):
    await bank.retain(user("The key lies under the pot."))
    await keep(bank)
    again = await bank.reflect("Where is the key?", budget="high")
    assert {piece.payload["type"] for piece in again.seen} == {"world"}
    await bank.bank.perform(PutModel("p", "key", {"name": "Key", "source_query": "Where is the key?"}, create=True))
    await bank.bank.refreshes.rest()
    await keep(bank, "Is the key red?", "op-2")
    model = (await bank.reflector.character(bank.scope)).models[0]
    assert (await bank.refresher.refresh(bank.scope, model, "delta")).result.changed is False, "nothing was told since"


@in_loop
async def test_sent_again_it_is_the_same_one_and_another_question_is_refused(bank):
    await bank.retain(user("The key lies under the pot."))
    stored = await keep(bank)
    client, question = stored_in(bank), Question("Where is the key?")
    assert await client.find(bank.scope, "op-r", question, ()) == stored
    assert await keep(bank) == stored
    assert await client.find(bank.scope, "op-none", question, ()) is None
    with pytest.raises(Conflict):
        await client.find(bank.scope, "op-r", Question("Where is the dog?"), ())
    with pytest.raises(Conflict):
        await keep(bank, "Where is the dog?")
    assert bank.read(ReadHead()).counters["type:reflection"] == 1


@in_loop
async def test_it_goes_with_whatever_it_was_given_for(bank, llm):
    await bank.retain(user("The secret tea is oolong."), document_id="secret", op="1")
    await bank.retain(user("Green tea is served at four."), document_id="open", op="2")
    mixed = await keep(bank, "Which tea is served?", "op-1")
    open_only = await keep(bank, "Which tea at four?", "op-2", types=(UnitType.WORLD,), where=_document("open"))
    by_model = PutModel("p", "tea", {"name": "Tea", "source_query": "What about tea?"}, create=True)
    await bank.bank.perform(by_model)
    await bank.bank.refreshes.rest()
    through_model = await keep(bank, "Tea?", "op-3", types=(UnitType.EXPERIENCE,))
    assert "oolong" in through_model.text + str(through_model.answer)
    await bank.bank.perform(DeleteDocument("del", "secret"))
    left, total = await stored_in(bank).list(bank.scope, TRUE, limit=10, offset=0)
    assert (left, total) == ((open_only,), 1)
    assert mixed.id not in {one.id for one in left}
    page = bank.read(ListRecords(RecordKind.REFLECTION, 100))
    assert "oolong" not in str([record for record in page.records if record.status != "removed"])
    assert bank.read(ListRecords(RecordKind.REDERIVE, 10)).total == 0, "an answer is not derived again"
    assert audit(bank.engine, bank.scope) == []
    bank.check()


def _document(name):
    from memory.filters import AnyOf

    return AnyOf("document_id", (name,))


@in_loop
async def test_one_whose_evidence_went_while_it_was_made_is_not_kept(bank):
    await bank.retain(user("The key lies under the pot."))
    question = Question("Where is the key?")
    answered = await bank.reflector.reflect(bank.scope, question)
    await bank.bank.perform(DeleteDocument("del", "d"))
    with pytest.raises(Conflict, match="deleted"):
        await stored_in(bank).store(bank.scope, "op-r", question, (), answered)
    assert "type:reflection" not in bank.read(ReadHead()).counters


@in_loop
async def test_tags_narrow_the_list_and_recall(bank):
    await bank.retain(user("The key lies under the pot."))
    await keep(bank, op="op-1", tags=("home",))
    await keep(bank, op="op-2", tags=("work",))
    where = tags_filter(["home"], "any_strict")
    found, total = await stored_in(bank).list(bank.scope, where, limit=10, offset=0)
    assert ([one.tags for one in found], total) == ([("home",)], 1)
    only = await bank.reflector._recall(bank.scope, RecallQuery("key", types=(UnitType.REFLECTION,), where=where))
    assert [result.payload["tags"] for result in only.results] == [["home"]]


@in_loop
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_is_lost_is_made_once(bank, when):
    await bank.retain(user("The key lies under the pot."))
    question = Question("Where is the key?")
    answered = await bank.reflector.reflect(bank.scope, question)
    bank.engine.arm(SwapHead, when, Unavailable("lost"))
    with pytest.raises(Unavailable):
        await stored_in(bank).store(bank.scope, "op-r", question, (), answered)
    await stored_in(bank).store(bank.scope, "op-r", question, (), answered)
    assert bank.read(ReadHead()).counters["type:reflection"] == 1
    bank.check()
    await bank.bank.perform(RepairBank("repair"))
    assert audit(bank.engine, bank.scope) == []
    await bank.bank.perform(DeleteBank("gone"))
    assert (await stored_in(bank).list(bank.scope, TRUE, limit=10, offset=0))[1] == 0
    bank.check()


async def once(client: ReflectionClient, bank, query="Where is the key?", op="op-r", lease_s=30.0) -> StoredReflection:
    """As a replica answers what is to be stored."""
    question = Question(query)
    async with client.claimed(bank.scope, op, question, (), lease_s) as known:
        if known is not None:
            return known
        answered = await bank.reflector.reflect(bank.scope, question)
        return await client.store(bank.scope, op, question, (), answered)


@in_loop
async def test_of_requests_under_one_id_at_the_same_time_one_is_paid_and_all_are_answered(bank, llm):
    await bank.retain(user("The key lies under the pot."))
    alone = await once(stored_in(bank), bank, op="op-alone")
    paid = len(llm.requests)
    replicas = [stored_in(bank) for _ in range(3)]
    made = await asyncio.gather(*(once(client, bank) for client in (*replicas, *replicas)))
    assert {one.id for one in made} == {made[0].id} != {alone.id}
    assert len(llm.requests) == 2 * paid
    assert bank.read(ReadHead()).counters["type:reflection"] == 2
    bank.check()


@in_loop
async def test_who_waits_takes_the_place_of_one_that_fails_and_another_question_is_refused(bank):
    await bank.retain(user("The key lies under the pot."))
    first, second = stored_in(bank), stored_in(bank)
    waiting: list[asyncio.Task[StoredReflection]] = []

    async def failing() -> None:
        async with first.claimed(bank.scope, "op-r", Question("Where is the key?"), (), 30.0):
            waiting.append(asyncio.create_task(once(second, bank)))
            with pytest.raises(Conflict):
                await once(stored_in(bank), bank, "Where is the dog?")
            with pytest.raises(Unavailable):
                await once(stored_in(bank), bank, lease_s=0.0)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await failing()
    assert not waiting[0].done()
    assert (await waiting[0]).query == "Where is the key?"


@in_loop
async def test_a_claim_whose_holder_is_gone_lapses(bank):
    await bank.retain(user("The key lies under the pot."))
    gone = ClaimReflection(
        "gone", reflection_id(bank.scope, "op-r"), fingerprint_of(Question("Where is the key?"), ()), 30.0
    )
    for _ in range(2):
        assert (await bank.bank.perform(gone)).granted, "sent again it is the same claim"
    assert not (await bank.bank.perform(replace(gone, operation_id="other"))).granted
    bank.clock.pass_by(31.0)
    assert (await once(stored_in(bank), bank)).text
    assert not (await bank.bank.perform(replace(gone, operation_id="later"))).granted, "it is stored"
