"""What people say of facts and entities by hand, in a bank over a store in memory."""

from datetime import UTC, datetime

import pytest

from memory.commands import CurateEntity, CurateFact, DeleteDocument, ListEntities, ReprocessDocument
from memory.entities import entity_key
from memory.errors import Conflict, NotFound, Unavailable, Unprocessable
from memory.records import RecordKind
from memory.store_calls import GetRecords, ListRecords, ReadHead, SwapHead
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.extracting import ExtractingOwner
from tests.support.loops import in_loop
from tests.unit.actors.test_extraction import ana

PARIS, ROME = "Ana lives in Paris", "Ana lives in Rome"


@pytest.fixture
def bank() -> ExtractingOwner:
    return ExtractingOwner(ReferenceStore(DIM))


async def curate(bank, text, op="c", **said):
    unit = bank.facts().get(text) or said.pop("unit")
    return await bank.bank.perform(CurateFact(op, unit.id, said.pop("changes", {}), **said))


def curations(bank) -> list[str]:
    page = bank.read(ListRecords(RecordKind.CURATION, 100))
    return [record.status for record in page.records if record.status != "removed"]


@in_loop
async def test_a_corrected_fact_is_found_by_its_text_and_survives_another_extraction(bank):
    await bank.tell(ana("I live in Paris."))
    at = datetime(2020, 1, 1, tzinfo=UTC)
    changes = {"text": "Ana lives in Lyon", "occurred_start": at, "entities": ["Ana", "Lyon"]}
    await curate(bank, PARIS, changes=changes, reason="misheard")
    fact = bank.facts()["Ana lives in Lyon"]
    assert (fact.occurred_start, [name for name, _ in fact.mentions], fact.claims) == (at, ["Ana", "Lyon"], ())
    assert bank.embedded[-1] == "Ana lives in Lyon"
    bank.check()
    receipt = await bank.bank.perform(ReprocessDocument("again", "d"))
    await bank.bank.stages.rest()
    assert receipt.status == "pending"
    assert set(bank.facts()) == {"Ana lives in Lyon"}
    (record,) = bank.read(GetRecords(RecordKind.CURATION, (fact.id,))).values()
    (entry,) = record.body["history"]
    assert (entry["text"], entry["reason"]) == (PARIS, "misheard")
    bank.check()


@in_loop
async def test_an_invalidated_fact_closes_nothing_stays_away_and_comes_back(bank):
    await bank.tell(ana("I live in Paris."), document_id="a", op="1")
    await bank.tell(ana("I live in Rome.", day=3), document_id="b", op="2")
    rome = bank.facts()[ROME]
    await curate(bank, ROME, state="invalidated", reason="a joke")
    assert bank.holding() == {PARIS}
    bank.check()
    await bank.bank.perform(ReprocessDocument("again", "b"))
    await bank.bank.stages.rest()
    assert set(bank.facts()) == {PARIS}, "what was said to be untrue is not found again"
    with pytest.raises(Conflict, match="restore"):
        await curate(bank, ROME, op="x", unit=rome, changes={"text": "Ana lives in Bari"})
    await curate(bank, ROME, op="back", unit=rome, state="valid")
    assert bank.holding() == {ROME}
    assert bank.facts()[PARIS].superseded_by == rome.id
    bank.check()


@in_loop
async def test_what_was_said_of_a_fact_goes_with_its_document(bank):
    await bank.tell(ana("I live in Paris."), document_id="a", op="1")
    await bank.tell(ana("I live in Rome.", day=3), document_id="b", op="2")
    await curate(bank, PARIS, op="c1", changes={"text": "Ana lives in Lyon"})
    await curate(bank, ROME, op="c2", state="invalidated")
    assert curations(bank) == ["invalidated", "valid"]
    bank.bank = bank.another("next")
    await bank.bank.perform(DeleteDocument("d1", "b"))
    assert curations(bank) == ["valid"]
    await bank.bank.perform(DeleteDocument("d2", "a"))
    assert (curations(bank), bank.facts()) == ([], {})
    assert "curated" not in bank.read(ReadHead()).counters
    bank.check()


@in_loop
async def test_only_facts_can_be_curated(bank):
    await bank.tell(ana("I live in Paris."))
    chunk = bank.units()["I live in Paris."]
    with pytest.raises(Conflict, match="only facts"):
        await bank.bank.perform(CurateFact("c", chunk.id, {"text": "x"}))
    with pytest.raises(NotFound):
        await bank.bank.perform(CurateFact("c", "00000000-0000-8000-8000-000000000000", {"text": "x"}))
    with pytest.raises(NotFound):
        await bank.bank.perform(ReprocessDocument("r", "nowhere"))


async def entities(bank, key=None):
    page = await bank.bank.perform(ListEntities(100, 0, key))
    return {entity.name: (entity.mentions, entity.facts) for entity in page.entities}


@in_loop
async def test_entities_are_counted_exactly_under_replace_delete_and_another_owner(bank):
    await bank.tell(ana("I moved to Oslo yesterday."), document_id="a", op="1")
    await bank.tell(ana("I visited Oslo last week.", day=3), document_id="b", op="2")
    assert await entities(bank) == {"Ana": (2, 2), "Oslo": (2, 2)}
    await bank.tell(ana("I visited Rome last week.", day=3), document_id="b", op="3")
    assert await entities(bank) == {"Ana": (2, 2), "Oslo": (1, 1), "Rome": (1, 1)}
    bank.bank = bank.another("next")
    assert await entities(bank) == {"Ana": (2, 2), "Oslo": (1, 1), "Rome": (1, 1)}
    await bank.bank.perform(DeleteDocument("del", "a"))
    assert await entities(bank) == {"Ana": (1, 1), "Rome": (1, 1)}


@in_loop
async def test_merged_entities_are_one_from_then_on_and_their_chains_too(bank):
    await bank.tell(ana("Maria works at Siemens."), document_id="a", op="1")
    await bank.tell(ana("Mary works at Philips.", day=3), document_id="b", op="2")
    assert len(bank.holding()) == 2
    maria, mary = entity_key("Maria"), entity_key("Mary")
    await bank.bank.perform(CurateEntity("m", maria, {"type": "person"}, (mary,)))
    assert bank.holding() == {"Mary works at Philips"}
    assert all(maria in fact.entities and mary not in fact.entities for fact in bank.facts().values())
    bank.check()
    bank.bank = bank.another("next")
    page = await bank.bank.perform(ListEntities(10, 0, maria))
    assert (page.entities[0].mentions, page.named[maria].type, page.named[maria].names) == (2, "person", ("Mary",))
    await bank.tell(ana("Mary lives in Bonn.", day=4), document_id="c", op="3")
    assert maria in bank.facts()["Mary lives in Bonn"].entities
    await bank.bank.perform(CurateEntity("apart", maria, {"aliases": []}))
    assert len(bank.holding()) == 3
    bank.check()
    with pytest.raises(Unprocessable):
        await bank.bank.perform(CurateEntity("self", maria, {}, (maria,)))
    with pytest.raises(NotFound):
        await bank.bank.perform(CurateEntity("none", entity_key("Nobody"), {"name": "x"}))


@in_loop
async def test_what_is_said_by_hand_is_done_once_however_often_it_is_sent(bank):
    await bank.tell(ana("I live in Paris. My brother Ben lives in Rome."))
    paris = bank.facts()[PARIS]
    merged = CurateEntity("merge", entity_key("Rome"), merge=(entity_key("Paris"),))
    said = (
        (CurateFact("false", paris.id, {"context": "a joke"}, "invalidated"), "invalidated"),
        (CurateFact("true", paris.id, {}, "valid"), "valid"),
        (merged, "completed"),
        (ReprocessDocument("again", "d"), "pending"),
    )
    for command, status in said:
        bank.engine.arm(SwapHead, "after", Unavailable("the answer is lost"))
        with pytest.raises(Unavailable):
            await bank.bank.perform(command)
        commits = bank.read(ReadHead()).commit
        receipts = [await owner.perform(command) for owner in (bank.another(), bank.bank)]
        assert [receipt.status for receipt in receipts] == [status, status]
        await bank.bank.stages.rest()
        if not isinstance(command, ReprocessDocument):  # whose stage goes on by itself
            assert bank.read(ReadHead()).commit == commits
    (record,) = bank.read(GetRecords(RecordKind.CURATION, (paris.id,))).values()
    assert [entry["state"] for entry in record.body["history"]] == ["invalidated", "valid"]
    bank.check()
