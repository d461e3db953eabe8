"""What is derived from a unit goes with it; what pointed at it does not any more; what has sources left is queued."""

import asyncio

from memory.cascade import PENDING, FindCascade
from memory.commands import DeleteBank, DeleteDocument
from memory.protocol import SLICE_UNITS
from memory.records import RecordKind, Relinked
from memory.store_calls import ListRecords, ReadHead
from memory.upkeep_calls import RelinkUnits
from tests.support.bank_owner import Owner, user
from tests.support.builders import retain
from tests.support.deriving import Derive, Fact
from tests.support.loops import in_loop

FACTS = Derive(
    "derive",
    (
        Fact("of one", ("one",)),
        Fact("of two", ("two",)),
        Fact("of both", ("one", "other")),
        Fact("observed", ("of one", "of two")),
        Fact("still holds", ("other",), links=("of one", "other"), superseded_by="of both"),
    ),
)


async def derived(owner: Owner) -> None:
    await owner.retain(user("one", "two"))
    await owner.retain(user("other"), op="op-2", document_id="e")
    await owner.bank.perform(FACTS)
    owner.check()


def queued(owner: Owner) -> dict[str, list[str]]:
    """What is to be derived again: unit -> ids of the sources left."""
    records = owner.read(ListRecords(RecordKind.REDERIVE, 100, status=PENDING)).records
    return {record.key: record.body["sources"] for record in records}


@in_loop
async def test_what_cites_a_replaced_unit_goes_step_by_step_and_what_has_sources_left_is_queued(owner):
    await derived(owner)
    before = owner.units()
    await owner.retain(user("two", "three"), op="op-3")
    assert set(owner.units()) == {"two", "three", "other", "of two", "still holds"}
    assert queued(owner) == {
        before["of both"].id: [before["other"].id],
        before["observed"].id: [before["of two"].id],
    }
    holds = owner.units()["still holds"]
    assert (holds.superseded_by, holds.valid_to) == (None, None)
    assert [link.to for link in holds.links] == [before["other"].id]
    assert owner.read(ReadHead()).counters["derived"] == 2
    owner.check()


@in_loop
async def test_a_deleted_document_takes_what_was_derived_from_it(owner):
    await derived(owner)
    await owner.bank.perform(DeleteDocument("delete", "d"))
    assert set(owner.units()) == {"other", "still holds"}
    assert len(queued(owner)) == 1
    assert "observed" not in owner.recall("observed")
    owner.check()
    await owner.bank.perform(DeleteDocument("delete-2", "e"))
    assert owner.units() == {}
    assert "derived" not in owner.read(ReadHead()).counters
    owner.check()


@in_loop
async def test_a_deleted_bank_keeps_nothing_derived_and_nothing_queued(owner):
    await derived(owner)
    await owner.retain(user("two"), op="op-3")
    await owner.bank.perform(DeleteBank("delete"))
    assert (owner.units(), queued(owner)) == ({}, {})
    owner.check()


@in_loop
async def test_what_was_derived_after_a_replace_was_prepared_goes_too(owner):
    await owner.retain(user("one", "two"))
    replace = retain(user("two"), op="op-2")
    await asyncio.gather(
        owner.bank.perform(Derive("derive", (Fact("of one", ("one",)),))),  # first in line
        owner.bank.perform(replace),
    )
    assert set(owner.units()) == {"two"}
    owner.check()


@in_loop
async def test_an_append_and_a_move_take_nothing_derived(owner):
    await derived(owner)
    before = set(owner.units())
    await owner.retain(user("three"), op="op-3", update_mode="append")
    await owner.retain(user("two", "one", "three"), op="op-4")
    assert set(owner.units()) == {*before, "three"}
    owner.check()


@in_loop
async def test_more_is_derived_from_one_unit_than_one_call_takes(owner):
    many = SLICE_UNITS + 6
    await owner.retain(user("one", "two"))
    facts = tuple(Fact(f"fact {n}", ("one",)) for n in range(many))
    pointing = tuple(Fact(f"link {n}", ("two",), links=("one",)) for n in range(many))
    await owner.bank.perform(Derive("derive", facts + pointing))
    owner.check()
    await owner.retain(user("two"), op="op-2")
    assert len(owner.units()) == 1 + many
    assert not any(unit.links for unit in owner.units().values())
    owner.check()


@in_loop
async def test_a_bank_in_which_nothing_is_derived_is_not_searched(owner):
    await owner.retain(user("one", "two"))
    await owner.retain(user("two"), op="op-2")
    assert not any(isinstance(request, FindCascade) for request in owner.store.requests)
    await owner.bank.perform(Derive("derive", (Fact("of two", ("two",)),)))
    await owner.retain(user("three"), op="op-3")
    assert any(isinstance(request, FindCascade) for request in owner.store.requests)


@in_loop
async def test_a_former_owners_late_relink_changes_nothing(owner):
    await derived(owner)
    unit = owner.units()["still holds"]
    late = Relinked(unit.id, (), None, None)
    owner.read(RelinkUnits((late,), unit.epoch - 1))
    assert owner.units()["still holds"] == unit
    owner.read(RelinkUnits((late,), unit.epoch))
    assert owner.units()["still holds"].links == ()
