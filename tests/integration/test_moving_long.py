"""Import, retention and forgetting of a running deployment, each job killed at random moments with kill -9."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from actors.client import BankClient
from actors.settings import Settings
from jobs import export
from jobs.auditing import Task, verify
from memory.commands import CurateFact, DeleteBank, Item, ListEntities, Message, Retain, UpdateBank
from memory.encoding import encode_unit
from memory.filters import AnyOf
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.records import RecordKind
from memory.stages import pending_line
from memory.store_calls import FindLive, ListRecords, ListUnits

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

TENANT = "moved"
START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("Ana", "Bo", "Maria", "Lee", "Inge", "Omar")
TOWNS = ("Paris", "Oslo", "Rome", "Bari", "Lyon", "Porto", "Kyiv", "Graz")
SAID = ("I moved to {}.", "I live in {}.", "My sister visited {} last week.", "I don't live in {} anymore.")
DOCUMENTS = 400
KILLS = 10
QUERIES = 500
NEAR = 0.02


def thing(number: int) -> str:
    """A word that nothing else is called: which of equally good answers comes depends on how they lie on disk."""
    syllables = ("ba", "cor", "du", "fen", "gi", "hal", "jo", "kun", "lem", "mi", "nor", "pu", "ras", "ti", "vo", "zel")
    digits = (number >> 12 & 15, number >> 8 & 15, number >> 4 & 15, number & 15)
    return "".join(syllables[digit] for digit in digits)


async def fill(client: BankClient, scope: Scope, documents: int = DOCUMENTS) -> None:
    """Talks over months, one retain each, some replaced; facts of them found; one corrected, one denied."""
    for number in range(documents):
        name, town = NAMES[number % 6], TOWNS[number % 8]
        at = START + timedelta(hours=7 * number)
        turns = [
            Message(f"{said.format(town)} {thing(7 * number + m)}.", "user", name, at + timedelta(minutes=m))
            for m, said in enumerate(SAID)
        ]
        turns.append(
            Message(f"{thing(7 * number + 5)} stands behind {thing(7 * number + 6)}.", "assistant", timestamp=at)
        )
        item = Item(tuple(turns[number % 3 :]), f"talk-{number}", tags=(f"t{number % 5}",), metadata={"n": str(number)})
        await client.retain(scope, Retain(f"r{number}", (item,)))
    await client.retain(scope, Retain("again", (Item((Message("I live in Graz.", "user", "Bo", START),), "talk-1"),)))
    waiting = ListRecords(RecordKind.STAGES, 1, status=pending_line("extract"))
    while (await client.inspect(scope, waiting)).total:  # noqa: ASYNC110 - another process works on it
        await asyncio.sleep(0.2)
    facts = (await client.list_units(scope, AnyOf("kind", ("fact",)), limit=1000)).units
    ordered = sorted(facts, key=lambda unit: (unit.text, unit.id))
    await client.curation.curate_fact(scope, CurateFact("c1", ordered[0].id, {"text": "Ana never lived there"}))
    await client.curation.curate_fact(scope, CurateFact("c2", ordered[-1].id, state="invalidated"))


async def answers(client: BankClient, scope: Scope, queries: int = QUERIES) -> dict[str, Any]:
    """What callers are told, without what is the bank's own: seqs, and whose version a turn was born in."""
    own = {"seq", "epoch", "sources", "born_version"}
    found: dict[str, Any] = {}
    for number in range(queries):
        question = " ".join(thing(7 * (number * step % DOCUMENTS) + number % 7) for step in (1, 3, 7)[: 1 + number % 3])
        as_of = START + timedelta(days=number % 100) if number % 4 == 3 else None
        asked = RecallQuery(question, limit=10, query_timestamp=START + timedelta(days=120), as_of=as_of)
        answer = await client.recall(scope, asked)
        rows = {
            row.id: (row.final, {k: v for k, v in row.payload.items() if k not in own})
            for row in answer.results
            if any(word in str(row.payload["text"]) for word in question.split())
        }  # the rest fills up: of equally bad ones an engine brings those that lie on disk before others
        found[f"{number} {question}"] = (rows, answer.incomplete)
    assert sum(bool(rows) for rows, _ in found.values()) > queries // 2, (
        "most questions are about something that was told"
    )
    offset, units = 0, []
    while page := (await client.list_units(scope, limit=500, offset=offset)).units:
        offset += len(page)
        units += [(unit.id, {k: v for k, v in encode_unit(unit).items() if k not in own}) for unit in page]
    found["memories, in their order"] = units
    listed = (await client.list_documents(scope, limit=1000)).documents
    found["documents"] = [(d.id, d.version, d.created_at, d.updated_at, d.text_bytes, d.tags) for d in listed]
    found["curations"] = [
        (r.key, r.status, r.order, r.body["history"])
        for r in (await client.inspect(scope, ListRecords(RecordKind.CURATION, 100))).records
    ]
    entities = (await client.curation.list_entities(scope, ListEntities(1000))).entities
    found["entities"] = [(e.name, e.facts, e.mentions, e.aliases, e.first_mentioned_at) for e in entities]
    return found


def without_scores(found: Any) -> Any:
    """What an answer says, but for its scores."""
    if not isinstance(found, tuple):
        return found
    return {id_: payload for id_, (_, payload) in found[0].items()}, found[1]


def job(name: str, cwd: Path, *arguments: str) -> dict[str, Any]:
    """What a job's process is started with."""
    import ray

    address = ray.get_runtime_context().gcs_address
    return {
        "args": [sys.executable, "-m", f"jobs.{name}", *arguments],
        "cwd": cwd,
        "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "RAY_ADDRESS": address},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def killed_until_done(given: dict[str, Any], advanced: Callable[[], int], kills: int, chance: random.Random) -> str:
    """Start the job and kill it after some more was done, again and again; then let it end. What it printed."""
    for kill in range(kills):
        before, wanted = advanced(), chance.randrange(1, 4)
        process = subprocess.Popen(**given)
        deadline_s = time.monotonic() + 120
        while advanced() < before + wanted and process.poll() is None:
            assert time.monotonic() < deadline_s, f"kill {kill}: nothing was done"
            time.sleep(0.01)
        ended = process.poll() is not None
        process.kill()
        process.communicate()
        if ended:
            break
    done = subprocess.run(**given, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


async def check(client: BankClient, bank: str | None = None) -> None:
    task = Task(TENANT, bank, "all", client.settings.embedding_dim, live=True)
    found = (await verify(client, task, repair=False, advance=lambda done, total: None)).found
    assert found.clean, found.breaches[:5]


def test_an_import_killed_again_and_again_answers_as_the_bank_did(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    scope, out = Scope(TENANT, "ana"), tmp_path / "out"
    chance = random.Random(3)

    async def leave() -> dict[str, Any]:
        client = await BankClient.connect(deployment)
        await fill(client, scope)
        before = await answers(client, scope)
        await export.export(client, TENANT, "ana", out)
        await client.delete_bank(scope, DeleteBank("d"))
        return before

    before = loop.run_until_complete(leave())
    scanned = subprocess.run(**job("tenant", tmp_path, "scan", TENANT), timeout=100, check=False)
    assert scanned.returncode == 0, scanned.stderr
    assert "nothing of what they held is left" in scanned.stdout
    progress = tmp_path / "p.ndjson"

    def lines() -> int:
        return progress.read_bytes().count(b"\n") if progress.exists() else 0

    arguments = (str(out), "--json", "--progress", str(progress), "--concurrency", "2", "--max-items-per-s", "400")
    report = orjson.loads(killed_until_done(job("imports", tmp_path, *arguments), lines, KILLS, chance))
    assert report["rejects"] == report["restored"]["dropped"] == report["restored"]["replaced"] == 0

    async def look() -> None:
        client = await BankClient.connect(deployment)
        after = await answers(client, scope)
        for key, value in before.items():
            assert without_scores(after[key]) == without_scores(value), key
            if key[0].isdigit():  # what fills up has a small say in how scores are spread
                assert all(abs(after[key][0][id_][0] - score) < NEAR for id_, (score, _) in value[0].items()), key
        await check(client, "ana")

    loop.run_until_complete(look())


def test_retention_killed_again_and_again_leaves_what_is_in_its_time_and_archives_the_rest(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    scope, chance = Scope(TENANT, "kept"), random.Random(4)
    until = START + timedelta(hours=7 * 120)

    async def begin() -> set[str]:
        client = await BankClient.connect(deployment)
        await fill(client, scope, 240)
        after_s = (datetime.now(UTC) - until).total_seconds()
        rules = [{"after_s": after_s, "since": "told"}]
        ids = {unit.id for unit in await everything(client, scope)}
        await client.update_bank(scope, UpdateBank("rules", {"retention": rules, "retention_archive": True}))
        return ids

    before = loop.run_until_complete(begin())
    archive = tmp_path / "old"

    def archived() -> int:
        return len(list(archive.rglob("archive.json")))

    given = job("retention", tmp_path, "--tenant", TENANT, "--bank", "kept", "--archive", str(archive), "--json",
                "--max-items-per-s", "500")  # fmt: skip
    killed_until_done(given, archived, KILLS, chance)

    async def look() -> None:
        client = await BankClient.connect(deployment)
        left = await everything(client, scope)
        assert left
        assert all((unit.mentioned_at or unit.recorded_at) > until for unit in left)
        files = [path.parent for path in archive.rglob("archive.json")]
        rows = pl.concat([pl.read_parquet(file) for place in files for file in place.glob("*.parquet")])
        gone = before - {unit.id for unit in left}
        assert gone <= set(rows["id"].to_list()), "nothing goes that is not in the archive"
        await check(client, "kept")

    loop.run_until_complete(look())


def test_forgetting_killed_again_and_again_removes_what_was_asked_and_nothing_else(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    scope, out, chance = Scope(TENANT, "asked"), tmp_path / "out", random.Random(5)

    async def begin() -> dict[str, list[str]]:
        client = await BankClient.connect(deployment)
        await fill(client, scope, 200)
        held: dict[str, list[str]] = {}
        for unit in await everything(client, scope):
            held.setdefault(unit.document_id, []).append(unit.id)
        return held

    held = loop.run_until_complete(begin())
    asked = [f"talk-{number}" for number in range(0, 200, 5)]
    assert all(name in held for name in asked)

    async def gone() -> int:
        client = await BankClient.connect(deployment)
        return len(asked) - len(await client.get_documents(scope, tuple(asked)))

    given = job("forget", tmp_path, str(out), "--tenant", TENANT, "--bank", "asked", "--tag", "t0", "--yes", "--json")
    report = orjson.loads(killed_until_done(given, lambda: loop.run_until_complete(gone()), KILLS, chance))
    assert (report["gone"], report["changed"]) == (sorted(asked), [])

    async def look() -> None:
        client = await BankClient.connect(deployment)
        assert await client.get_documents(scope, tuple(asked)) == {}
        ids = tuple(unit for name in asked for unit in held[name])
        assert await client.inspect(scope, FindLive(ids)) == frozenset()
        others = [name for name in held if name not in asked]
        assert len(await client.get_documents(scope, tuple(others))) == len(others)
        await check(client, "asked")

    loop.run_until_complete(look())


async def everything(client: BankClient, scope: Scope) -> list[Any]:
    """Every live unit, past its time or not."""
    units: list[Any] = []
    while page := (await client.inspect(scope, ListUnits(500, len(units)))).units:
        units.extend(page)
    return units
