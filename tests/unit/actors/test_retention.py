"""Rules of retention: what is past its time is hidden from every reader at once, and swept by its bank's owner."""

import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from actors.kept import Kept
from actors.settings import Settings
from jobs import retention
from jobs.pace import Pace
from jobs.retaining import Run
from memory.commands import AppendTurns, Item, Message, OpenSession, Retain, UpdateBank
from memory.errors import NotFound, Unprocessable
from memory.filters import TRUE, AnyOf, holds
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.records import Head, UnitKind
from memory.reflecting.port import Answered, Question
from memory.retention import read_rules
from memory.store_calls import ListUnits, ReadHead
from tests.support.clocks import START
from tests.support.moving import Place

ANA = Scope("acme", "ana")
DAY_S = 86_400.0


def turn(text: str, day: float = 0.0, name: str = "Ana") -> Message:
    return Message(text, "user", name, START + timedelta(days=day))


async def told(place: Place, document_id: str, *turns: Message, tags: tuple[str, ...] = ()) -> None:
    await place.client.retain(
        ANA, Retain(f"r-{document_id}-{place.clock.now()}", (Item(turns, document_id, tags=tags),))
    )
    await place.rest(ANA)


async def ruled(place: Place, *rules: dict[str, Any], **more: Any) -> None:
    await place.client.update_bank(ANA, UpdateBank(f"u-{place.clock.now()}", {"retention": list(rules), **more}))
    cache: Any = place.client
    cache._reader._profiles.clear()  # replicas learn of it within recall_profile_ttl_s


async def listed(place: Place) -> set[str]:
    return {unit.text for unit in (await place.client.list_units(ANA, limit=1000)).units}


async def recalled(place: Place) -> set[str]:
    answer = await place.client.recall(ANA, RecallQuery("Where does Ana live? Paris Oslo lamp", limit=100))
    return {str(row.payload["text"]) for row in answer.results}


async def stored(place: Place) -> set[str]:
    page = await place.client.inspect(ANA, ListUnits(1000))
    return {unit.text for unit in page.units}


async def due(place: Place) -> None:
    """What a host does that finds the bank due."""
    await place.cluster.bank(ANA).settle()


PARIS, OSLO, LAMP = "I live in Paris.", "I moved to Oslo.", "I bought a lamp."


def test_what_is_past_its_time_is_hidden_at_once_and_swept_by_the_owner():
    async def live() -> None:
        place = Place()
        await told(place, "old", turn(PARIS))
        await told(place, "long", turn(OSLO), turn(LAMP, 30))
        everything = await stored(place)
        await ruled(place, {"after_s": 10 * DAY_S, "since": "told"})
        assert await listed(place) == await recalled(place) | await listed(place) == everything
        place.clock.pass_by(11 * DAY_S)
        assert PARIS not in await listed(place) | await recalled(place)
        assert OSLO not in await listed(place) | await recalled(place)
        assert LAMP in await recalled(place) & await listed(place)
        assert {PARIS, OSLO} <= await stored(place), "it is hidden before it is swept"
        paris = next(u for u in (await place.client.inspect(ANA, ListUnits(100))).units if u.text == PARIS)
        with pytest.raises(NotFound):
            await place.client.get_unit(ANA, paris.id)
        with pytest.raises(NotFound):
            await place.client.find_unit("acme", paris.id)
        with pytest.raises(NotFound):
            await place.client.show_document(ANA, "old")
        shown = await place.client.show_document(ANA, "long")
        assert shown.text.strip() == LAMP
        assert (await place.client.show_document(ANA, "long", (0, 1))).chunks == shown.chunks
        assert (await place.client.show_document(ANA, "long", (1, 5))).chunks == ()
        assert OSLO in (await place.client.read_document(ANA, "long")).text, "an export has what is stored"
        await due(place)
        left = await stored(place)
        assert {PARIS, OSLO} & left == set()
        assert left == await listed(place)
        after = (await place.client.read_document(ANA, "long")).document
        assert shown.document == replace(after, version=1, seq=shown.document.seq), "it was shown as it is now"
        document = await place.client.read_document(ANA, "long")
        assert (document.text.strip(), document.document.version) == (LAMP, 2)
        assert "old" not in await place.client.get_documents(ANA, ("old",))
        place.check(ANA)
        head = await place.client.inspect(ANA, ReadHead())
        assert head.due_at is not None, "the owner looks again"

    asyncio.run(live())


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ({"kinds": ["fact"]}, {"Ana lives in Paris", "Ana moved to Oslo", "Ana bought a lamp"}),
        ({"tags": ["private"]}, {PARIS, "Ana lives in Paris"}),
        ({"categories": ["nothing"]}, set()),
        ({"kinds": ["chunk"], "tags": ["private"]}, {PARIS, "Ana lives in Paris"}),
    ],
)
def test_rules_choose_by_kind_category_and_tag(rule, gone):
    async def live() -> None:
        place = Place()
        await told(place, "a", turn(PARIS), tags=("private",))
        await told(place, "b", turn(OSLO), turn(LAMP))
        before = await stored(place)
        await ruled(place, {"after_s": 60, **rule})
        place.clock.pass_by(120)
        await due(place)
        assert before - await stored(place) == gone & before
        place.check(ANA)

    asyncio.run(live())


def test_a_document_that_a_session_adds_to_is_hidden_and_left_until_it_ends():
    async def live() -> None:
        place = Place()
        await place.client.open_session(ANA, OpenSession("o", "chat"))
        await place.client.append_turns(ANA, AppendTurns("a1", "chat", (turn(PARIS),)))
        await ruled(place, {"after_s": 60})
        place.clock.pass_by(3600)
        assert PARIS not in await listed(place)
        await due(place)
        assert PARIS in await stored(place)
        place.clock.pass_by(2 * DAY_S)
        await due(place)
        await due(place)
        assert PARIS not in await stored(place)
        place.check(ANA)

    asyncio.run(live())


def job(place: Place, **changes: Any) -> Run:
    return Run(place.client, "acme", Pace(None), 1.0, clock=place.clock.now, **changes)


def test_the_job_archives_what_goes_and_nothing_goes_without(tmp_path: Path):
    async def live() -> None:
        place = Place()
        for number in range(3):
            await told(place, f"d{number}", turn(f"{PARIS} {number}"), turn(LAMP))
        await ruled(place, {"after_s": 60}, retention_archive=True)
        place.clock.pass_by(120)
        everything = await stored(place)
        await due(place)
        assert await stored(place) == everything, "its setting keeps it for the job"
        dry = job(place, dry_run=True, archive=tmp_path)
        await dry.all(None, lambda: None)
        assert dry.banks[0].found["chunk"] == 6
        without = job(place)
        await without.all("ana", lambda: None)
        assert without.banks[0].left_for_archive
        assert await stored(place) == everything
        work = job(place, archive=tmp_path)
        await work.all(None, lambda: None)
        (bank,) = work.banks
        assert (bank.documents, bank.chunks) == (3, 6)
        assert await stored(place) == set()
        place.check(ANA)
        assert bank.archive is not None
        assert set(pl.read_parquet(f"{bank.archive}/*.parquet")["text"].to_list()) == everything
        said = retention.sentences({"dry_run": False, "banks_looked_at": 1, "banks": [asdict(bank)]})
        assert "let go of 6 chunks and 0 derived, with them 3 documents as a whole" in said[1]
        again = job(place, archive=tmp_path)
        await again.all(None, lambda: None)
        assert again.banks == []

    asyncio.run(live())


def test_many_are_swept_in_slices(monkeypatch):
    async def live() -> None:
        place = Place()
        turns = tuple(turn(f"Number {number} is here.", name="Bo") for number in range(40))
        await told(place, "many", *turns)
        monkeypatch.setattr("actors.bank_retention.AT_ONCE", 16)
        monkeypatch.setattr("actors.bank_retention.CHUNKS_OF_DOCUMENT", 16)
        await ruled(place, {"after_s": 60})
        place.clock.pass_by(120)
        work = job(place)
        await work.all(None, lambda: None)
        assert work.banks[0].chunks == 40
        assert await stored(place) == set()
        place.check(ANA)

    asyncio.run(live())


@pytest.mark.parametrize(
    "given",
    [
        "x", [1], [{"after_s": 0}], [{"after_s": True}], [{"after_s": 1, "kinds": ["person"]}],
        [{"after_s": 1, "tags": []}],
        [{"after_s": 1, "since": "born"}], [{"after_s": 1, "color": "red"}], [{"after_s": 1}] * 33, [{}],
    ],
)  # fmt: skip
def test_rules_that_are_none_are_refused(given):
    with pytest.raises(Unprocessable, match="retention"):
        read_rules(given)


def test_rules_are_the_banks_own_else_inherited_and_narrow_what_reflections_read():
    settings = Settings(bank_defaults={"retention": [{"after_s": 60}]}, tenant_defaults={"acme": {"retention": []}})
    kept, tagged = Kept(settings), AnyOf("tags", ("x",))
    old = {"tags": ["x"], "recorded_at": START - timedelta(minutes=2)}

    def shown(scope: Scope, profile: dict[str, Any]) -> bool:
        return holds(kept.beside(scope, Head(profile=profile), tagged, START), "id", old)

    assert not shown(Scope("other", "b"), {})
    assert shown(Scope("other", "b"), {"retention": []})
    assert shown(ANA, {})
    assert not shown(ANA, {"retention": [{"after_s": 100}]})
    assert holds(kept.beside(Scope("other", "b"), Head(), tagged, START), "model", {"tags": ["x"]}), (
        "models have no time"
    )
    with pytest.raises(ValueError, match="after_s must be"):
        Settings(bank_defaults={"retention": [{"after_s": "soon"}]})


def test_kept_answers_and_facts_asked_for_by_their_ids_are_hidden_at_once():
    async def live() -> None:
        place = Place()
        await told(place, "a", turn(PARIS))
        reflecting, question = place.client.reflecting, Question("Where does Ana live?")
        *_, answered = [event async for event in reflecting.watch(ANA, question)]
        assert isinstance(answered, Answered)
        kept = await reflecting.stored.store(ANA, "q", question, (), answered)
        facts = AnyOf("kind", (UnitKind.FACT.value,))
        ids = tuple(unit.id for unit in (await place.client.list_units(ANA, facts, limit=10)).units)
        assert await reflecting.stored.list(ANA, TRUE, limit=10, offset=0) == ((kept,), 1)
        assert await reflecting.stored.get(ANA, kept.id) == kept
        assert set(await place.client.observing.get_facts(ANA, ids)) == set(ids) != set()
        await ruled(place, {"after_s": 60, "kinds": ["fact", "reflection"]})
        place.clock.pass_by(120)
        assert await reflecting.stored.list(ANA, TRUE, limit=10, offset=0) == ((), 0)
        with pytest.raises(NotFound):
            await reflecting.stored.get(ANA, kept.id)
        assert await place.client.observing.get_facts(ANA, ids) == {}
        assert PARIS in (await place.client.show_document(ANA, "a")).text

    asyncio.run(live())
