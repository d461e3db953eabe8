"""Consolidation of some scopes alone: what is asked for is taken, what is not waits, and nothing is taken twice."""

from typing import Any

import pytest

from memory.commands import DeleteDocument, Message
from memory.consolidating.commands import ClearObservations, Consolidate
from memory.consolidating.plans import CONSOLIDATED, CURSOR, UNCONSOLIDATED, read_cursor
from memory.records import RecordKind
from memory.store_calls import GetRecords, ReadHead
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.consolidating import ConsolidatingOwner
from tests.support.loops import in_loop
from tests.support.planting import audit

PEOPLE = {"a": "Ana", "b": "Ben"}
TEXTS = ("I live in Oslo.", "I live in Oslo, Norway.", "I live in Oslo with my dog.")


def owner(*, on: bool = False, **given: Any) -> ConsolidatingOwner:
    bank = ConsolidatingOwner(ReferenceStore(DIM), **given)
    bank.settings["enable_observations"] = on
    return bank


async def told(bank: ConsolidatingOwner, *tags: str, texts: int = 2, start: int = 0) -> None:
    """Facts of each tag, each a document of its own, which come to one observation."""
    for number in range(start, start + texts):
        for tag in tags:
            said = (Message(TEXTS[number], role="user", name=PEOPLE[tag]),)
            document_id = f"{tag}{number}"
            await bank.tell(said, document_id=document_id, op=f"op-{document_id}", tags=(tag, "home"))


async def asked(bank: ConsolidatingOwner, operation_id: str, *targets: tuple[str, ...]) -> Any:
    receipt = await bank.bank.perform(Consolidate(operation_id, targets=targets))
    await bank.bank.consolidations.rest()
    return receipt


def scopes(bank: ConsolidatingOwner) -> list[tuple[str, ...]]:
    return sorted(unit.tags for unit in bank.listed())


def status(bank: ConsolidatingOwner, operation_id: str) -> str:
    return str(bank.read(GetRecords(RecordKind.OPERATION, (operation_id,)))[operation_id].status)


@in_loop
@pytest.mark.parametrize("facts", [1, 256])
async def test_facts_that_have_all_tags_of_a_scope_are_taken_and_no_others(facts):
    bank = owner(facts=facts)
    await told(bank, "a", "b")
    await asked(bank, "none", ("a", "b"), ("c",))
    assert (scopes(bank), status(bank, "none")) == ([], "completed")
    await asked(bank, "b", ("b",))
    assert (scopes(bank), status(bank, "b")) == ([("b", "home")], "completed")
    head = bank.read(ReadHead())
    assert UNCONSOLIDATED in head.counters
    assert CONSOLIDATED not in head.counters
    await asked(bank, "all")
    assert scopes(bank) == [("a", "home"), ("b", "home")]
    assert UNCONSOLIDATED not in bank.read(ReadHead()).counters
    assert bank.queue() == []
    assert read_cursor(bank.read(GetRecords(RecordKind.CONSOLIDATION, (CURSOR,)))[CURSOR]).ahead == ()
    assert audit(bank.engine, bank.scope) == []
    bank.check()


@in_loop
async def test_what_was_taken_for_a_scope_is_not_taken_again_and_what_came_since_is():
    bank = owner()
    await told(bank, "a", "b")
    await asked(bank, "one", ("b",))
    await asked(bank, "two", ("b", "home"))
    await told(bank, "b", texts=1, start=2)
    await asked(bank, "three", ("b",))
    await asked(bank, "all")
    documents = {fact.id: fact.document_id for fact in bank.facts().values()}
    taken = [sorted(documents[fact] for fact in batch.facts) for batch in bank.batches]
    assert taken == [["b0", "b1"], [], ["b2"], ["a0", "a1"]]
    assert [unit.proof_count for unit in bank.listed() if "b" in unit.tags] == [3]
    bank.check()


@in_loop
async def test_all_scopes_at_once_are_the_whole_bank():
    bank = owner()
    await told(bank, "a", "b")
    await asked(bank, "both", ("a",), ("b",))
    assert len(scopes(bank)) == 2
    assert UNCONSOLIDATED not in bank.read(ReadHead()).counters
    bank.check()


@in_loop
async def test_a_bank_that_consolidates_by_itself_does_the_rest_when_its_time_has_come():
    bank = owner(on=True)
    await told(bank, "a", "b")
    await asked(bank, "b", ("b",))
    assert scopes(bank) == [("b", "home")]
    assert bank.read(ReadHead()).due_at is not None
    await bank.settle()
    assert scopes(bank) == [("a", "home"), ("b", "home")]
    bank.check()


@in_loop
async def test_who_asks_for_less_than_another_joins_it_and_who_asks_for_more_does_not():
    bank = owner()
    await told(bank, "a", "b")
    made = [
        await bank.bank.perform(Consolidate(f"op{number}", targets=targets))
        for number, targets in enumerate(((("a",),), (("a", "home"),), (("a",), ("b",)), (), (("b",),)))
    ]
    await bank.bank.consolidations.rest()
    assert [(one.operation_id, one.joined) for one in made] == [
        ("op0", False), ("op0", True), ("op2", False), ("op3", False), ("op3", True),
    ]  # fmt: skip
    assert {status(bank, operation) for operation in ("op0", "op2", "op3")} == {"completed"}
    assert len(scopes(bank)) == 2
    bank.check()


@in_loop
async def test_facts_whose_standing_changed_are_looked_at_anew_in_their_scope_alone():
    bank = owner()
    await told(bank, "a", "b", texts=3)
    await asked(bank, "all")
    assert [unit.proof_count for unit in bank.listed()] == [3, 3]
    for tag in PEOPLE:
        await bank.bank.perform(DeleteDocument(f"gone-{tag}", f"{tag}2"))
    assert scopes(bank) == []
    await asked(bank, "b", ("b",))
    assert scopes(bank) == [("b", "home")]
    facts = {fact.id: fact.tags for fact in bank.facts().values()}
    waiting = {facts[fact] for record in bank.queue() for fact in record.body["sources"] if fact in facts}
    assert waiting == {("a", "home")}
    await asked(bank, "rest")
    assert ([unit.proof_count for unit in bank.listed()], bank.queue()) == ([2, 2], [])
    bank.check()


@in_loop
async def test_after_a_crash_the_next_owner_ends_what_was_asked_for_and_no_more():
    bank = owner()
    await told(bank, "a", "b")

    async def never(*_: Any) -> Any:
        raise ConnectionError

    decide, bank.rules.decide = bank.rules.decide, never
    await asked(bank, "b", ("b",))
    assert status(bank, "b") == "pending"
    bank.rules.decide = decide
    bank.bank = bank.another("later")
    await bank.settle()
    assert (scopes(bank), status(bank, "b")) == ([("b", "home")], "completed")
    await bank.settle()
    assert scopes(bank) == [("b", "home")]
    await bank.bank.perform(ClearObservations("clear"))
    await asked(bank, "again", ("b",))
    assert scopes(bank) == [("b", "home")]
    bank.check()
