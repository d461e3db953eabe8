"""What banks do by themselves: operations are swept past their time, in slices; events are kept as long as commits."""

import pytest

from actors import due_work
from memory import sweeping
from memory.commands import DeleteBank, DeleteDocument
from memory.errors import Unavailable
from memory.events import ReadEvents
from memory.policy import BankPolicy
from memory.records import RecordKind
from memory.store_calls import ListRecords, ReadHead, SetLive, SwapHead
from storage.run import run
from tests.support.bank_owner import Owner, user
from tests.support.builders import retain
from tests.support.loops import in_loop

DAY_S = 86_400.0


@pytest.fixture
def keeper(edge) -> Owner:
    """A bank that keeps operations for a day."""
    return Owner(edge, policy=BankPolicy(operation_retention_s=DAY_S))


def operations(owner: Owner) -> set[str]:
    return {record.key for record in owner.read(ListRecords(RecordKind.OPERATION, 100)).records}


@in_loop
async def test_operations_are_swept_a_slice_at_a_time_until_none_is_past_its_time(keeper, monkeypatch):
    monkeypatch.setattr(due_work, "SWEPT_OPERATIONS", 2)
    for number in range(5):
        await keeper.retain(user(f"text {number}"), op=f"op-{number}")
    assert (await keeper.retain(user("text 4"), op="op-4")).replayed
    await keeper.bank.settle()
    assert len(operations(keeper)) == 5, "the bank is not due yet"
    keeper.clock.pass_by(DAY_S)
    await keeper.retain(user("young"), op="young")
    left = []
    for _ in range(3):
        await keeper.another("q").settle()
        left.append(len(operations(keeper)))
    assert left == [4, 2, 1]
    assert operations(keeper) == {"young"}
    due = keeper.read(ReadHead()).due_at
    assert due is not None
    assert due > keeper.clock.now()
    keeper.clock.pass_by(2 * DAY_S)
    await keeper.another("r").settle()
    assert operations(keeper) == set()
    keeper.clock.pass_by(DAY_S)  # what was removed refuses late writes for a while
    await keeper.another("s").settle()
    assert keeper.read(ReadHead()).due_at is None
    assert keeper.text() == "young", "what the operations did stays"
    keeper.check()


@in_loop
async def test_a_host_that_starts_takes_only_banks_that_readers_would_notice(keeper):
    await keeper.retain(user("one"))
    keeper.clock.pass_by(2 * DAY_S)
    epoch = keeper.read(ReadHead()).epoch
    await keeper.another("q").settle(work=False)
    assert keeper.read(ReadHead()).epoch == epoch
    assert operations(keeper) == {"op"}
    keeper.engine.arm(SetLive, "before", Unavailable("gone"))
    with pytest.raises(Unavailable):
        await keeper.retain(user("two"), op="op-2")
    keeper.engine.disarm()
    await keeper.another("r").settle(work=False)
    head = keeper.read(ReadHead())
    assert (head.settled, keeper.text()) == (head.commit, "two")
    keeper.check()


@in_loop
async def test_a_bank_that_its_owner_knows_is_not_taken_anew_for_what_is_due_until_something_is_to_be_swept(edge):
    owner = Owner(edge, policy=BankPolicy(operation_retention_s=600.0))
    await owner.retain(user("one"))
    await owner.bank.perform(DeleteDocument("d", "d"))  # its tombstones are to be swept in an hour
    epoch = owner.read(ReadHead()).epoch
    owner.clock.pass_by(700.0)
    await owner.bank.settle()
    assert operations(owner) == set(), "what was due was done"
    assert owner.read(ReadHead()).epoch == epoch
    owner.clock.pass_by(DAY_S)
    await owner.bank.settle()
    assert owner.read(ReadHead()).epoch == epoch + 1
    owner.check()


@in_loop
async def test_events_tell_what_happened_in_order_and_where_to_go_on(owner):
    await owner.retain(user("one"))
    await owner.bank.perform(DeleteDocument("d", "d"))
    first = run(owner.engine, owner.scope, ReadEvents())
    assert [(event.type, event.operation_id) for _, event in first.events] == [
        ("retain.completed", "op"),
        ("document.deleted", "d"),
    ]
    assert (first.last, first.missed) == (2, False)
    assert run(owner.engine, owner.scope, ReadEvents(first.last)).events == ()
    assert len(run(owner.engine, owner.scope, ReadEvents(0, 1)).events) == 1
    await owner.bank.perform(DeleteBank("b"))
    after = run(owner.engine, owner.scope, ReadEvents(first.last))
    assert [event.type for _, event in after.events] == ["bank.deleted"]
    assert after.last == 3


@in_loop
async def test_a_plan_that_never_committed_tells_nothing(owner):
    await owner.retain(user("one"))
    owner.engine.arm(SwapHead, "before", Unavailable("gone"))
    with pytest.raises(Unavailable):
        await owner.retain(user("two"), op="op-2")
    owner.engine.disarm()
    assert owner.read(ListRecords(RecordKind.COMMIT, 10)).total == 2
    assert len(run(owner.engine, owner.scope, ReadEvents()).events) == 1
    await owner.another("q").perform(retain(user("three"), op="op-3"))
    told = run(owner.engine, owner.scope, ReadEvents())
    assert [event.operation_id for _, event in told.events] == ["op", "op-3"]


@in_loop
async def test_a_reader_that_comes_late_is_told_that_it_missed_some(keeper, monkeypatch):
    monkeypatch.setattr(sweeping, "HISTORY_COMMITS", 4)
    for number in range(16):
        await keeper.retain(user(f"text {number}"), op=f"op-{number}")
    keeper.engine.flush()
    await keeper.another("q").settle()
    page = run(keeper.engine, keeper.scope, ReadEvents(2))
    assert page.missed
    assert page.events[-1][1].operation_id == "op-15"
    assert not run(keeper.engine, keeper.scope, ReadEvents(page.last - 1)).missed
