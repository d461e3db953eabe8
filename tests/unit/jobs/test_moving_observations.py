"""Observations of a bank that is exported and restored: they come along, audits find nothing, and it goes on."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from actors.bank_ports import Consolidation
from actors.consolidating import RuleConsolidator
from jobs import export, imports
from jobs.bulk import send_bulk
from memory.commands import DeleteDocument, Item, Message, Retain
from memory.consolidating.commands import Consolidate
from memory.ids import Scope
from memory.records import Unit, UnitKind
from memory.store_calls import ListUnits
from tests.support.clocks import START
from tests.support.moving import Place

ANA = Scope("acme", "ana")


def consolidating() -> Place:
    place = Place()
    port = Consolidation(RuleConsolidator(place.cluster.store, place.clock).decide, 256)
    object.__setattr__(place.cluster.ports, "consolidation", port)
    return place


async def tell(place: Place, scope: Scope, *texts: str) -> None:
    for text in texts:
        item = Item((Message(text, "user", "Ana", START),), f"d-{text}")
        await place.client.retain(scope, Retain(f"r-{text}", (item,)))
    await place.rest(scope)


async def consolidate(place: Place, scope: Scope) -> list[Unit]:
    await place.client.observing.consolidate(scope, Consolidate(f"c-{place.clock.now()}"))
    await place.cluster.bank(scope).consolidations.rest()
    return await observed(place, scope)


async def observed(place: Place, scope: Scope) -> list[Unit]:
    page = await place.client.inspect(scope, ListUnits(1000))
    return [unit for unit in page.units if unit.kind is UnitKind.OBSERVATION]


@pytest.mark.parametrize("scope", [ANA, Scope("acme", "copy")], ids=["itself", "another"])
def test_a_restored_bank_has_its_observations_and_goes_on_with_them(tmp_path: Path, scope: Scope) -> None:
    async def move() -> None:
        place, other = consolidating(), consolidating()
        await tell(place, ANA, "I live in Oslo.", "I live in Oslo, Norway.")
        await consolidate(place, ANA)
        await tell(place, ANA, "I live in Oslo with a cat.")
        (before,) = await consolidate(place, ANA)
        await export.export(place.client, "acme", "ana", tmp_path / "out")
        given = ["--patience-s", "1", "--progress", str(tmp_path / "progress")]
        chosen: Any = imports._parser().parse_args([str(tmp_path / "out"), *given, "--bank", scope.bank])
        with ExitStack() as held:
            await send_bulk(other.client, imports.work_of(chosen, held), chosen, "here")
        (after,) = await observed(other, scope)
        assert (after.text, after.proof_count) == (before.text, before.proof_count)
        other.check(scope)
        (after,) = await consolidate(other, scope)
        assert after.text == before.text
        await tell(other, scope, "I live in Oslo, near the opera.")
        (after,) = await consolidate(other, scope)
        assert after.proof_count == 4
        await other.client.delete_document(scope, DeleteDocument("gone", "d-I live in Oslo."))
        other.check(scope)
        (after,) = await consolidate(other, scope)
        assert after.proof_count == 3
        other.check(scope)

    asyncio.run(move())
