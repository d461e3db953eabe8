"""`python -m tests.faults.zombie_host DIRECTORY`: a host is stopped with writes under way, its bank is taken, it wakes.

Nobody ends it meanwhile: the supervisor's patience is endless here. Nothing the sleeper writes may ever be read.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from actors.bank import Bank
from actors.client import BankClient
from actors.settings import load_settings
from memory.commands import DeleteDocument
from memory.errors import NotOwner, Unavailable
from memory.ids import Scope
from memory.store_calls import ReadHead
from tests.faults.ray_scenario import NEVER, actor, breaches, owned_by, pin, put, ray_of_one_node, readable, until
from tests.support.bank_process import bank_ports

OLD, NEW = "bank-host-0", "bank-host-1"


class Sleeper:
    """The host that is stopped, and what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def start(self, scope: Scope, *commands: Any) -> None:
        """Have it begin commands, all of which wait for their texts to be embedded; then stop its process."""
        handle = actor(OLD)
        self.pid = (await handle.ping.remote())["pid"]
        self.ask(scope, *commands)

        async def all_inside() -> bool:
            return (await handle.ping.remote())["commands"] == len(self.asked)

        await until("the commands are under way", all_inside)
        os.kill(self.pid, signal.SIGSTOP)

    def ask(self, scope: Scope, *commands: Any) -> None:
        self.asked += [actor(OLD).perform.remote(scope, command, 1) for command in commands]

    async def wake(self) -> list[Any]:
        """Let it go on; its answers."""
        os.kill(self.pid, signal.SIGCONT)
        answers = await asyncio.wait_for(asyncio.gather(*self.asked, return_exceptions=True), 120)
        assert (await actor(OLD).ping.remote())["pid"] == self.pid, "it is the process that slept"
        return answers


async def taken_by_a_newer_ring(settings: Any) -> None:
    client = await BankClient.connect(settings)
    scope = await owned_by(client, OLD)
    await client.retain(scope, put("as it was"))
    await client.retain(scope, put("to be deleted by the sleeper", "e"))
    sleeper = Sleeper()
    began = [put(f"by the sleeper {n}", document) for n, document in enumerate(["d", "d", "e", "new", "other"])]
    await sleeper.start(scope, *began)
    sleeper.ask(scope, *(put(f"queued {n}", "d") for n in range(5)), DeleteDocument("delete", "e"))
    await pin(client, scope, NEW)
    other = await BankClient.connect(settings)
    await other.retain(scope, put("by the next owner"))
    await other.retain(scope, put("also by the next owner", "f"))
    before = await readable(other, scope)
    answers = await sleeper.wake()
    assert all(isinstance(answer, NotOwner | Unavailable) for answer in answers), answers
    after = await readable(other, scope)
    assert after == before, (before, after)
    assert after["texts"]["d"] == (2, "by the next owner")
    assert await breaches(other, scope) == []
    await client.retain(scope, put("by a caller with the old ring", "g"))
    assert (await readable(other, scope))["head"][0] == before["head"][0], "the bank did not change hands again"
    refused = sorted(
        {kind.__name__ for kind in (NotOwner, Unavailable) for answer in answers if isinstance(answer, kind)}
    )
    print(f"a newer ring: {len(answers)} commands of a host that slept, refused ({', '.join(refused)}), none readable")


async def taken_directly(settings: Any) -> None:
    client = await BankClient.connect(settings)
    scope = await owned_by(client, OLD)
    await client.retain(scope, put("as it was"))
    sleeper = Sleeper()
    await sleeper.start(scope, put("by the sleeper"))
    intruder = Bank(scope, bank_ports(client._store, "intruder", embed=_embed), 8)
    await intruder.perform(put("by the one who took it"))
    before = await readable(client, scope)
    (answer,) = await sleeper.wake()
    assert isinstance(answer, Unavailable), answer
    assert await readable(client, scope) == before
    assert before["texts"] == {"d": (2, "by the one who took it")}
    assert await breaches(client, scope) == []
    await client.retain(scope, put("by its owner again"))  # the ring gives it to the one that slept
    head = await client._store.perform(scope, ReadHead())
    assert head is not None
    assert head.epoch == before["head"][0] + 1
    assert (await readable(client, scope))["texts"] == {"d": (3, "by its owner again")}
    assert await breaches(client, scope) == []
    print("taken without a new ring: the write under way was refused, and the owner took the bank anew")


async def _embed(texts: Any) -> list[Any]:
    from actors.wiring import build_embedder

    return build_embedder(load_settings(embedder="hash")).embed_with_tokens(list(texts))


async def scenarios(settings: Any) -> None:
    await taken_by_a_newer_ring(settings)
    await taken_directly(settings)


def main() -> None:
    path = Path(sys.argv[1])
    with ray_of_one_node():
        from actors.cluster import start_cluster

        settings = load_settings(
            data=path / "data",
            embedder="hash",
            bank_hosts=2,
            supervisor_misses=NEVER,
            supervisor_busy_s=NEVER,
            embed_wait_ms=1500.0,
            request_timeout_s=60.0,
            extraction="off",  # nothing but the callers writes
        )
        start_cluster(settings)
        asyncio.run(scenarios(settings))


if __name__ == "__main__":
    main()
