"""What an audit finds wrong with observations, planted in an embedded store past its calls; a repair mends it."""

from collections.abc import Callable

import pytest

from memory.breaches import BreachKind
from memory.commands import RepairBank
from memory.records import RecordKind
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
