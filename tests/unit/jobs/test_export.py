"""Export and import over real banks in this process: nothing is lost, nothing is written twice."""

import asyncio
import itertools
import shutil
from argparse import Namespace
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.settings import Settings
from jobs import bank_reading, export, imports
from jobs.bulk import send_bulk
from jobs.tables import MANIFEST, read_manifest
from memory.commands import AppendTurns, CloseSession, Item, Message, OpenSession, Retain, UpdateBank
from memory.encoding import encode_unit
from memory.errors import BadSettings, LorebankError, NotFound, StoreDamaged, Unprocessable
from memory.ids import Scope
from tests.support.local_client import LocalBankClient

ANA, ODD = Scope("acme", "ana"), Scope("acme", "-b/ü")
MAY = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
PROSE = "# Garden\n\n" + "\n\n".join(f"Bed {n} has roses and thyme, and wants water. " * 8 for n in range(5)) + "\n "
ITEMS = (
    Item(PROSE, "garden", timestamp=MAY, context="notes", metadata={"place": "Oslo"}, tags=("garden", "plan")),
    Item((Message("Hello.\n", "user", "Ana", MAY), Message("x " * 900, "assistant", timestamp=MAY)), "talk"),
    Item("Ana: hi\nBo: hi there\nAna: bye\nBo: bye then", "lines", timeless=True),
    Item("no time given", "untimed", entities=(("Oslo", "place"),)),
    Item("the same", "twice"),
    Item("the same", "twice"),
)


async def fill(client: LocalBankClient) -> None:
    await client.update_bank(ANA, UpdateBank("p", {"name": "Ana", "disposition_empathy": 5}))
    await client.retain(ANA, Retain("r1", ITEMS))
    await client.retain(ANA, Retain("r2", (Item("the second version", "untimed"),)))
    await client.retain(ANA, Retain("r3", (Item("added at the end", "lines", update_mode="append", timestamp=MAY),)))
    for session in ("open", "closed"):
        await client.open_session(ANA, OpenSession(f"o-{session}", session, tags=("chat",)))
        for number in range(3):
            turns = (Message(f"turn {number} of {session}", "user", "Ana"),)
            await client.append_turns(ANA, AppendTurns(f"a-{session}-{number}", session, turns))
    await client.close_session(ANA, CloseSession("c", "closed"))
    await client.retain(ODD, Retain("r1", (Item("elsewhere", "d"),)))


NUMBERS = itertools.count()
DIFFERS = {"state", "seq", "epoch", "position", "born_version"}
"""What of a unit is the bank's own."""


async def content(client: LocalBankClient, scope: Scope) -> dict[str, Any]:
    """Documents with their texts and histories, and all units in their places."""
    found = {}
    for document in (await client.list_documents(scope, limit=100)).documents:
        part = await client.read_document(scope, document.id)
        units = [{k: v for k, v in encode_unit(unit).items() if k not in DIFFERS} for unit in part.chunks]
        times = (document.created_at, document.updated_at, document.version)
        found[document.id] = (part.text, document.tags, document.metadata, document.context, times, units)
    return found


def options(*given: str) -> Namespace:
    return imports._parser().parse_args([*given, "--patience-s", "1"])


async def import_(client: LocalBankClient, tmp_path: Path, *given: str) -> dict[str, Any]:
    chosen = options(*given, "--progress", str(tmp_path / f"{next(NUMBERS)}.progress"))
    with ExitStack() as held:
        return await send_bulk(client, imports.work_of(chosen, held), chosen, "here")


@pytest.fixture
def exported(tmp_path) -> tuple[LocalBankClient, Path]:
    client, to = LocalBankClient(Settings()), tmp_path / "out"

    async def make() -> None:
        await fill(client)
        await export.export(client, "acme", None, to)

    asyncio.run(make())
    return client, to


def test_an_export_names_everything_it_holds(exported):
    client, to = exported
    manifest = read_manifest(to)
    assert [bank.bank for bank in manifest.banks] == ["-b/ü", "ana"]
    ana = manifest.banks[1]
    head = asyncio.run(client.find_head(ANA))
    assert (ana.profile, ana.seq, ana.moving) == ({"name": "Ana", "disposition_empathy": 5}, head.seq, False)
    assert (ana.counts["documents"], ana.counts["sessions"], ana.counts["derived"]) == (7, 2, 0)
    assert ana.counts["chunks"] == head.counters["units"]
    assert ana.counts["operations"] >= 9
    files = set(to.rglob("*.parquet"))
    assert files == {
        to / "banks" / bank.directory / file.path
        for bank in manifest.banks for table in bank.tables.values() for file in table
    }  # fmt: skip


@pytest.mark.parametrize("given", [(), ("--tenant", "other"), ("--only", "ana", "--bank", "copy")])
def test_what_is_imported_is_what_was_exported(exported, tmp_path, given):
    client, to = exported

    async def check() -> None:
        before = await content(client, ANA)
        other = LocalBankClient(Settings())
        report = await import_(other, tmp_path, str(to), *given)
        assert (report["rejects"], report["documents"]["retained"]) == (0, 7 if given[:1] == ("--only",) else 8)
        tenant = "other" if "--tenant" in given else "acme"
        scope = Scope(tenant, "copy" if "--bank" in given else "ana")
        assert await content(other, scope) == before
        head, source = await other.find_head(scope), await client.find_head(ANA)
        assert head is not None
        assert source is not None
        assert head.profile == source.profile
        kept = ("documents", "units", "type:world", "type:experience")
        assert [head.counters.get(name) for name in kept] == [source.counters.get(name) for name in kept]
        order = [document.updated_at for document in (await other.list_documents(scope, limit=100)).documents]
        assert order == [document.updated_at for document in (await client.list_documents(ANA, limit=100)).documents]

    asyncio.run(check())


def test_importing_again_writes_nothing_and_what_was_retained_first_is_known_again(exported, tmp_path):
    _, to = exported

    async def check() -> None:
        other = LocalBankClient(Settings())
        await import_(other, tmp_path, str(to))
        head = await other.find_head(ANA)
        report = await import_(other, tmp_path, str(to))
        assert (report["documents"]["there_already"], report["chunks_added"], report["calls"]) == (8, 0, 0)
        assert await other.find_head(ANA) == head
        receipt = await other.retain(ANA, Retain("again", ITEMS[:3]))
        assert [(d.document_id, d.added, d.retired) for d in receipt.documents] == [
            ("garden", 0, 0), ("talk", 0, 0), ("lines", 0, 1),
        ]  # fmt: skip

    asyncio.run(check())


def test_an_unfinished_export_goes_on_and_a_finished_one_is_not_written_over(exported, capsys):
    client, to = exported
    first = read_manifest(to)
    (to / MANIFEST).unlink()
    with pytest.raises(Unprocessable, match="no finished export"):
        read_manifest(to)
    times = {path: path.stat().st_mtime_ns for path in to.rglob("*.parquet")}

    async def go_on() -> None:
        await client.retain(ODD, Retain("r2", (Item("one more", "e"),)))
        await export.export(client, "acme", None, to)

    asyncio.run(go_on())
    again = read_manifest(to)
    assert again.banks[1] == first.banks[1]
    assert again.banks[0].counts["documents"] == 2
    ana = to / "banks" / again.banks[1].directory
    assert all(path.stat().st_mtime_ns == times[path] for path in ana.glob("*.parquet"))
    assert export.main([str(to)]) == 2
    assert "empty or new directory" in capsys.readouterr().err


def test_one_bank_can_be_exported_and_must_exist(exported, tmp_path):
    client, _ = exported
    manifest = asyncio.run(export.export(client, "acme", "-b/ü", tmp_path / "one"))
    assert [bank.bank for bank in manifest.banks] == ["-b/ü"]
    with pytest.raises(NotFound, match="no bank 'nobody'"):
        asyncio.run(export.export(client, "acme", "nobody", tmp_path / "none"))


class Restless(LocalBankClient):
    """A document is replaced each time it was read, some times."""

    left = 2

    async def read_document(self, scope, document_id, chunks=(0, None)):
        part = await super().read_document(scope, document_id, chunks)
        if document_id == "moving" and self.left:
            self.left -= 1
            await self.retain(scope, Retain(f"m{self.left}", (Item(f"version {self.left}", "moving"),)))
        return part


def test_of_a_document_that_changes_meanwhile_the_last_version_is_imported(tmp_path):
    async def check() -> None:
        client = Restless(Settings())
        await client.retain(ANA, Retain("r", (Item("first", "moving"), Item("still", "still"))))
        manifest = await export.export(client, "acme", None, tmp_path / "out")
        assert manifest.banks[0].counts["documents"] == 4
        other = LocalBankClient(Settings())
        report = await import_(other, tmp_path, str(tmp_path / "out"))
        assert report["documents"]["retained"] == 2
        assert (await other.read_document(ANA, "moving")).text == "version 0"

    asyncio.run(check())


@pytest.mark.parametrize("damage", ["gone", "longer", "changed", "manifest", "later"])
def test_a_damaged_export_is_refused_before_anything_is_written(exported, tmp_path, damage):
    _, to = exported
    file = next(path for path in sorted(to.rglob("chunks-*.parquet")))
    raw = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    elif damage == "longer":
        file.write_bytes(raw + b"x")
    elif damage == "changed":
        raw[len(raw) // 2] ^= 1
        file.write_bytes(raw)
    elif damage == "manifest":
        (to / MANIFEST).write_bytes(b'{"format": "lorebank-export"}')
    else:
        body = orjson.loads((to / MANIFEST).read_bytes())
        (to / MANIFEST).write_bytes(orjson.dumps({**body, "version": 99}))
    other = LocalBankClient(Settings())
    with pytest.raises((StoreDamaged, Unprocessable)):
        asyncio.run(import_(other, tmp_path, str(to)))
    assert not other.cluster._banks


def test_what_cannot_be_asked_for_is_said(exported, tmp_path):
    _, to = exported
    for given, complaint in [
        ([str(to), "--only", "nobody"], "no bank 'nobody'; it has: -b/ü, ana"),
        ([str(to), "--bank", "copy"], "choose one with --only"),
        ([str(tmp_path)], "no finished export"),
        ([str(tmp_path / "x.json"), "--from", "mem0"], "no such file"),
    ]:
        with pytest.raises(LorebankError, match=complaint), ExitStack() as held:
            imports.work_of(options(*given), held)
    with pytest.raises(BadSettings):
        list(imports.read_archive(to / MANIFEST, None))


def test_an_import_killed_at_any_call_ends_as_an_undisturbed_one(exported, tmp_path, monkeypatch):
    client, to = exported
    monkeypatch.setattr(bank_reading, "SLICE_DOCUMENTS", 2)
    expected = asyncio.run(content(client, ANA))

    class Killed(BaseException):
        pass

    class Mortal(LocalBankClient):
        left = -1

        def __init__(self, settings):
            super().__init__(settings)
            perform = self.cluster.command

            async def mortal(scope, command):
                self.left -= 1
                receipt = await perform(scope, command)
                if self.left == 0:
                    raise Killed
                return receipt

            self.cluster.command = mortal

    async def disturbed(kill_at: int) -> None:
        other, home = Mortal(Settings()), tmp_path / f"kill{kill_at}"
        home.mkdir()
        chosen = options(str(to), "--progress", str(home / "p"), "--concurrency", "1")
        for left in (kill_at, -1):
            other.left = left
            with ExitStack() as held:
                work = imports.work_of(chosen, held)
                if left > 0:
                    with pytest.raises((BaseExceptionGroup, Killed)):
                        await send_bulk(other, work, chosen, "here")
                else:
                    await send_bulk(other, work, chosen, "here")
        assert await content(other, ANA) == expected

    for kill_at in range(1, 9):
        asyncio.run(disturbed(kill_at))
    shutil.rmtree(tmp_path / "kill1")
