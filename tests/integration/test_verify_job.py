"""The audit of a running deployment: beside its writers, and its repair through the banks' owners."""

import asyncio
import json
import os
import subprocess
import sys

from actors.client import BankClient
from actors.settings import Settings
from jobs.auditing import Task, verify
from memory.breaches import BreachKind
from memory.commands import Item, Retain, UpdateBank
from memory.ids import Scope
from memory.store_calls import InsertUnits, SetLive
from tests.support.builders import retain

TENANT = "verified"
SCOPES = [Scope(TENANT, f"bank-{number}") for number in range(3)]


def quiet(done: int, total: int) -> None:
    """No progress is shown."""


def test_banks_written_to_meanwhile_have_no_breaches(deployment: Settings, loop: asyncio.AbstractEventLoop) -> None:
    """What moves is looked at again, or said not to have been checked; it is never reported as broken."""

    async def look() -> None:
        client = await BankClient.connect(deployment)
        stop = asyncio.Event()

        async def write(scope: Scope) -> int:
            number = 0
            while not stop.is_set():
                texts = [Item(f"text {line} of version {number}", f"d{number % 3}") for line in range(4)]
                await client.retain(scope, Retain(f"op-{number}", tuple(texts)))
                number += 1
            return number

        for scope in SCOPES:
            await client.update_bank(scope, UpdateBank("make", {}))
        writers = [asyncio.ensure_future(write(scope)) for scope in SCOPES[:2]]
        during = [await verify(client, Task(TENANT, live=True), repair=False, advance=quiet) for _ in range(2)]
        stop.set()
        assert min(await asyncio.gather(*writers)) > 0
        assert [outcome.found.breaches for outcome in during] == [[], []]
        after = await verify(client, Task(TENANT, vectors="all", live=True), repair=False, advance=quiet)
        assert after.found.clean
        assert after.found.banks == len(SCOPES)
        assert after.found.vectors == after.found.units > 0

    loop.run_until_complete(look())


def job(*arguments: str) -> tuple[int, dict]:
    import ray

    address = ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [sys.executable, "-m", "jobs.verify", "--json", "--tenant", "mended", *arguments],
        env={**os.environ, "RAY_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_job_repairs_a_running_deployment_through_the_owners(
    deployment: Settings, loop: asyncio.AbstractEventLoop
) -> None:
    """A unit no document lists any more is swept, and the bank's owner goes on afterwards."""
    scope = Scope("mended", "bank")

    async def damage() -> None:
        client = await BankClient.connect(deployment)
        await client.retain(scope, retain("one", "two", op="op-1"))
        (old, *_) = (await client.list_units(scope, limit=10)).units
        await client.retain(scope, retain("three", op="op-2"))
        from dataclasses import replace

        from memory.ingest import unit_vectors
        from memory.store_calls import NewUnit
        from providers.hash_embedder import HashEmbedder

        (made,) = HashEmbedder(deployment.embedding_dim or 384).embed_with_tokens([old.text])
        store = client._store
        await store.perform(scope, InsertUnits((NewUnit(replace(old), unit_vectors(old, made)),)))
        await store.perform(scope, SetLive((old.id,), old.seq, old.epoch))

    loop.run_until_complete(damage())
    code, report = job()
    assert (code, [breach["kind"] for breach in report["left"]]) == (1, [BreachKind.ORPHAN.value])
    code, report = job("--repair")
    assert (code, report["clean"], report["repaired"][0]["retired"]) == (0, True, 1)

    async def go_on() -> None:
        client = await BankClient.connect(deployment)
        await client.retain(scope, retain("three", "four", op="op-3"))
        assert {unit.text for unit in (await client.list_units(scope, limit=10)).units} == {"three", "four"}

    loop.run_until_complete(go_on())
    assert job()[0] == 0
