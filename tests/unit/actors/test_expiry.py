"""Facts that hold for a time: recall hides them at once, the owner lets them go soon, and with them what they made."""

import pytest

from actors import due_work
from memory.commands import DeleteDocument, Message, ReprocessDocument
from memory.known_facts import EXPIRING
from memory.store_calls import ReadHead
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.clocks import START
from tests.support.extracting import ExtractingOwner
from tests.support.loops import in_loop

DAY_S = 86_400.0
MOOD = "I hate meetings today."
FACT = "Ana hates meetings today (2026-01-02)"


def ana(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(text, role="user", name="Ana", timestamp=START) for text in texts)


@pytest.fixture
def bank() -> ExtractingOwner:
    return ExtractingOwner(ReferenceStore(DIM))


@in_loop
async def test_a_mood_of_the_day_is_hidden_when_the_day_is_over_and_then_swept(bank):
    await bank.tell(ana(MOOD, "I live in Paris."))
    mood = bank.facts()[FACT]
    await bank.bank.settle()
    head = bank.read(ReadHead())
    assert (mood.category, head.due_at, head.counters[EXPIRING]) == ("context", mood.expires_at, 1)
    assert bank.shown_facts(MOOD) == {FACT, "Ana lives in Paris"}
    bank.check()
    bank.clock.pass_by(DAY_S)
    assert bank.shown_facts(MOOD) == {"Ana lives in Paris"}
    assert FACT in bank.facts(), "nobody has looked at the bank yet"
    await bank.another("next").settle()
    assert set(bank.facts()) == {"Ana lives in Paris"}
    head = bank.read(ReadHead())
    assert EXPIRING not in head.counters
    assert head.due_at is None
    assert MOOD in bank.units(), "what was said stays"
    bank.check()


@in_loop
async def test_what_an_expired_fact_meant_for_others_goes_with_it(bank):
    await bank.tell(ana("I met Zoe.", "I hate Zoe today.", "I saw Zoe."), document_id="d")
    entities = (await bank.entities())["Zoe"]
    assert entities == 3
    linked = {link.to for unit in bank.facts().values() for link in unit.links}
    expired = next(unit.id for unit in bank.facts().values() if unit.category == "context")
    assert expired in linked
    bank.clock.pass_by(DAY_S)
    await bank.bank.settle()
    assert (await bank.entities())["Zoe"] == 2
    assert expired not in {link.to for unit in bank.facts().values() for link in unit.links}
    bank.check()


@in_loop
async def test_a_mood_of_a_day_long_gone_is_no_fact_and_what_is_swept_is_not_found_again(bank):
    await bank.tell(ana(MOOD, "I live in Paris."), document_id="d")
    bank.clock.pass_by(DAY_S)
    await bank.bank.settle()
    await bank.bank.perform(ReprocessDocument("again", "d"))
    await bank.bank.stages.rest()
    assert set(bank.facts()) == {"Ana lives in Paris"}
    await bank.tell(ana("I hate Mondays today."), document_id="old", op="old")
    assert set(bank.facts()) == {"Ana lives in Paris"}
    bank.check()


@in_loop
async def test_facts_are_let_go_a_slice_at_a_time(bank, monkeypatch):
    monkeypatch.setattr(due_work, "EXPIRED_AT_ONCE", 2)
    for number in range(5):
        await bank.tell(ana(f"I hate noise{number} today."), document_id=f"d{number}", op=f"o{number}")
    await bank.bank.perform(DeleteDocument("del", "d0"))
    assert bank.read(ReadHead()).counters[EXPIRING] == 4
    bank.clock.pass_by(DAY_S)
    await bank.bank.settle()
    assert len(bank.facts()) == 2
    due_at = bank.read(ReadHead()).due_at
    assert due_at is not None
    assert due_at <= bank.clock.now(), "what is left is done at the next look"
    await bank.bank.settle()
    assert bank.facts() == {}
    bank.check()
