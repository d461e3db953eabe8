"""Observations of a bank, made by rules in its idle time: created, refined, merged, retired; nothing stale stays."""

import asyncio

import pytest

from memory.commands import CurateFact, DeleteBank, DeleteDocument, UpdateBank
from memory.consolidating.commands import ClearObservations, Consolidate
from memory.consolidating.plans import UNCONSOLIDATED
from memory.events import ReadEvents
from memory.records import RecordKind
from memory.reflect_commands import PutModel, Refreshed
from memory.store_calls import GetRecords, ReadHead
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.builders import DIM
from tests.support.consolidating import ConsolidatingOwner, by_ana
from tests.support.loops import in_loop
from tests.support.planting import audit


@pytest.fixture
def bank() -> ConsolidatingOwner:
    return ConsolidatingOwner(ReferenceStore(DIM))


@in_loop
async def test_facts_that_say_the_same_become_one_observation_with_its_evidence(bank):
    await bank.tell(by_ana("I live in Oslo."), document_id="a", op="1")
    await bank.tell(by_ana("I live in Oslo, Norway."), document_id="b", op="2")
    await bank.tell(by_ana("I work as a vet."), document_id="c", op="3")
    assert bank.observations() == {}
    await bank.settle()
    ((text, unit),) = bank.observations().items()
    assert text == "Ana lives in Oslo, Norway. Ana lives in Oslo."
    assert bank.evidence()[text] == {"Ana lives in Oslo, Norway", "Ana lives in Oslo"}
    assert unit.proof_count == len(unit.sources) == 2
    told = [fact.mentioned_at for fact in bank.facts().values() if "Oslo" in fact.text]
    assert unit.mentioned_at == max(told)
    head = bank.read(ReadHead())
    assert UNCONSOLIDATED not in head.counters
    bank.check()
    assert audit(bank.engine, bank.scope) == []


async def told(bank: ConsolidatingOwner, *texts: str, tags: tuple[str, ...] = (), start: int = 0, **given) -> None:
    """Each text a document of its own, d0, d1 ..."""
    for number, text in enumerate(texts, start):
        await bank.tell(by_ana(text), document_id=f"d{number}", op=f"op{number}", tags=tags, **given)


OSLO = ("I live in Oslo.", "I live in Oslo, Norway.")


@in_loop
async def test_a_second_run_changes_nothing_and_writes_nothing(bank):
    await told(bank, *OSLO)
    await bank.settle()
    before, commit = bank.observations(), bank.read(ReadHead()).commit
    embedded = len(bank.embedded)
    bank.bank.consolidations.wake()
    await bank.bank.consolidations.rest()
    assert (bank.observations(), bank.read(ReadHead()).commit) == (before, commit)
    await bank.bank.perform(Consolidate("again"))
    await bank.bank.consolidations.rest()
    assert bank.observations() == before
    assert len(bank.embedded) == embedded
    bank.check()


@in_loop
async def test_more_evidence_refines_an_observation_which_keeps_its_id_and_its_history(bank):
    await told(bank, *OSLO)
    await bank.settle()
    ((first, before),) = bank.observations().items()
    await told(bank, "I still live in Oslo with my dog.", start=2)
    await bank.settle()
    ((_, after),) = bank.observations().items()
    assert after.id == before.id
    assert (before.proof_count, after.proof_count) == (2, 3)
    (version,) = bank.history(after.id).body["versions"]
    assert (version["text"], version["proof_count"], version["change"]) == (first, 2, "refined")
    bank.check()


@in_loop
async def test_what_a_later_fact_contradicts_stops_counting(bank):
    await told(bank, *OSLO)
    await bank.settle()
    await told(bank, "I moved to Rome.", "I live in Rome now.", start=2)
    await bank.settle()
    assert all("Oslo" not in text for text in bank.observations())
    ((_, unit),) = bank.observations().items()
    assert "Rome" in unit.text
    bank.check()


@in_loop
async def test_what_holds_again_counts_again(bank):
    await told(bank, *OSLO, "I moved to Rome.")
    await bank.settle()
    assert bank.observations() == {}
    await bank.bank.perform(DeleteDocument("gone", "d2"))
    await bank.settle()
    assert [unit.proof_count for unit in bank.observations().values()] == [2]
    bank.check()


@in_loop
async def test_a_deleted_source_takes_the_observation_and_its_words_with_it_and_what_is_left_is_looked_at_anew(bank):
    await told(bank, *OSLO, "I live in Oslo, near the opera.")
    await bank.settle()
    ((_, before),) = bank.observations().items()
    await bank.bank.perform(DeleteDocument("gone", "d2"))
    assert bank.observations() == {}
    assert bank.history(before.id) is None
    bank.check()
    await bank.settle()
    ((text, unit),) = bank.observations().items()
    assert "opera" not in text
    assert unit.proof_count == 2
    assert bank.queue() == []
    await bank.bank.perform(DeleteDocument("gone-too", "d1"))
    await bank.settle()
    assert bank.observations() == {}
    assert bank.queue() == []
    bank.check()


@in_loop
async def test_what_an_observation_said_before_goes_with_what_it_rested_on_then(bank):
    await told(bank, *OSLO)
    await bank.settle()
    await told(bank, "I live in Oslo with my dog.", start=2)
    await bank.settle()
    ((_, unit),) = bank.observations().items()
    (version,) = bank.history(unit.id).body["versions"]
    assert "Norway" in version["text"]
    facts = {text: fact for text, fact in bank.facts().items() if fact.document_id == "d1"}
    assert facts
    await bank.bank.perform(DeleteDocument("gone", "d1"))
    await bank.settle()
    for observed in bank.observations().values():
        found = bank.history(observed.id)
        assert "Norway" not in str(found.body)
    bank.check()


@in_loop
async def test_a_bank_that_is_off_or_paused_makes_none_until_somebody_asks(bank):
    bank.settings["enable_observations"] = False
    await told(bank, *OSLO)
    await bank.settle()
    assert bank.observations() == {}
    asked = await bank.bank.perform(Consolidate("ask"))
    await bank.bank.consolidations.rest()
    assert len(bank.observations()) == 1
    assert asked.operation_id == "ask"
    bank.settings["enable_observations"] = True
    await bank.bank.perform(UpdateBank("pause", {"consolidation_paused": True}))
    await told(bank, "I still live in Oslo.", start=2)
    await bank.settle()
    assert [unit.proof_count for unit in bank.observations().values()] == [2]
    await bank.bank.perform(UpdateBank("resume", {"consolidation_paused": False}))
    await bank.settle()
    assert [unit.proof_count for unit in bank.observations().values()] == [3]
    bank.check()


@in_loop
async def test_turning_observations_on_has_what_is_there_consolidated(bank):
    bank.settings.clear()
    await told(bank, *OSLO)
    await bank.bank.perform(UpdateBank("on", {"enable_observations": True}))
    await bank.settle()
    assert len(bank.observations()) == 1
    bank.check()


@in_loop
async def test_scopes_keep_facts_of_different_tags_apart_or_bring_them_together(bank):
    await told(bank, OSLO[0], tags=("work",))
    await told(bank, OSLO[1], tags=("home",), start=1)
    await bank.settle()
    assert bank.observations() == {}
    bank.settings["default_observation_scopes"] = "shared"
    await bank.bank.perform(ClearObservations("clear"))
    await bank.settle()
    assert [unit.tags for unit in bank.observations().values()] == [()]
    bank.settings["default_observation_scopes"] = "per_tag"
    await bank.bank.perform(ClearObservations("clear-2"))
    await told(bank, "I live in Oslo, you know.", tags=("home", "work"), start=2)
    await bank.settle()
    assert sorted(unit.tags for unit in bank.listed()) == [("home",), ("work",)]
    bank.check()


@in_loop
async def test_observations_are_cleared_and_made_again(bank):
    await told(bank, *OSLO)
    await bank.settle()
    before = bank.observations()
    receipt = await bank.bank.perform(ClearObservations("clear"))
    assert (receipt.count, bank.observations()) == (1, {})
    bank.check()
    await bank.settle()
    assert {unit.id for unit in bank.observations().values()} == {unit.id for unit in before.values()}
    fact = next(iter(bank.facts().values()))
    receipt = await bank.bank.perform(ClearObservations("clear-one", fact.id))
    assert (receipt.count, bank.observations()) == (1, {})
    await bank.settle()
    assert len(bank.observations()) == 1
    bank.check()


@in_loop
async def test_a_deleted_bank_keeps_no_observation_and_nothing_to_consolidate(bank):
    await told(bank, *OSLO)
    await bank.settle()
    await bank.bank.perform(DeleteBank("gone"))
    assert bank.units() == {}
    bank.check()
    await told(bank, *OSLO, start=5)
    await bank.settle()
    assert len(bank.observations()) == 1
    bank.check()


@in_loop
async def test_small_batches_come_to_the_same_as_one(bank):
    texts = (*OSLO, "I love jazz.", "I love jazz so much.", "I work as a vet.", "I still live in Oslo.")
    await told(bank, *texts)
    await bank.settle()
    small = ConsolidatingOwner(ReferenceStore(DIM), facts=1)
    await told(small, *texts)
    await small.settle()
    assert small.evidence() == bank.evidence()
    assert len(small.batches) > len(bank.batches)
    small.check()


@in_loop
async def test_mental_models_that_follow_are_refreshed_once_their_evidence_is_consolidated():
    refreshed: list[int] = []

    async def refresh(scope, model):
        refreshed.append(len(bank.observations()))
        return Refreshed("content", "full", (), bank.read(ReadHead()).seq, model.source_query)

    bank = ConsolidatingOwner(ReferenceStore(DIM), refresh=refresh)
    fields = {"name": "Home", "source_query": "Where?", "trigger": {"refresh_after_consolidation": True}}
    await bank.bank.perform(PutModel("p", "home", fields, create=True))
    await bank.bank.refreshes.rest()
    refreshed.clear()
    await told(bank, *OSLO)
    await bank.settle()
    assert refreshed == [], "what it follows was being consolidated"
    assert len(bank.observations()) == 1
    await bank.settle()
    await bank.bank.refreshes.rest()
    assert refreshed == [1]
    bank.check()


@in_loop
async def test_an_operation_tells_of_the_end_and_who_asks_meanwhile_joins(bank):
    bank.settings["enable_observations"] = False
    await told(bank, *OSLO)
    first = bank.bank.perform(Consolidate("first"))
    second = bank.bank.perform(Consolidate("second"))
    made = await asyncio.gather(first, second)
    await bank.bank.consolidations.rest()
    assert [(one.operation_id, one.joined) for one in made] == [("first", False), ("first", True)]
    operation = bank.read(GetRecords(RecordKind.OPERATION, ("first",)))["first"]
    assert (operation.status, operation.body["items_count"]) == ("completed", 1)
    events = [event.type for _, event in run(bank.engine, bank.scope, ReadEvents()).events]
    assert "consolidation.completed" in events
    bank.check()


@in_loop
async def test_a_corrected_fact_corrects_the_observation_that_rests_on_it(bank):
    await told(bank, *OSLO)
    await bank.settle()
    fact = next(fact for fact in bank.facts().values() if fact.document_id == "d1")
    await bank.bank.perform(CurateFact("curate", fact.id, {"context": "corrected"}))
    await bank.settle()
    ((_, unit),) = bank.observations().items()
    live = {fact.id: fact.seq for fact in bank.facts().values()}
    assert {source.unit_id: source.seq for source in unit.sources} == live
    await bank.bank.perform(CurateFact("curate-2", fact.id, {"text": "Nothing is known of her home."}))
    await bank.settle()
    assert bank.observations() == {}, "a corrected text makes no claim"
    await bank.bank.perform(CurateFact("invalid", fact.id, state="invalidated"))
    await bank.settle()
    assert bank.observations() == {}
    bank.check()
