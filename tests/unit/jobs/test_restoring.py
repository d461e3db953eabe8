"""An export restored: facts, chains, entities, what was said by hand, sessions and standing answers come back."""

import asyncio
import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jobs import export, imports
from jobs.bulk import send_bulk
from memory.bank_profile import OBSERVING
from memory.commands import DeleteBank, UpdateBank
from memory.ids import Scope
from memory.records import RecordKind
from memory.store_calls import ListRecords
from tests.support.moving import Place, live_a_life, seen

ANA = Scope("acme", "ana")
NUMBERS = itertools.count()


async def take_over(place: Place, tmp_path: Path, *given: str) -> dict[str, Any]:
    progress = str(tmp_path / f"{next(NUMBERS)}.progress")
    chosen = imports._parser().parse_args([str(tmp_path / "out"), "--patience-s", "1", "--progress", progress, *given])
    with ExitStack() as held:
        return await send_bulk(place.client, imports.work_of(chosen, held), chosen, "here")


async def own_operations(place: Place, scope: Scope) -> set[str]:
    """What the import itself did: it began, and set the bank's profile, which no other operation is named after."""
    listed = (await place.client.list_operations(scope, limit=1000)).records
    own = {record.key for record in listed if record.body["task_type"] in {"begin_restore", "update_bank"}}
    return own - {"p"}


def unordered(found: dict[str, Any]) -> dict[str, Any]:
    """Without the order of what is equally good or old, and links to such: ids decide it, and are another bank's."""
    units = [(name, {k: v for k, v in unit.items() if not k.startswith("link")}) for name, unit in found["units"]]
    found = {**found, "units": units}
    return {
        key: sorted(value, key=repr) if isinstance(value, list)
        else (sorted(value[0], key=repr), value[1]) if key.startswith("recall") else value
        for key, value in found.items()
    }  # fmt: skip


def test_a_bank_that_was_exported_deleted_and_restored_is_as_it_was(tmp_path):
    async def move() -> None:
        place = Place()
        await live_a_life(place, ANA)
        before = await seen(place, ANA)
        assert before["counters"]["derived"] > 10
        assert any(row[1].get("superseded_by") for row in before["units"])
        await export.export(place.client, "acme", "ana", tmp_path / "out")
        await place.client.delete_bank(ANA, DeleteBank("d"))
        asked = len(place.extractor.asked)
        report = await take_over(place, tmp_path)
        await place.rest(ANA)
        place.check(ANA)
        assert await seen(place, ANA, own_operations=await own_operations(place, ANA)) == before
        assert report["rejects"] == report["restored"]["dropped"] == report["restored"]["replaced"] == 0
        assert len(place.extractor.asked) == asked, "no fact is looked for again"

    asyncio.run(move())


@pytest.mark.parametrize("given", [("--tenant", "other"), ("--bank", "copy")])
def test_a_bank_restored_elsewhere_says_the_same_under_ids_of_its_own(tmp_path, given):
    async def move() -> None:
        place, other = Place(), Place()
        await live_a_life(place, ANA)
        await export.export(place.client, "acme", "ana", tmp_path / "out")
        report = await take_over(other, tmp_path, *given)
        scope = Scope("other", "ana") if "--tenant" in given else Scope("acme", "copy")
        other.check(scope)
        own = await own_operations(other, scope)
        assert unordered(await seen(other, scope, own_operations=own)) == unordered(await seen(place, ANA))
        assert not other.extractor.asked
        head = await other.client.find_head(scope)
        again = await take_over(other, tmp_path, *given)
        assert (again["calls"], again["documents"]["there_already"]) == (0, report["documents"]["retained"])
        assert await other.client.find_head(scope) == head, "a second import writes nothing"

    asyncio.run(move())


@pytest.mark.parametrize("given", [(), ("--bank", "copy")])
def test_observations_come_back_with_their_history_and_nothing_is_consolidated_again(tmp_path, given):
    async def move() -> None:
        place = Place()
        await place.client.update_bank(ANA, UpdateBank("on", {OBSERVING: True}))
        await live_a_life(place, ANA)
        await place.settle(ANA)
        before = await seen(place, ANA, queries=3)
        assert before["counters"]["type:observation"] > 1
        assert place.batches
        histories = (await place.client.inspect(ANA, ListRecords(RecordKind.OBSERVATION, 100))).records
        await export.export(place.client, "acme", "ana", tmp_path / "out")
        taken = sum(len(batch.facts) for batch in place.batches)
        if not given:
            await place.client.delete_bank(ANA, DeleteBank("d"))
        scope = Scope("acme", "copy") if given else ANA
        await take_over(place, tmp_path, *given)
        await place.settle(scope)
        place.check(scope)
        assert sum(len(batch.facts) for batch in place.batches) == taken
        after = await seen(place, scope, queries=3)
        assert after["counters"]["type:observation"] == before["counters"]["type:observation"]
        told = [sorted(row[0] for row in rows["units"] if row[1]["kind"] == "observation") for rows in (before, after)]
        assert told[0] == told[1]
        restored = (await place.client.inspect(scope, ListRecords(RecordKind.OBSERVATION, 100))).records
        assert sorted(len(one.body["versions"]) for one in restored) == sorted(
            len(one.body["versions"]) for one in histories
        )

    asyncio.run(move())
