"""The stage EXTRACT of a bank over a store in memory, by rules: facts from retain to delete."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors import bank_ports
from memory.commands import (
    AppendTurns,
    CurateEntity,
    CurateFact,
    DeleteBank,
    DeleteDocument,
    ListEntities,
    Message,
    OpenSession,
    RetryOperation,
    UpdateBank,
)
from memory.extraction.port import Extracted, NotExtracted, Usage
from memory.known_facts import ReadFacts
from memory.records import RecordKind, UnitKind
from memory.stages import decode_work
from memory.store_calls import GetRecords, ListRecords, ReadHead
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.builders import DIM
from tests.support.extracting import DEBOUNCE_S, CountingExtractor, ExtractingOwner
from tests.support.loops import in_loop

DAY = datetime(2024, 5, 1, 12, tzinfo=UTC)


def ana(*texts: str, day: int = 0) -> tuple[Message, ...]:
    at = DAY + timedelta(days=day)
    return tuple(Message(text, role="user", name="Ana", timestamp=at) for text in texts)


@pytest.fixture
def bank() -> ExtractingOwner:
    return ExtractingOwner(ReferenceStore(DIM))


@in_loop
async def test_what_is_told_becomes_a_fact_with_its_source_time_and_slot(bank):
    await bank.tell(ana("I moved to Oslo yesterday.", "How are you?"))
    (text, fact), *others = bank.facts().items()
    chunk = bank.units()["I moved to Oslo yesterday."]
    assert not others
    assert text == "Ana moved to Oslo yesterday (2024-04-30)"
    assert (fact.kind, fact.document_id, fact.position) == (UnitKind.FACT, "d", chunk.position)
    assert [source.unit_id for source in fact.sources] == [chunk.id]
    assert (fact.mentioned_at, fact.occurred_start) == (DAY, datetime(2024, 4, 30, tzinfo=UTC))
    assert {name for name, _ in fact.mentions} == {"Ana", "Oslo"}
    assert len(fact.entities) == 2
    assert fact.valid_from is not None
    assert bank.read(ReadHead()).counters["derived"] == 1
    bank.check()


@in_loop
async def test_many_facts_are_compared_with_the_others_beside_the_loop(bank, monkeypatch):
    beside: list[str] = []
    real = asyncio.to_thread

    async def noted(work, *args, **kwargs):
        beside.append(work.__name__)
        return await real(work, *args, **kwargs)

    monkeypatch.setattr(bank_ports.asyncio, "to_thread", noted)
    await bank.tell(ana("I moved to Oslo yesterday."))
    assert "follow" not in beside
    await bank.tell(ana(*(f"I bought the box q{number}x." for number in range(80))), document_id="many", op="many")
    assert "follow" in beside
    assert len(bank.facts()) == 81
    bank.check()


@in_loop
async def test_news_closes_what_was_told_before_in_whatever_order_it_comes(bank):
    await bank.tell(ana("I live in Oslo.", day=9), document_id="late", op="1")
    await bank.tell(ana("I live in Paris."), document_id="early", op="2")
    facts = bank.facts()
    assert facts["Ana lives in Paris"].superseded_by == facts["Ana lives in Oslo"].id
    assert bank.holding() == {"Ana lives in Oslo"}
    bank.check()
    await bank.bank.perform(DeleteDocument("del", "late"))
    assert bank.holding() == {"Ana lives in Paris"}
    assert bank.facts()["Ana lives in Paris"].valid_to is None
    bank.check()


@in_loop
async def test_a_document_sent_again_under_its_id_leaves_no_stale_fact(bank):
    await bank.tell(ana("I live in Paris.", "I work at Shell."))
    kept = bank.facts()["Ana works at Shell"]
    await bank.tell(ana("I live in Rome.", "I work at Shell."), op="op-2")
    assert set(bank.facts()) == {"Ana lives in Rome", "Ana works at Shell"}
    assert bank.facts()["Ana works at Shell"].seq == kept.seq, "what did not change is not written again"
    assert len(bank.answers()) == 1
    bank.check()


@in_loop
async def test_the_same_without_an_id_is_a_document_of_its_own(bank):
    await bank.tell(ana("I live in Paris."), document_id=None, op="1")
    await bank.tell(ana("I live in Paris.", day=1), document_id=None, op="2")
    assert len({unit.document_id for unit in bank.facts().values()}) == 1
    assert bank.read(ReadHead()).counters["documents"] == 2
    assert bank.read(ReadHead()).counters["derived"] == 2
    bank.check()


@in_loop
async def test_a_window_is_asked_for_once(bank):
    turns = ana(*(f"I bought {number} apples." for number in range(300)))
    await bank.tell(turns)
    asked = [request.window for request in bank.extractor.asked]
    assert len(asked) == len(set(asked)) == len(bank.answers()) > 1
    await bank.tell((*turns, *ana("I sold my boat.")), op="op-2")
    again = [request.window for request in bank.extractor.asked][len(asked) :]
    assert len(again) == 1, "a growing document changes its last window alone"
    assert "Ana sold Ana's boat" in bank.facts() or any("boat" in text for text in bank.facts())
    assert set(asked[:-1]) | set(again) == bank.answers()
    bank.check()


@in_loop
async def test_nothing_of_a_deleted_document_or_bank_is_left(bank):
    await bank.tell(ana("I live in Paris."), document_id="d", op="1")
    await bank.tell(ana("I work at Shell."), document_id="e", op="2")
    await bank.bank.perform(DeleteDocument("del", "d"))
    assert set(bank.facts()) == {"Ana works at Shell"}
    assert len(bank.answers()) == 1
    for record in bank.read(ListRecords(RecordKind.WINDOW, 10)).records:
        assert "Paris" not in str(record.body)
    bank.check()
    await bank.bank.perform(DeleteBank("gone"))
    assert (bank.units(), bank.answers()) == ({}, set())
    bank.check()


@in_loop
async def test_the_next_owner_goes_on_with_the_facts_there_are(bank):
    await bank.tell(ana("I live in Paris."), document_id="d", op="1")
    bank.bank = bank.another("next")
    await bank.tell(ana("I live in Rome.", day=3), document_id="e", op="2")
    assert bank.holding() == {"Ana lives in Rome"}
    bank.check()


@in_loop
async def test_a_bank_in_mode_chunks_extracts_nothing(bank):
    await bank.bank.perform(UpdateBank("u", {"retain_extraction_mode": "chunks"}))
    await bank.tell(ana("I live in Paris."))
    assert bank.facts() == {}
    assert bank.read(ListRecords(RecordKind.STAGES, 10)).total == 0
    await bank.bank.perform(UpdateBank("u2", {"retain_extraction_mode": None}))
    await bank.tell(ana("I live in Rome."), op="op-2")
    assert set(bank.facts()) == {"Ana lives in Rome"}
    bank.check()


@in_loop
async def test_a_session_is_extracted_when_it_rests_and_what_was_known_stays(bank):
    await bank.bank.perform(OpenSession("o", "s"))
    await bank.bank.perform(AppendTurns("a", "s", ana("I live in Paris.")))
    bank.clock.pass_by(DEBOUNCE_S + 1)
    await bank.bank.settle()
    await bank.bank.stages.rest()
    first = bank.facts()["Ana lives in Paris"]
    await bank.bank.perform(AppendTurns("b", "s", ana("I work at Shell.", day=1)))
    assert set(bank.facts()) == {"Ana lives in Paris"}
    bank.clock.pass_by(DEBOUNCE_S + 1)
    await bank.bank.settle()
    await bank.bank.stages.rest()
    assert set(bank.facts()) == {"Ana lives in Paris", "Ana works at Shell"}
    assert bank.facts()["Ana lives in Paris"].seq == first.seq
    bank.check()


class Moody:
    """Fails for windows that hold a word, until it is told otherwise."""

    name = "moody"

    def __init__(self, *, retriable: bool) -> None:
        self.retriable = retriable
        self.bad: str | None = "poison"
        self.asked: list[str] = []

    async def extract(self, requests):
        return [self._one(request) for request in requests]

    def _one(self, request):
        self.asked.append(request.window)
        if self.bad and any(self.bad in turn.text for turn in request.turns):
            return NotExtracted(request.window, "it tastes bad", self.retriable, 30.0)
        return Extracted(request.window, (), self.name)


PAID = Usage(7, 2, 1)


class Partly(CountingExtractor):
    """Reads by rules what does not hold a bad word, until it is told otherwise."""

    def __init__(self, *, retriable: bool) -> None:
        super().__init__()
        self.retriable = retriable
        self.bad: tuple[str, ...] = ("poison",)

    async def extract(self, requests):
        outcomes = [replace(found, usage=PAID) for found in await super().extract(requests)]
        return [self._spoilt(request) or found for request, found in zip(requests, outcomes, strict=True)]

    def _spoilt(self, request):
        if any(bad in turn.text for bad in self.bad for turn in request.turns):
            return NotExtracted(request.window, "it tastes bad", self.retriable, 30.0, usage=PAID)
        return None


FILLER = "word " * 700
"""Fills a window."""


def work_of(bank: ExtractingOwner, document_id: str = "d"):
    return decode_work(bank.read(GetRecords(RecordKind.STAGES, (document_id,)))[document_id])


async def look_again(bank: ExtractingOwner, after_s: float = 31.0) -> None:
    bank.clock.pass_by(after_s)
    await bank.bank.settle()
    await bank.bank.stages.rest()


@in_loop
async def test_windows_that_were_read_give_their_facts_where_another_failed():
    bank = ExtractingOwner(ReferenceStore(DIM), Partly(retriable=True))
    await bank.tell(ana("I live in Paris.", FILLER, "I work at Shell. poison " + FILLER, FILLER, "I play chess."))
    work = work_of(bank)
    assert (work.next, work.attempts) == ("extract", 1)
    assert re.fullmatch(r"1 of [3-5] windows: it tastes bad", work.reason), work.reason
    assert len(bank.answers()) == len(work.windows) > 1
    assert set(bank.facts()) == {"Ana lives in Paris", "Ana plays chess"}
    windows = len(bank.extractor.asked)
    assert work.usage == Usage(7 * windows, 2 * windows, windows)
    bank.check()
    asked, bank.extractor.bad = len(bank.extractor.asked), ()
    await look_again(bank)
    assert len(bank.extractor.asked) == asked + 1, "what was answered is not asked for again"
    assert set(bank.facts()) == {"Ana lives in Paris", "Ana plays chess", "Ana works at Shell"}
    assert work_of(bank).line == "done"
    bank.check()


@in_loop
async def test_a_window_that_stays_unread_fails_its_document_and_a_retry_asks_for_it_alone():
    bank = ExtractingOwner(ReferenceStore(DIM), Partly(retriable=False))
    await bank.tell(ana("I live in Paris.", FILLER, "I work at Shell. poison " + FILLER))
    work = work_of(bank)
    assert (work.line, set(bank.facts())) == ("failed:extract", {"Ana lives in Paris"})
    bank.check()
    asked, bank.extractor.bad = len(bank.extractor.asked), ()
    await bank.bank.perform(RetryOperation("again", work.operation_id))
    await bank.bank.stages.rest()
    assert len(bank.extractor.asked) == asked + 1
    assert (work_of(bank).line, set(bank.facts())) == ("done", {"Ana lives in Paris", "Ana works at Shell"})
    bank.check()


@in_loop
async def test_what_is_known_of_turns_that_cannot_be_read_any_more_stays():
    bank = ExtractingOwner(ReferenceStore(DIM), Partly(retriable=False))
    turns = ana("I live in Paris.", FILLER, FILLER, "I work at Shell.")
    await bank.tell(turns)
    before = bank.facts()
    bank.extractor.bad = ("Shell",)
    await bank.tell((*turns, *ana("I play chess.")), op="op-2")
    assert bank.facts() == before
    assert work_of(bank).line == "failed:extract"
    bank.check()
    bank.extractor.bad = ()
    await bank.bank.perform(RetryOperation("again", work_of(bank).operation_id))
    await bank.bank.stages.rest()
    assert set(bank.facts()) == {*before, "Ana plays chess"}
    bank.check()


@in_loop
async def test_a_window_that_can_never_be_read_fails_its_document_at_once():
    bank = ExtractingOwner(ReferenceStore(DIM), Moody(retriable=False))
    await bank.tell(ana("poison"))
    work = decode_work(bank.read(GetRecords(RecordKind.STAGES, ("d",)))["d"])
    assert (work.line, work.attempts) == ("failed:extract", 1)
    bank.check()


@in_loop
async def test_an_extractor_is_told_the_banks_labels_and_the_entities_it_knows():
    bank = ExtractingOwner(ReferenceStore(DIM), known_entities=2)
    mood = {"key": "mood", "values": ["good", "bad"]}
    await bank.bank.perform(UpdateBank("u", {"entity_labels": [mood]}))
    await bank.tell(ana("I live in Paris.", "Zoe visited Paris."), document_id="d", op="1")
    assert bank.extractor.asked[-1].profile.known_entities == ()
    key = next(entity.key for entity in (await bank.bank.perform(ListEntities(9))).entities if entity.name == "Paris")
    await bank.bank.perform(CurateEntity("c", key, {"type": "city"}))
    before = len(bank.extractor.asked)
    await bank.tell(*(ana(f"I own a boat{number}.") for number in range(3)), document_id=None, op="2")
    profiles = [request.profile for request in bank.extractor.asked[before:]]
    assert len(profiles) == 3
    assert len(set(profiles)) == 1, "windows of one batch can share a call"
    assert profiles[0].known_entities[0] == ("Paris", "city")
    assert len(profiles[0].known_entities) == 2
    assert [(label.name, [value for value, _ in label.values]) for label in profiles[0].labels] == [
        ("mood", ["good", "bad"])
    ]
    bank.check()


@in_loop
async def test_what_follows_from_what_was_said_before_it_is_linked_to_it_and_comes_back_with_it(bank):
    told = ana("I sold my boat. That's why I moved to Oslo.")
    await bank.tell(told, document_id="d", op="1")

    def causes() -> list[str]:
        facts = bank.facts()
        by_id = {unit.id: text for text, unit in facts.items()}
        return [by_id[link.to] for link in facts["Ana moved to Oslo"].links if link.type == "caused_by"]

    assert causes() == ["Ana sold Ana's boat"]
    cause = bank.facts()["Ana sold Ana's boat"].id
    await bank.bank.perform(CurateFact("wrong", cause, state="invalidated"))
    assert causes() == []
    bank.check()
    await bank.bank.perform(CurateFact("right", cause, state="valid"))
    assert causes() == ["Ana sold Ana's boat"]
    bank.check()


@in_loop
async def test_facts_that_mean_the_same_are_linked_and_an_audit_finds_the_same_links(bank):
    await bank.tell(ana("I adopted a golden retriever."), document_id="d", op="1")
    await bank.tell(ana("I adopted a golden retriever.", day=40), document_id="e", op="2")

    def links() -> set[tuple[str, float]]:
        return {(link.type, link.weight) for unit in run(bank.engine, bank.scope, ReadFacts()) for link in unit.links}

    assert ("semantic", 1.0) in links()
    bank.check()
    bank.bank = bank.another("next")
    await bank.bank.perform(DeleteDocument("del", "d"))
    assert links() == set()
    bank.check()
