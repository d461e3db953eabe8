"""What an audit finds wrong with observations and facts, planted in a store past its calls; one repair mends it."""

from collections.abc import Callable

import pytest

from memory.breaches import BreachKind
from memory.commands import RepairBank
from memory.records import RecordKind, UnitKind
from memory.store_calls import ListUnits
from tests.support.consolidating import ConsolidatingOwner, by_ana
from tests.support.loops import in_loop
from tests.support.planting import Vandal, audit


def wrong_count(vandal: Vandal, text: str) -> None:
    vandal.unit(text, proof_count=7)


def no_sources(vandal: Vandal, text: str) -> None:
    vandal.remove_unit_keys(text, "sources", "source_ids")


def a_chunk_as_source(vandal: Vandal, text: str) -> None:
    chunk = vandal.units["I live in Oslo."]
    source = {"unit_id": chunk.id, "seq": chunk.seq, "content_hash": chunk.content_hash}
    vandal.unit(text, sources=[source], source_ids=[chunk.id], proof_count=1)


def words_of_what_it_does_not_point_at(vandal: Vandal, text: str) -> None:
    def change(body: dict) -> None:
        body["versions"] = [{"text": "gone", "sources": [vandal.id("I live in Oslo.")]}]

    vandal.body(RecordKind.OBSERVATION, vandal.id(text), change)


def a_history_of_nothing(vandal: Vandal, _: str) -> None:
    vandal.add_record(RecordKind.OBSERVATION, "nobody", body='{"version":1,"created_at":"","versions":[]}')


PLANTED = [wrong_count, no_sources, a_chunk_as_source, words_of_what_it_does_not_point_at, a_history_of_nothing]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
@in_loop
async def test_what_is_wrong_with_an_observation_is_found_and_mended(edge, plant: Callable[[Vandal, str], None]):
    bank = ConsolidatingOwner(edge)
    await bank.tell(by_ana("I live in Oslo."), document_id="a", op="1")
    await bank.tell(by_ana("I live in Oslo, Norway."), document_id="b", op="2")
    await bank.settle()
    (text,) = bank.observations()
    assert audit(edge, bank.scope) == []
    plant(Vandal(edge, bank.scope), text)
    (breach,) = audit(edge, bank.scope)
    assert (breach.kind, breach.repairable) == (BreachKind.OBSERVATION, True)
    await bank.bank.perform(RepairBank("repair"))
    assert audit(edge, bank.scope) == []


@pytest.mark.parametrize("lost", ["0", "1", "2", "12", "012"])
@in_loop
async def test_one_repair_takes_facts_of_no_document_away_with_all_that_follows(edge, lost):
    """Counters, what the others say of when they hold, and what was made of them."""
    bank = ConsolidatingOwner(edge)
    for number, place in enumerate(("Rome", "Oslo", "Oslo, Norway")):
        await bank.tell(by_ana(f"I live in {place}."), document_id=f"d{number}", op=str(number))
    await bank.settle()
    assert bank.observations()
    assert audit(edge, bank.scope) == []
    vandal = Vandal(edge, bank.scope)
    facts = [unit for unit in edge.call(bank.scope, ListUnits(100)).units if unit.kind is UnitKind.FACT]
    vandal.units = {str(number): unit for number, unit in enumerate(sorted(facts, key=lambda unit: unit.seq))}
    assert len(vandal.units) == 3
    for number in lost:
        vandal.unit(number, document_id="nowhere")
    found = audit(edge, bank.scope)
    assert [breach.kind for breach in found].count(BreachKind.ORPHAN) == len(lost)
    await bank.bank.perform(RepairBank("repair"))
    assert audit(edge, bank.scope) == []
    assert not {unit.id for unit in bank.units().values()} & set(map(vandal.id, lost))
