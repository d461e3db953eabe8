"""Export, deletion and import of a bank of a running deployment: the same questions have the same answers."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.client import BankClient
from actors.settings import Settings
from jobs import export, imports
from jobs.auditing import Task, verify
from jobs.bulk import send_bulk
from memory.commands import DeleteBank, Item, Message, Retain
from memory.filters import AnyOf
from memory.ids import Scope
from memory.recall import RecallQuery

BANK = Scope("jobs", "moving")
START = datetime(2026, 3, 1, tzinfo=UTC)
PLACES = ("harbour", "garden", "library", "station", "bakery", "museum", "bridge", "market")
THINGS = ("bicycle", "violin", "umbrella", "lantern", "compass", "teapot", "notebook")
QUESTIONS = [f"Who saw the {thing} at the {place}?" for place in PLACES for thing in THINGS]


def talks() -> tuple[Item, ...]:
    """A talk for each place, a turn for each thing, told by two."""
    return tuple(
        Item(
            tuple(
                Message(
                    f"I saw the {thing} number {row * 7 + number} at the {place}.",
                    name=("Ana", "Bo")[number % 2],
                    timestamp=START + timedelta(days=row, minutes=number),
                )
                for number, thing in enumerate(THINGS)
            ),
            f"talk-{place}",
            tags=(place,),
            context="a walk",
            metadata={"place": place},
        )
        for row, place in enumerate(PLACES)
    )


async def ask(client: BankClient, scope: Scope) -> list[Any]:
    """Everything that answers say, but ids and what is the bank's own."""
    own = {"seq", "epoch", "position", "born_version"}
    found = []
    for number, question in enumerate(QUESTIONS):
        where = AnyOf("tags", (PLACES[number % 8],)) if number % 4 == 0 else None
        query = RecallQuery(question, limit=10, query_timestamp=START, **({"where": where} if where else {}))
        answer = await client.recall(scope, query)
        rows = [(round(row.final, 5), {k: v for k, v in row.payload.items() if k not in own}) for row in answer.results]
        found.append(sorted(rows, key=lambda row: (-row[0], row[1]["text"])))
    return found


def test_a_bank_that_was_exported_deleted_and_imported_answers_as_before(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def take_over(client: BankClient, *given: str) -> dict[str, Any]:
        chosen = imports._parser().parse_args(["out", *given])
        with ExitStack() as held:
            return await send_bulk(client, imports.work_of(chosen, held), chosen, "here")

    async def move() -> None:
        client = await BankClient.connect(deployment)
        await client.retain(BANK, Retain("r", talks()))
        before = await ask(client, BANK)
        assert all(before)
        manifest = await export.export(client, "jobs", "moving", Path("out"))
        assert manifest.banks[0].counts["chunks"] == len(PLACES) * len(THINGS)
        report = await take_over(client, "--tenant", "elsewhere", "--bank", "moved")
        assert report["chunks_added"] == len(PLACES) * len(THINGS)
        assert await ask(client, Scope("elsewhere", "moved")) == before
        audit = Task("elsewhere", "moved", "all", client.settings.embedding_dim, live=True)
        assert (await verify(client, audit, repair=False, advance=lambda done, total: None)).found.clean
        await client.delete_bank(BANK, DeleteBank("d"))
        assert not any(await ask(client, BANK))
        await take_over(client)
        assert await ask(client, BANK) == before

    loop.run_until_complete(move())
