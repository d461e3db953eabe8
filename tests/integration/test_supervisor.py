"""Frozen hosts and storage shards are ended by the supervisor, it by the hosts; Ray replaces what has ended."""

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from actors.calls import ask
from actors.client import BankClient
from actors.placement import Ring, host_name, owner_of
from actors.pulse import Pulse
from actors.settings import NAMESPACE, Settings
from actors.spare import have_spare
from actors.supervision import Standing
from actors.supervisor import SUPERVISOR
from memory.commands import Item, Retain
from memory.errors import RetryLater
from memory.ids import BUCKETS, Scope
from memory.recall import RecallQuery

Run = Callable[[Callable[[BankClient], Awaitable[None]]], None]


@pytest.fixture
def run(deployment: Settings, loop: asyncio.AbstractEventLoop) -> Run:
    async def connected(scenario: Callable[[BankClient], Awaitable[None]]) -> None:
        await scenario(await BankClient.connect(deployment))

    return lambda scenario: loop.run_until_complete(connected(scenario))


def actor(name: str) -> Any:
    import ray

    return ray.get_actor(name, namespace=NAMESPACE)


async def pulse_of(name: str) -> Pulse:
    return await ask(actor(name).pulse.remote(), 30.0, name)


async def well(name: str) -> None:
    """Wait until the supervisor has an answer of a part."""
    said = "the supervisor does not answer"
    for _ in range(600):
        try:
            report = await ask(actor(SUPERVISOR).report.remote(), 5.0, SUPERVISOR)
        except RetryLater as exc:
            said = str(exc)
        else:
            said = report.standings[name]
            if said is Standing.WELL:
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name}: {said}")


def retain(text: str, document_id: str) -> Retain:
    return Retain(str(uuid.uuid4()), (Item(text, document_id),))


@pytest.mark.parametrize("part", ["host", pytest.param("shard", marks=pytest.mark.long)])
def test_a_frozen_part_is_replaced_and_what_waited_for_it_is_done(run: Run, part: str) -> None:
    async def scenario(client: BankClient) -> None:
        scope = Scope("tenant", f"bank-{uuid.uuid4()}")
        await client.retain(scope, retain("before the frost", "before"))
        owner = owner_of(Ring(1, (host_name(0), host_name(1))), scope)
        name = owner if part == "host" else f"storage-shard-{scope.bucket * 2 // BUCKETS}"
        await well(name)
        frozen = await pulse_of(name)
        os.kill(frozen.pid, signal.SIGSTOP)
        began_s = time.monotonic()
        await client.retain(scope, retain("during the frost", "during"))
        took_s = time.monotonic() - began_s
        texts = {result.payload["text"] for result in (await client.recall(scope, RecallQuery("frost"))).results}
        assert texts == {"before the frost", "during the frost"}
        assert not psutil.pid_exists(frozen.pid)
        assert (await pulse_of(name)).pid != frozen.pid
        report = await ask(actor(SUPERVISOR).report.remote(), 30.0, SUPERVISOR)
        assert report.ended[name] >= 1
        print(f"{name}: frozen, replaced, and the write that waited for it done after {took_s:.1f} s")

    run(scenario)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
def test_a_supervisor_that_was_killed_or_frozen_is_back_and_watches_again(run: Run, how: signal.Signals) -> None:
    """Ray sees that one has died; the hosts see that one does not answer, which they give it time for while it starts.

    So the one that is frozen is the one they have known for long.
    """

    async def scenario(client: BankClient) -> None:
        del client
        handle = actor(SUPERVISOR)
        before = await ask(handle.pulse.remote(), 30.0, SUPERVISOR)
        process = psutil.Process(before.pid)
        process.send_signal(how)
        await asyncio.to_thread(psutil.wait_procs, [process], timeout=30)
        await well(host_name(0))
        await well("storage-shard-1")
        assert (await pulse_of(SUPERVISOR)).pid != before.pid

    run(scenario)


def test_a_host_that_was_killed_begins_anew_in_a_process_that_waited_for_it(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        del client
        spare = await have_spare()
        assert spare is not None
        assert await have_spare() == spare, "one is enough"
        killed = psutil.Process((await pulse_of(host_name(0))).pid)
        killed.kill()
        await asyncio.to_thread(psutil.wait_procs, [killed], timeout=30)
        assert (await until_answered(host_name(0))).pid == spare

    run(scenario)


async def until_answered(name: str) -> Pulse:
    for _ in range(600):
        with contextlib.suppress(RetryLater):
            return await pulse_of(name)
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} does not answer")
