"""Tenants and banks deleted, and what is asked to be forgotten exported first: nothing is left, nothing is lost."""

import asyncio
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jobs import forget, forgetting, imports
from jobs.bulk import send_bulk
from jobs.deleting import Deleted, delete_tenant
from jobs.leftovers import scan
from memory.addresses import Address
from memory.commands import Item, Retain
from memory.errors import BadSettings, NotFound, StoreDamaged
from memory.ids import Scope
from tests.support.moving import Place, live_a_life, seen
from tests.unit.jobs.test_restoring import own_operations, take_over

ANA, BO = Scope("acme", "ana"), Scope("acme", "bo")
ELSEWHERE = Scope("other", "ana")


def options(*given: str) -> Namespace:
    return forget._parser().parse_args([*given, "--tenant", "acme", "--yes", "--patience-s", "1"])


async def told(place: Place, *given: str) -> dict[str, Any]:
    return await forget.run(place.client, options(*given))


def test_a_deleted_tenant_leaves_nothing_and_touches_no_other():
    async def delete() -> None:
        place = Place()
        for scope in (ANA, BO, ELSEWHERE):
            await live_a_life(place, scope, documents=4)
        before = await seen(place, ELSEWHERE, queries=3)
        assert len((await scan(place.client, "acme")).content) == 2
        deleted = await delete_tenant(place.client, "acme", 1, lambda: None)
        assert (deleted.banks, deleted.documents) == (2, 10)
        found = await scan(place.client, "acme")
        assert found.clean, found.as_json()
        assert sum(left.units for left in found.banks.values()) == 0
        assert found.banks.keys() == {"ana", "bo"}
        assert any(left.emptied for left in found.banks.values()), "what was removed is not swept yet"
        assert await seen(place, ELSEWHERE, queries=3) == before
        assert await delete_tenant(place.client, "acme", 1, lambda: None) == Deleted()

    asyncio.run(delete())


def test_a_forgotten_bank_is_exported_gone_and_comes_back_by_an_import(tmp_path):
    async def go() -> None:
        place = Place()
        await live_a_life(place, ANA, documents=6)
        before = await seen(place, ANA, queries=6)
        report = await told(place, str(tmp_path / "out"), "--bank", "ana")
        assert report["gone"] == ["ana"]
        assert report["scan"]["clean"]
        assert report["deleted"]["units"] == len(before["units"])
        assert await place.client.find_head(ANA) is None
        again = await told(place, str(tmp_path / "out"), "--bank", "ana")
        assert (again["gone"], again["deleted"]["banks"]) == (["ana"], 0), "a run that is repeated has nothing to do"
        await take_over(place, tmp_path)
        assert await seen(place, ANA, queries=6, own_operations=await own_operations(place, ANA)) == before

    asyncio.run(go())


def test_documents_are_forgotten_with_all_that_was_derived_from_them(tmp_path):
    async def go() -> None:
        place = Place()
        await live_a_life(place, ANA)
        report = await told(place, str(tmp_path / "out"), "--bank", "ana", "--tag", "t1", "--document", "open")
        assert report["documents"] == ["d10", "d4", "d7", "open"]
        assert report["gone"] == report["documents"]
        left = await seen(place, ANA, queries=1)
        assert not any(key == f"document {name}" for name in report["documents"] for key in left)
        assert not [row for row in left["units"] if row[1]["document_id"] in report["documents"]]
        place.check(ANA)
        other = Place()
        chosen = imports._parser().parse_args(
            [str(tmp_path / "out"), "--progress", str(tmp_path / "p"), "--patience-s", "1"]
        )
        with ExitStack() as held:
            back = await send_bulk(other.client, imports.work_of(chosen, held), chosen, "here")
        assert back["documents"]["retained"] == 4
        other.check(ANA)

    asyncio.run(go())


def test_what_was_written_to_after_its_export_stays_and_is_named(tmp_path, monkeypatch):
    async def go() -> None:
        place = Place()
        await place.client.retain(ANA, Retain("r", (Item("one", "a"), Item("two", "b"))))
        await place.rest(ANA)
        check = forgetting.check

        def meanwhile(directory: Path, bank: Any) -> None:
            check(directory, bank)
            tasks.append(asyncio.ensure_future(place.client.retain(ANA, Retain("r2", (Item("news", "a"),)))))

        tasks: list[Any] = []
        monkeypatch.setattr(forgetting, "check", meanwhile)
        get = place.client.get_documents

        async def after_the_news(scope: Scope, ids: tuple[str, ...]) -> Any:
            await asyncio.gather(*tasks)
            return await get(scope, ids)

        monkeypatch.setattr(place.client, "get_documents", after_the_news)
        report = await told(place, str(tmp_path / "out"), "--bank", "ana", "--document", "a", "--document", "b")
        assert (report["gone"], report["changed"]) == (["b"], ["a"])
        assert (await place.client.read_document(ANA, "a")).text == "news"

    asyncio.run(go())


def test_a_damaged_export_deletes_nothing(tmp_path):
    async def go() -> None:
        place = Place()
        await live_a_life(place, ANA, documents=4)
        out = tmp_path / "out"
        await told(place, str(out), "--bank", "ana", "--document", "d0")
        await place.client.retain(ANA, Retain("back", (Item("again", "d0"),)))
        file = next(out.rglob("chunks-*.parquet"))
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        with pytest.raises(StoreDamaged, match="not as it was written"):
            await told(place, str(out), "--bank", "ana", "--document", "d0")
        assert "d0" in await place.client.get_documents(ANA, ("d0",))

    asyncio.run(go())


def test_requests_that_name_nothing_or_another_directory_are_refused(tmp_path):
    async def go() -> None:
        place = Place()
        await place.client.retain(ANA, Retain("r", (Item("one", "a", tags=("x",)),)))
        await place.client.stacks.update_bank(BO, {"name": "Bo"}, Address("app", user="bo@x"))
        for given, complaint in [
            (("--bank", "nobody"), NotFound),
            (("--user", "nobody"), NotFound),
            (("--bank", "ana", "--document", "z"), NotFound),
            (("--bank", "ana", "--tag", "z"), NotFound),
            ((), BadSettings),
        ]:
            with pytest.raises(complaint):
                await told(place, str(tmp_path / "out"), *given)
        dry = await forget.run(place.client, options(str(tmp_path / "o"), "--user", "bo@x", "--dry-run"))
        assert dry["banks"] == ["bo"]
        await told(place, str(tmp_path / "out"), "--user", "bo@x")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "x").touch()
        with pytest.raises(BadSettings, match="other files"):
            await told(place, str(tmp_path / "full"), "--bank", "ana")

    asyncio.run(go())
