"""Consolidation: crashes at every call of the real Bank over a reference store; facts and deletes in any order."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.commands import Command, DeleteDocument, Item, Message, Retain
from memory.consolidating.commands import ClearObservations, Consolidate, EndBatch, TakeBatch
from memory.consolidating.plans import UNCONSOLIDATED
from memory.errors import Unavailable
from memory.store_calls import GetUnits, InsertUnits, ReadHead, SetLive, SwapHead, WriteRecords
from storage.reference_store import ReferenceStore
from tests.support.bank_process import BankProcess, activate, perform_all
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM
from tests.support.clocks import START
from tests.support.consolidating import ConsolidatingOwner, by_ana
from tests.support.loops import in_loop

TEXTS = (
    "I live in Oslo.",
    "I live in Oslo, Norway.",
    "I live in Oslo with my dog.",
    "I love jazz.",
    "I love jazz so much.",
    "I moved to Rome.",
    "I work as a vet.",
)


async def prepared(*texts: str) -> ConsolidatingOwner:
    owner = ConsolidatingOwner(ReferenceStore(DIM))
    for number, text in enumerate(texts):
        await owner.tell(by_ana(text), document_id=f"d{number}", op=f"op{number}")
    return owner


def ports(owner: ConsolidatingOwner) -> dict[str, Any]:
    made = owner.bank._ports
    return {"consolidation": made.consolidation, "inherited": made.inherited, "policy": made.policy}


async def ending(owner: ConsolidatingOwner) -> Command:
    """The command by which the bank applies what comes of its next batch."""
    batch = await owner.bank.perform(TakeBatch("take", 100))
    edits = await owner.rules.decide(owner.scope, batch)
    new = await owner.bank.consolidations._embedded([put.unit for put in edits.puts])
    return EndBatch("end", batch, edits, new)


WHAT = ("first", "refine", "delete", "replace", "ask", "clear")


async def case(what: str) -> tuple[ConsolidatingOwner, Command]:
    owner = await prepared(*TEXTS[:2], TEXTS[3])
    if what == "first":
        return owner, await ending(owner)
    await owner.settle()
    if what == "refine":
        await owner.tell(by_ana(TEXTS[2]), document_id="more", op="more")
        return owner, await ending(owner)
    if what == "delete":
        return owner, DeleteDocument("gone", "d0")
    if what == "replace":
        return owner, Retain("new", (Item(by_ana("I have a cat."), "d0"),))
    return owner, Consolidate("ask") if what == "ask" else ClearObservations("clear")


def seen(owner: ConsolidatingOwner) -> tuple[Any, Any]:
    """Without ids, which differ from bank to bank."""
    state = read_bank(owner.engine, owner.scope)
    live, texts = sorted(text for _, text in state.live), sorted(state.texts.values())
    shown = (live, texts, state.counters, len(state.rederive), len(state.operations))
    return shown, owner.evidence()


def run_some(owner: ConsolidatingOwner, command: Command, calls: int) -> int:
    made = 0
    with BankProcess(owner.scope, "p", [command], **ports(owner)) as process:
        while made < calls and process.step(owner.engine):
            made += 1
    return made


@pytest.mark.parametrize("what", WHAT)
def test_a_crash_at_any_call_leaves_all_of_a_change_or_nothing_and_it_drains_to_the_same(what: str):
    @in_loop
    async def fresh() -> tuple[ConsolidatingOwner, Command]:
        return await case(what)

    @in_loop
    async def drain(owner: ConsolidatingOwner) -> None:
        owner.bank = owner.another("later")
        owner.clock.pass_by(3600)
        await owner.bank.settle()
        await owner.bank.perform(Consolidate(f"drain-{owner.clock.now()}"))
        await owner.bank.stages.rest()
        await owner.bank.consolidations.rest()

    owner, command = fresh()
    old = seen(owner)
    total = run_some(owner, command, 10_000)
    new = seen(owner)
    check_bank(owner.engine, owner.scope)
    drain(owner)
    drained = owner.evidence()
    outcomes = set()
    for calls in range(total):
        owner, command = fresh()
        before = owner.read(ReadHead()).commit
        run_some(owner, command, calls)
        committed = owner.read(ReadHead()).commit > before
        activate(owner.engine, owner.scope, **ports(owner))
        check_bank(owner.engine, owner.scope)
        if what != "clear":  # one plan for a number of observations, and one that finds nothing left
            assert seen(owner) == (new if committed else old), f"after call {calls} of {total}"
        outcomes.add(committed)
        if not isinstance(command, EndBatch):
            perform_all(owner.engine, owner.scope, [command], "retry", **ports(owner))
        drain(owner)
        check_bank(owner.engine, owner.scope)
        assert owner.evidence() == drained, f"after call {calls} of {total}"
    assert outcomes == {False, True}


def told_at(number: int) -> datetime:
    """Whatever order documents come in, their contents have times of their own."""
    return START + timedelta(days=number)


@st.composite
def histories(draw) -> list[tuple[str, int]]:
    """Documents told, deleted and consolidated, in any order; each document has one text."""
    order = draw(st.permutations(range(len(TEXTS))))
    steps: list[tuple[str, int]] = []
    for number in order:
        steps.append(("tell", number))
        if draw(st.booleans()):
            steps.append(("settle", 0))
        if draw(st.integers(0, 3)) == 0:
            steps.append(("delete", draw(st.sampled_from(order[: order.index(number) + 1]))))
    return steps


async def lived(steps: Sequence[tuple[str, int]], facts: int) -> ConsolidatingOwner:
    owner = ConsolidatingOwner(ReferenceStore(DIM), facts=facts)
    gone: set[int] = set()
    for count, (what, number) in enumerate(steps):
        if what == "tell":
            said = by_ana(TEXTS[number])
            await owner.tell(said, document_id=f"d{number}", op=f"tell{count}", timestamp=told_at(number))
        elif what == "settle":
            await owner.settle()
        elif number not in gone:
            gone.add(number)
            await owner.bank.perform(DeleteDocument(f"gone{count}", f"d{number}"))
    await owner.settle()
    return owner


@settings(max_examples=25, deadline=None)
@given(steps=histories(), facts=st.sampled_from([1, 2, 256]))
def test_any_order_of_facts_and_deletes_gives_what_the_rest_gives_at_once(steps, facts):
    @in_loop
    async def run() -> None:
        owner = await lived(steps, facts)
        gone = {number for what, number in steps if what == "delete"}
        rest = [("tell", number) for what, number in steps if what == "tell" and number not in gone]
        at_once = await lived(rest, 256)
        assert owner.evidence() == at_once.evidence()
        assert owner.queue() == []
        live = owner.units()
        ids = {unit.id for unit in live.values()}
        for unit in owner.observations().values():
            assert {source.unit_id for source in unit.sources} <= ids
            assert unit.proof_count == len(unit.sources)
        before, commit = owner.observations(), owner.read(ReadHead()).commit
        owner.bank.consolidations.wake()
        await owner.bank.consolidations.rest()
        assert (owner.observations(), owner.read(ReadHead()).commit) == (before, commit)
        check_bank(owner.engine, owner.scope)

    run()


@in_loop
async def test_a_consolidation_that_is_cut_off_ten_times_ends_as_an_undisturbed_one():
    people = ("Ana", "Ben", "Cleo", "Dan")
    told = [(name, f"I live in {city}.") for name in people for city in ("Oslo", "Oslo, Norway", "Oslo with a cat")]

    async def owner_of(facts: int) -> ConsolidatingOwner:
        owner = ConsolidatingOwner(ReferenceStore(DIM), facts=facts)
        for number, (name, text) in enumerate(told):
            said = (Message(text, role="user", name=name),)
            await owner.tell(said, document_id=f"d{number}", op=f"op{number}", timestamp=told_at(number))
        return owner

    calm = await owner_of(256)
    await calm.settle()
    cut = await owner_of(1)
    for number in range(10):
        call = (SwapHead, InsertUnits, WriteRecords, GetUnits, SetLive)[number % 5]
        cut.engine.arm(call, "after" if number % 2 else "before", Unavailable("gone"), nth=2)
        with suppress(Unavailable):
            await cut.settle()
        await cut.bank.consolidations.rest()
        cut.engine.disarm()
        cut.bank = cut.another(f"owner-{number}")
    await cut.settle()
    assert cut.evidence() == calm.evidence()
    assert len(calm.evidence()) == len(people)
    assert UNCONSOLIDATED not in cut.read(ReadHead()).counters
    check_bank(cut.engine, cut.scope)
