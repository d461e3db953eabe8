"""How a bank is taken: once for all who come, again after a failure; and what is remembered of operations."""

import asyncio

import pytest

from actors import bank_ports
from actors.lifecycle import State
from memory.commands import DeleteDocument, Item, RepairBank, Retain, UpdateBank
from memory.errors import Conflict, Overloaded, Unavailable, Unprocessable
from memory.protocol import TakeEpoch
from memory.store_calls import ReadHead
from storage.reference_store import ReferenceStore
from tests.support.bank_owner import Owner, user
from tests.support.bank_process import bank_ports as ports_of
from tests.support.builders import DIM, retain
from tests.support.loops import idle, in_loop


class Gate:
    """A store that holds the first request of a kind back until it is let through, and may fail it then."""

    def __init__(self, store, kind) -> None:
        self._store = store
        self._kind = kind
        self.held = 0
        self.failure: Exception | None = None
        self.open = asyncio.Event()

    async def perform(self, scope, request):
        if isinstance(request, self._kind):
            self.held += 1
            await self.open.wait()
            if self.failure:
                raise self.failure
        return await self._store.perform(scope, request)


@pytest.fixture
def owner():
    return Owner(ReferenceStore(DIM))


def gated(owner: Owner) -> Gate:
    gate = Gate(owner.store, TakeEpoch)
    owner.store = gate
    owner.bank = owner.another("g")
    return gate


@in_loop
async def test_first_uses_at_once_share_one_activation(owner):
    gate = gated(owner)
    asked = [asyncio.ensure_future(owner.retain(user(f"t{n}"), op=f"op-{n}", document_id=f"d{n}")) for n in range(5)]
    await idle()
    assert (gate.held, owner.bank.state) == (1, State.ACTIVATING)
    gate.open.set()
    await asyncio.gather(*asked)
    assert (gate.held, owner.bank.state) == (1, State.ACTIVE)
    assert owner.read(ReadHead()).epoch == 1


@in_loop
async def test_a_failed_activation_reaches_all_who_waited_and_the_next_command_tries_again(owner):
    gate = gated(owner)
    asked = [asyncio.ensure_future(owner.retain(user(f"t{n}"), op=f"op-{n}")) for n in range(5)]
    await idle()
    gate.failure = Unavailable("store is restarting")
    gate.open.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in outcomes] == [Unavailable] * 5
    assert (gate.held, owner.bank.state) == (1, State.FAILED)
    gate.failure = None
    await owner.retain(user("again"))
    assert (gate.held, owner.bank.state) == (2, State.ACTIVE)
    owner.check()


@in_loop
async def test_who_stops_waiting_does_not_stop_the_activation(owner):
    gate = gated(owner)
    leaving, staying = (asyncio.ensure_future(owner.retain(user("t"), op=f"op-{n}")) for n in range(2))
    await idle()
    leaving.cancel()
    await idle()
    gate.open.set()
    assert (await staying).documents[0].version == 1
    assert gate.held == 1


@in_loop
async def test_a_repair_waits_for_an_activation_that_is_under_way_and_takes_the_bank_again(owner):
    gate = gated(owner)
    first = asyncio.ensure_future(owner.retain(user("one")))
    await idle()
    repair = asyncio.ensure_future(owner.bank.perform(RepairBank("r")))
    await idle()
    gate.open.set()
    await asyncio.gather(first, repair)
    assert (gate.held, owner.read(ReadHead()).epoch) == (2, 2)
    owner.check()


@in_loop
async def test_a_command_that_makes_no_sense_takes_no_bank(owner):
    with pytest.raises(Unprocessable):
        await owner.retain(" ")
    assert owner.bank.state is State.ABSENT
    assert owner.read(ReadHead()) is None


@in_loop
async def test_a_passivated_bank_is_never_asked_again(owner):
    await owner.retain(user("one"))
    await idle()
    owner.bank.passivate()
    assert owner.bank.state is State.PASSIVE
    with pytest.raises(ValueError, match="passive"):
        await owner.retain(user("two"), op="op-2")


@in_loop
async def test_bytes_that_wait_are_bounded_before_anything_is_accepted(owner):
    gate = gated(owner)
    large = "x" * 100_000
    owner.bank = type(owner.bank)(owner.scope, ports_of(gate), 64, mailbox_bytes=1_500_000)
    waiting = asyncio.ensure_future(owner.retain(user(large), op="op-1", document_id="a"))
    await idle()
    with pytest.raises(Overloaded, match="MiB of commands of this bank"):
        await owner.retain(user(large), op="op-2", document_id="b")
    small = asyncio.ensure_future(owner.retain(user("small"), op="op-3", document_id="c"))
    await idle()
    gate.open.set()
    await asyncio.gather(waiting, small)
    assert {unit.document_id for unit in owner.units().values()} == {"a", "c"}


@in_loop
async def test_a_large_command_is_worked_on_beside_the_loop(owner, monkeypatch):
    threads: list[str] = []
    real = asyncio.to_thread

    async def noted(work, *args, **kwargs):
        threads.append(getattr(work, "__name__", str(work)))
        return await real(work, *args, **kwargs)

    monkeypatch.setattr(bank_ports.asyncio, "to_thread", noted)
    await owner.retain(user("small"))
    assert threads == []
    await owner.retain(*(user(f"turn {number}") for number in range(100)), op="op-2", document_id="e")
    assert threads == ["draft_documents", "_merge", "count", "plan_retain"]
    owner.check()


# -- operations


@in_loop
async def test_every_command_is_done_once_under_its_operation_id(owner):
    await owner.retain(user("one"))
    update = UpdateBank("u", {"mission": "m"})
    await owner.bank.perform(update)
    await owner.bank.perform(UpdateBank("v", {"mission": "n"}))
    assert (await owner.bank.perform(update)).profile == {"mission": "n"}
    first = await owner.bank.perform(DeleteDocument("del", "d"))
    assert first.units_deleted == 1
    await owner.retain(user("new"), op="op-2")
    other = owner.another()
    assert (await other.perform(DeleteDocument("del", "d"))).units_deleted == 1
    assert (await other.perform(update)).profile == {"mission": "n"}
    assert set(owner.units()) == {"new"}
    owner.check()


COMMANDS = {
    "retain": (retain("one", op="x"), retain("two", op="x", document_id="e")),
    "delete document": (DeleteDocument("x", "d"), DeleteDocument("x", "e")),
    "update": (UpdateBank("x", {"a": 1}), UpdateBank("x", {"a": 2})),
}


@pytest.mark.parametrize(("first", "second"), COMMANDS.values(), ids=COMMANDS)
def test_an_operation_id_belongs_to_one_command(owner, first, second):
    @in_loop
    async def run():
        await owner.bank.perform(Retain("before", (Item("text", document_id="d"), Item("text", document_id="e"))))
        await owner.bank.perform(first)
        for other in (second, *(pair[0] for pair in COMMANDS.values() if type(pair[0]) is not type(first))):
            with pytest.raises(Conflict, match="used for another command"):
                await owner.bank.perform(other)
        await owner.bank.perform(first)
        owner.check()

    run()
