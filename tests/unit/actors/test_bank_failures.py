"""The Bank over the real embedded store, when the store fails before or after a call took effect."""

import pytest

from memory.commands import DeleteBank, UpdateBank
from memory.errors import Unavailable
from memory.store_calls import (
    ClearBank,
    CreateHead,
    FindLive,
    ForgetText,
    GetDense,
    GetRecords,
    InsertUnits,
    ReadHead,
    RetireUnits,
    SetLive,
    SwapHead,
    SweepPending,
    TrimCommits,
    WriteRecords,
)
from tests.support.bank_owner import Owner, user
from tests.support.bank_process import embed
from tests.support.bank_state import read_bank
from tests.support.builders import dense, retain
from tests.support.loops import idle, in_loop

EXECUTED = [
    *((kind, 1) for kind in (InsertUnits, WriteRecords, SwapHead, SetLive, FindLive, RetireUnits, ForgetText)),
    *((kind, 2) for kind in (WriteRecords, SwapHead)),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("call", "nth"), EXECUTED, ids=lambda part: getattr(part, "__name__", str(part)))
def test_a_store_that_fails_in_the_middle_loses_and_doubles_nothing(edge, call, nth, when):
    @in_loop
    async def run():
        owner = Owner(edge)
        await owner.retain(user("one", "two"))
        owner.engine.arm(call, when, Unavailable("store is restarting"), nth=nth)
        command = retain(user("two", "three"), op="op-2")
        with pytest.raises(Unavailable):
            await owner.bank.perform(command)
        await owner.retain(user("other"), op="op-3", document_id="e")
        owner.check()
        assert owner.text() in ("one\ntwo", "two\nthree")
        again = await owner.bank.perform(command)
        assert owner.text() == "two\nthree"
        assert again.documents[0].version == 2
        assert read_bank(owner.engine, owner.scope).operations == {"op", "op-2", "op-3"}
        owner.check()

    run()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "call", [ReadHead, CreateHead, SwapHead, SweepPending, TrimCommits, GetRecords], ids=lambda kind: kind.__name__
)
def test_a_store_that_fails_during_activation_is_asked_again_by_the_next_command(edge, call, when):
    @in_loop
    async def run():
        owner = Owner(edge)
        owner.engine.arm(call, when, Unavailable("store is restarting"))
        with pytest.raises(Unavailable):
            await owner.retain(user("one"))
        await owner.retain(user("one"))
        owner.check()
        assert owner.text() == "one"

    run()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delete_of_the_bank_that_fails_half_way_is_completed(edge, when):
    @in_loop
    async def run():
        owner = Owner(edge)
        await owner.retain(user("one", "two"))
        owner.engine.arm(ClearBank, when, Unavailable("store is restarting"))
        with pytest.raises(Unavailable):
            await owner.bank.perform(DeleteBank("del"))
        await owner.retain(user("new"), op="op-2", document_id="e")
        owner.check()
        assert set(owner.units()) == {"new"}

    run()


@in_loop
async def test_recovery_embeds_again_units_that_are_missing(owner):
    """The commit record has their texts and no vectors."""
    await owner.retain(user("one"))
    owner.engine.arm(SetLive, "before", Unavailable("store is restarting"))
    with pytest.raises(Unavailable):
        await owner.retain(user("one", "two", "Ann: three"), op="op-2")
    owner.read(SweepPending(10**6))
    owner.embedded.clear()
    await owner.bank.perform(UpdateBank("u", {}))
    assert owner.embedded == ["two", "Ann: three"]
    assert owner.text() == "one\ntwo\nAnn: three"
    unit = owner.units()["two"]
    assert owner.read(GetDense((unit.id,)))[unit.id] == pytest.approx(dense("two"), abs=1e-6)
    assert "two" in owner.recall("two")
    owner.check()


@in_loop
async def test_settling_applies_what_was_committed_without_a_command(owner):
    await owner.retain(user("one"))
    owner.engine.arm(SetLive, "before", Unavailable("store is restarting"))
    with pytest.raises(Unavailable):
        await owner.retain(user("two"), op="op-2")
    await owner.bank.settle()
    owner.check()
    assert owner.text() == "two"
    epoch = owner.read(ReadHead()).epoch
    await owner.bank.settle()
    assert owner.read(ReadHead()).epoch == epoch
    await idle()
    assert owner.bank.idle


@in_loop
async def test_recovery_embeds_until_nothing_is_missing(edge):
    """A former owner may take more away while the missing units are being embedded."""
    owner = Owner(edge)
    await owner.retain(user("one"))
    owner.engine.arm(SetLive, "before", Unavailable("store is restarting"))
    with pytest.raises(Unavailable):
        await owner.retain(user("one", "two", "three"), op="op-2")
    (two, three) = (new.unit.id for new in _prepared_units(owner))
    owner.read(RetireUnits((two,), 10**6, 10**6))

    async def takes_another_away(texts):
        if list(texts) == ["two"]:
            owner.read(RetireUnits((three,), 10**6, 10**6))
        return await embed(texts)

    owner.embedder = takes_another_away
    await owner.bank.perform(UpdateBank("u", {}))
    owner.check()
    assert owner.text() == "one\ntwo\nthree"


def _prepared_units(owner: Owner):
    """The units of the last plan that was prepared."""
    (execute, *_) = [request for request in owner.store.requests[::-1] if hasattr(request, "plan")]
    return execute.plan.add
