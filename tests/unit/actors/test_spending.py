"""The day's spending is in the store: a process that takes over goes on from it, on the same day only."""

from datetime import date, timedelta

import pytest

from actors.spending import KEY, SpendingKeeper
from memory.errors import Unavailable
from memory.ids import SYSTEM
from memory.records import RecordKind
from memory.spending import Caps, Ledger
from memory.store_calls import GetRecords, WriteRecords
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.local_store import FaultyEngine, LocalStore
from tests.support.loops import in_loop

TODAY = date(2024, 5, 8)


@pytest.fixture
def engine() -> FaultyEngine:
    return FaultyEngine(ReferenceStore(DIM))


@pytest.fixture
def store(engine) -> LocalStore:
    return LocalStore(engine)


class Process:
    """One process with a ledger of its own."""

    def __init__(self, store: LocalStore, day: date = TODAY) -> None:
        self.ledger = Ledger(Caps(bank_tokens=100), day)
        self.keeper = SpendingKeeper(store, self.ledger, lambda: day)

    def spend(self, tokens: int, bank: str = "bank") -> None:
        self.ledger.spend("tenant", bank, tokens)


def writes(store: LocalStore) -> int:
    return sum(isinstance(request, WriteRecords) for request in store.requests)


@in_loop
async def test_the_next_process_goes_on_from_what_was_spent(store):
    first = Process(store)
    await first.keeper.keep()
    first.spend(60)
    first.spend(7, "other")
    await first.keeper.keep()
    second = Process(store)
    assert not second.keeper.read.is_set()
    await second.keeper.keep()
    assert second.keeper.read.is_set()
    assert second.ledger.spent == first.ledger.spent
    assert second.ledger.refusal("tenant", "bank", 41)
    second.spend(30)
    await second.keeper.keep()
    third = Process(store)
    await third.keeper.keep()
    assert third.ledger.spent["tenant", "bank"] == 90


@in_loop
async def test_what_was_spent_before_the_reading_counts_too(store):
    first = Process(store)
    await first.keeper.keep()
    first.spend(60)
    await first.keeper.keep()
    second = Process(store)
    second.spend(30)
    await second.keeper.keep()
    assert second.ledger.spent["tenant", "bank"] == second.ledger.spent["tenant", None] == 90


@in_loop
async def test_another_day_begins_with_nothing(store):
    first = Process(store)
    await first.keeper.keep()
    first.spend(60)
    await first.keeper.keep()
    second = Process(store, TODAY + timedelta(days=1))
    await second.keeper.keep()
    assert not second.ledger.spent
    second.spend(5)
    await second.keeper.keep()
    body = (await store.perform(SYSTEM, GetRecords(RecordKind.SPENDING, (KEY,))))[KEY].body
    assert body == {"day": "2024-05-09", "spent": [["tenant", "bank", 5]]}


@in_loop
async def test_nothing_new_is_not_written(store):
    process = Process(store)
    await process.keeper.keep()
    process.spend(1)
    await process.keeper.keep()
    await process.keeper.keep()
    assert writes(store) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@in_loop
async def test_a_write_that_failed_is_made_again(store, engine, when):
    process = Process(store)
    await process.keeper.keep()
    process.spend(60)
    engine.arm(WriteRecords, when, Unavailable("away"))
    with pytest.raises(Unavailable):
        await process.keeper.keep()
    process.spend(1)
    await process.keeper.keep()
    later = Process(store)
    await later.keeper.keep()
    assert later.ledger.spent["tenant", "bank"] == 61
