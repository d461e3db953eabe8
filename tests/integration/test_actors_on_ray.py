"""Banks, hosts and storage shards as Ray actors: what is acknowledged is found, whoever dies."""

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import Awaitable, Callable

import psutil
import pytest

from actors.client import BankClient
from actors.placement import Ring, host_name, owner_of
from actors.settings import NAMESPACE, Settings
from memory.commands import DeleteBank, DeleteDocument, Item, Retain
from memory.errors import Conflict, NotFound, NotOwner, Unavailable
from memory.ids import BUCKETS, Scope
from memory.recall import RecallQuery

Run = Callable[[Callable[[BankClient], Awaitable[None]]], None]


@pytest.fixture
def run(deployment: Settings, loop: asyncio.AbstractEventLoop) -> Run:
    async def connected(scenario: Callable[[BankClient], Awaitable[None]]) -> None:
        await scenario(await BankClient.connect(deployment))

    return lambda scenario: loop.run_until_complete(connected(scenario))


def new_scope(tenant: str = "tenant") -> Scope:
    return Scope(tenant, f"bank-{uuid.uuid4()}")


def retain(text: str, document_id: str = "note") -> Retain:
    return Retain(str(uuid.uuid4()), (Item(text, document_id),))


async def recalled(client: BankClient, scope: Scope, query: str) -> list[str]:
    answer = await client.recall(scope, RecallQuery(query))
    return [result.payload["text"] for result in answer.results]


def test_the_next_recall_finds_what_was_retained(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        scope = new_scope()
        for number in range(20):
            await client.retain(scope, retain(f"fact {number} about lighthouse {number}", f"doc-{number}"))
            assert f"fact {number} about lighthouse {number}" in await recalled(client, scope, f"lighthouse {number}")

    run(scenario)


def test_banks_spread_over_both_hosts_and_both_shards(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        scopes = [new_scope() for _ in range(12)]
        for scope in scopes:
            await client.retain(scope, retain(f"only in {scope.bank}"))
        for scope in scopes:
            assert await recalled(client, scope, "only in") == [f"only in {scope.bank}"]
        ring = Ring(1, (host_name(0), host_name(1)))
        assert {owner_of(ring, scope) for scope in scopes} == set(ring.hosts)
        assert {scope.bucket * 2 // BUCKETS for scope in scopes} == {0, 1}
        page = await client.list_banks("tenant", 1000, 0)
        assert {scope.bank for scope in scopes} <= {bank for bank, _ in page.banks}

    run(scenario)


def test_equal_banks_of_two_tenants_see_nothing_of_each_other(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        ours = new_scope("ours")
        theirs = Scope("theirs", ours.bank)
        await client.retain(ours, retain("our secret is the blue door"))
        assert await recalled(client, theirs, "secret blue door") == []
        assert (await client.list_units(theirs, limit=10)).total == 0
        unit = (await client.list_units(ours, limit=10)).units[0]
        with pytest.raises(NotFound):
            await client.find_unit("theirs", unit.id)
        await client.delete_bank(theirs, DeleteBank(str(uuid.uuid4())))
        assert await recalled(client, ours, "secret blue door") == ["our secret is the blue door"]

    run(scenario)


def test_twenty_writers_of_one_document_leave_the_last_version_whole(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        scope = new_scope()
        receipts = await asyncio.gather(*(client.retain(scope, retain(f"version by writer {n}")) for n in range(20)))
        versions = sorted((r.documents[0].version, n) for n, r in enumerate(receipts))
        assert [version for version, _ in versions] == list(range(1, 21))
        assert (await client.read_document(scope, "note")).text == f"version by writer {versions[-1][1]}"
        assert (await client.list_units(scope, limit=100)).total == 1

    run(scenario)


def test_an_operation_id_does_its_command_once_and_no_other(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        scope = new_scope()
        command = Retain("the-operation", (Item("first"), Item("second")))
        first, again = await client.retain(scope, command), await client.retain(scope, command)
        assert (first.replayed, again.replayed) == (False, True)
        assert first.documents == again.documents
        assert (await client.list_units(scope, limit=10)).total == 2
        with pytest.raises(Conflict):
            await client.retain(scope, Retain("the-operation", (Item("third"),)))

    run(scenario)


def test_a_killed_host_is_back_and_nothing_is_lost_or_doubled(run: Run) -> None:
    import ray

    async def scenario(client: BankClient) -> None:
        scope = new_scope()
        owner = owner_of(Ring(1, (host_name(0), host_name(1))), scope)
        await client.retain(scope, retain("before the kill", "before"))
        host = ray.get_actor(owner, namespace=NAMESPACE)
        pid = (await host.ping.remote())["pid"]
        running = [asyncio.ensure_future(client.retain(scope, retain(f"during {n}", f"during-{n}"))) for n in range(8)]
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*running)
        await client.retain(scope, retain("after the kill", "after"))
        texts = {unit.text for unit in (await client.list_units(scope, limit=100)).units}
        assert texts == {"before the kill", "after the kill", *(f"during {n}" for n in range(8))}
        head = await client.find_head(scope)
        assert head is not None
        assert (head.counters["documents"], head.counters["units"]) == (10, 10)

    run(scenario)


def test_recall_needs_no_owner(run: Run) -> None:
    """The owner's process stands still: it answers nobody, and a recall rests on what it acknowledged."""
    import ray

    async def scenario(client: BankClient) -> None:
        scope = new_scope()
        owner = owner_of(Ring(1, (host_name(0), host_name(1))), scope)
        receipt = await client.retain(scope, retain("the lighthouse is green"))
        pid = (await ray.get_actor(owner, namespace=NAMESPACE).ping.remote())["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(5):
                found = await client.recall(scope, RecallQuery("lighthouse", min_seq=receipt.seq))
                assert [result.payload["text"] for result in found.results] == ["the lighthouse is green"]
                assert not found.stale
        finally:
            with contextlib.suppress(ProcessLookupError):  # the supervisor may have ended it by now
                os.kill(pid, signal.SIGCONT)

    run(scenario)


def test_banks_of_both_shards_are_recalled_together(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        tenant = f"tenant-{uuid.uuid4()}"
        scopes = [new_scope(tenant) for _ in range(12)]
        assert {scope.bucket * 2 // BUCKETS for scope in scopes} == {0, 1}
        for scope in scopes:
            await client.retain(scope, retain("the lighthouse is green"))
        banks = [scope.bank for scope in scopes]
        found = await client.stacks.recall(tenant, [*banks, "none"], RecallQuery("lighthouse"), {})
        assert [result.bank for result in found.answer.results] == banks
        assert found.missing == ("none",)
        assert (await client.stacks.recall("elsewhere", banks, RecallQuery("lighthouse"), {})).answer.results == ()

    run(scenario)


def test_a_killed_storage_shard_opens_its_directory_again(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        scopes = [new_scope() for _ in range(4)]
        for scope in scopes:
            await client.retain(scope, retain(f"kept in {scope.bank}"))
        for shard in (await client.ready())["shards"]:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(shard["pid"]).kill()
        for scope in scopes:
            assert await recalled(client, scope, "kept in") == [f"kept in {scope.bank}"]
            await client.retain(scope, retain("and more", "more"))
            assert (await client.list_units(scope, limit=10)).total == 2

    run(scenario)


def test_a_host_refuses_a_bank_of_another(run: Run) -> None:
    import ray

    async def scenario(client: BankClient) -> None:
        del client
        scope = new_scope()
        ring = Ring(1, (host_name(0), host_name(1)))
        other = next(name for name in ring.hosts if name != owner_of(ring, scope))
        host = ray.get_actor(other, namespace=NAMESPACE)
        with pytest.raises(NotOwner):
            await host.perform.remote(scope, retain("not here"), 1)

    run(scenario)


def test_deleting_what_is_not_there_is_not_found(run: Run) -> None:
    async def scenario(client: BankClient) -> None:
        scope = new_scope()
        with pytest.raises(NotFound):
            await client.delete_document(scope, DeleteDocument(str(uuid.uuid4()), "nothing"))
        receipt = await client.delete_bank(scope, DeleteBank(str(uuid.uuid4())))
        assert (receipt.units_deleted, receipt.documents_deleted) == (0, 0)

    run(scenario)


def test_without_a_deployment_there_is_nothing_to_attach_to(deployment: Settings) -> None:
    import ray

    from actors import cluster

    del deployment
    original = cluster.NAMESPACE
    cluster.NAMESPACE = "nobody-started-one-here"
    try:
        with pytest.raises(Unavailable, match="no lorebank deployment"):
            asyncio.run(BankClient.attach())
    finally:
        cluster.NAMESPACE = original
    assert ray.is_initialized()
