"""Who may take a bank: the host the stored ring names, and of the processes with its name the last one."""

from itertools import count

import pytest

from actors.bank import Bank
from actors.ownership import Ownership
from actors.placement import RING_KEY, Ring, ensure_ring, owner_of
from memory.commands import Message
from memory.errors import NotOwner, StaleEpoch, Unavailable
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind
from memory.store_calls import GetRecords, ReadHead, WriteRecords
from storage.reference_store import ReferenceStore
from tests.support.bank_process import bank_ports
from tests.support.bank_state import read_bank
from tests.support.builders import DIM, retain
from tests.support.local_store import LocalStore
from tests.support.loops import in_loop

HOSTS = ("bank-host-0", "bank-host-1")
SCOPE = Scope("t", "b")
OWNER = owner_of(Ring(1, HOSTS), SCOPE)
OTHER = next(host for host in HOSTS if host != OWNER)
_processes = count(1)


@pytest.fixture
def store():
    return LocalStore(ReferenceStore(DIM))


class Process:
    """One process with a host's name, as far as it owns banks."""

    def __init__(self, store, name: str) -> None:
        self.ended = False
        self.ownership = Ownership(name, store, f"process {next(_processes)}", self.end)
        self.bank = Bank(SCOPE, bank_ports(store, f"{id(self)}", claim=self.ownership.claim), 8)

    def end(self) -> None:
        self.ended = True


async def move(store, scope: Scope, to: str, version: int) -> None:
    """Pin a bank to a host in a newer ring."""
    body = {"version": version, "hosts": list(HOSTS), "pins": {scope.key: to}}
    await store.perform(SYSTEM, WriteRecords((Record(RecordKind.RING, RING_KEY, body, seq=version),)))


def put(op: str, text: str):
    return retain((Message(text, role="user"),), op=op)


@in_loop
async def test_only_the_host_the_ring_names_may_take_a_bank(store):
    await ensure_ring(store, HOSTS)
    await Process(store, OWNER).ownership.claim(SCOPE)
    with pytest.raises(NotOwner, match="does not own") as refused:
        await Process(store, OTHER).ownership.claim(SCOPE)
    assert refused.value.ring_version == 1


@in_loop
async def test_without_a_ring_nobody_may(store):
    process = Process(store, OWNER)
    for ask in (process.ownership.claim, process.ownership.check):
        with pytest.raises(Unavailable, match="no ring"):
            await ask(SCOPE)
    await ensure_ring(store, HOSTS)
    await process.ownership.claim(SCOPE)


@in_loop
async def test_a_check_reads_the_ring_again_only_for_a_newer_version(store):
    await ensure_ring(store, HOSTS)
    process = Process(store, OWNER)
    await process.ownership.check(SCOPE)
    await move(store, SCOPE, OTHER, 2)
    seen = len(store.requests)
    await process.ownership.check(SCOPE, 1)
    assert len(store.requests) == seen
    with pytest.raises(NotOwner) as refused:
        await process.ownership.check(SCOPE, 2)
    assert refused.value.ring_version == 2


@in_loop
async def test_a_claim_always_reads_the_ring(store):
    await ensure_ring(store, HOSTS)
    process = Process(store, OWNER)
    await process.ownership.claim(SCOPE)
    await move(store, SCOPE, OTHER, 2)
    with pytest.raises(NotOwner):
        await process.ownership.claim(SCOPE)
    await Process(store, OTHER).ownership.claim(SCOPE)


@in_loop
async def test_a_process_whose_name_another_has_taken_ends_and_takes_nothing(store):
    await ensure_ring(store, HOSTS)
    first, second = Process(store, OWNER), Process(store, OWNER)
    await first.ownership.claim(SCOPE)
    await second.ownership.claim(SCOPE)
    with pytest.raises(NotOwner, match="was replaced"):
        await first.ownership.claim(SCOPE)
    assert (first.ended, second.ended) == (True, False)
    await second.ownership.claim(SCOPE)
    third = Process(store, OWNER)
    await third.ownership.refresh()
    with pytest.raises(NotOwner):
        await second.ownership.refresh()
    assert (second.ended, third.ended) == (True, False)


@in_loop
async def test_processes_of_other_hosts_do_not_replace_each_other(store):
    await ensure_ring(store, HOSTS)
    processes = [Process(store, host) for host in HOSTS]
    for _ in range(2):
        for process in processes:
            await process.ownership.refresh()
    assert not any(process.ended for process in processes)


@in_loop
async def test_a_process_that_wakes_in_the_middle_of_its_registration_leaves_one_owner(store):
    """It overwrites the registration of its successor, which ends; Ray starts a third, and that is the owner."""
    await ensure_ring(store, HOSTS)
    first, second = Process(store, OWNER), Process(store, OWNER)
    writing = Record(RecordKind.RING, f"host:{OWNER}", {"number": 1, "nonce": first.ownership._nonce}, seq=1)
    first.ownership._registered = True
    await second.ownership.claim(SCOPE)
    await store.perform(SYSTEM, WriteRecords((writing,)))
    with pytest.raises(NotOwner):
        await second.ownership.claim(SCOPE)
    third = Process(store, OWNER)
    await third.ownership.claim(SCOPE)
    with pytest.raises(NotOwner):
        await first.ownership.claim(SCOPE)
    assert (first.ended, second.ended, third.ended) == (True, True, False)
    found = await store.perform(SYSTEM, GetRecords(RecordKind.RING, (f"host:{OWNER}",)))
    assert found[f"host:{OWNER}"].body["number"] == 2


@in_loop
async def test_an_owner_that_lost_its_bank_writes_nothing_and_does_not_take_it_back(store):
    """It is refused by the epoch first, then by the ring; the one that has the bank is not disturbed."""
    await ensure_ring(store, HOSTS)
    old, new = Process(store, OWNER), Process(store, OTHER)
    await old.bank.perform(put("one", "written by the owner"))
    await move(store, SCOPE, OTHER, 2)
    await new.bank.perform(put("two", "written by the next owner"))
    with pytest.raises(StaleEpoch):
        await old.bank.perform(put("three", "written too late"))
    for op in ("three", "four"):
        with pytest.raises(NotOwner):
            await old.bank.perform(put(op, "written too late"))
    assert (await store.perform(SCOPE, ReadHead())).epoch == 2
    state = read_bank(store.engine, SCOPE)
    assert state.texts == {"d": "written by the next owner"}
    assert state.operations == {"one", "two"}
    assert not old.ended
