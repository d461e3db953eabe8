"""What ages is let go: removed records, history, everything of a deleted bank but the head, over every engine."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from memory import sweeping
from memory.audit_calls import ScanRecords, ScanUnits
from memory.commands import DeleteBank, DeleteDocument, Item, Message, Retain, UpdateBank
from memory.ids import Scope
from memory.leftovers import FindLeftovers
from memory.records import Head, RecordKind
from memory.store_calls import ListRecords, ReadHead
from memory.upkeep_calls import SweepRemoved
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.bank_process import BankProcess, activate, look_after, perform_all
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM, fresh_scope
from tests.support.clocks import START, FakeClock
from tests.support.deriving import Derive, Fact
from tests.support.volatile_store import VolatileStore

HOUR = timedelta(hours=1)
LONG_AFTER = START + 2 * HOUR


def retained(op: str, document_id: str, *texts: str) -> Retain:
    return Retain(op, (Item(tuple(Message(text, role="user", name="Ann") for text in texts), document_id),))


LIFE: tuple[Any, ...] = (
    retained("r1", "kept letter", "one", "two"),
    retained("r2", "secret letter", "three"),
    retained("r3", "secret letter", "four"),
    Derive("f1", (Fact("of both", ("two", "four")), Fact("of that", ("of both",)))),
    DeleteDocument("d1", "secret letter"),
    UpdateBank("u1", {"mission": "secret"}),
)


def records(engine: Any, scope: Scope) -> list[dict[str, Any]]:
    """Every record as it is stored, by kind and key."""
    found = [dict(payload) for _, payload in engine.call(scope, ScanRecords(None, 1000)).points]
    return sorted(found, key=lambda payload: (payload["kind"], payload["key"]))


def tombstones(engine: Any, scope: Scope) -> list[str]:
    return [payload["key"] for payload in records(engine, scope) if payload["status"] == "removed"]


def head(engine: Any, scope: Scope) -> Head:
    return engine.call(scope, ReadHead())


def due(engine: Any, scope: Scope, at: datetime) -> bool:
    return scope in engine.list_due(at, 10_000)


def sweep(engine: Any, scope: Scope, at: datetime = LONG_AFTER) -> None:
    """What a host does that finds the bank due."""
    look_after(engine, scope, f"sweeper-{at}", clock=FakeClock(at))


def test_nothing_but_the_head_is_left_of_a_deleted_bank_after_the_sweep(engine):
    scope = fresh_scope()
    perform_all(engine, scope, [*LIFE, DeleteBank("b1")])
    engine.flush()
    assert due(engine, scope, LONG_AFTER), "a host finds it"
    left = run(engine, scope, FindLeftovers())
    assert (left.content, left.emptied > 0, left.history > 0, left.exists) == (False, True, True, False)
    sweep(engine, scope)
    assert run(engine, scope, FindLeftovers()).nothing
    assert engine.call(scope, ScanUnits(None, 1000)).points == ()
    (last,) = records(engine, scope)
    assert (last["kind"], last["status"]) == ("head", "deleted")
    assert "letter" not in repr(last)
    assert "secret" not in repr(last)
    tombstone = head(engine, scope)
    assert (tombstone.deleted, tombstone.commits, tombstone.due_at) == (True, {}, None)
    check_bank(engine, scope)
    perform_all(engine, scope, [retained("r9", "kept letter", "again")], "later")
    made = head(engine, scope)
    assert (made.commit, made.epoch > tombstone.epoch, made.seq > tombstone.seq) == (tombstone.commit + 1, True, True)
    check_bank(engine, scope)


def test_a_removed_record_stays_until_no_former_owner_can_write_it(engine):
    scope = fresh_scope()
    perform_all(engine, scope, LIFE)
    assert tombstones(engine, scope) == ["secret letter"]
    assert not due(engine, scope, START + HOUR)
    sweep(engine, scope, START + HOUR - timedelta(minutes=1))
    assert tombstones(engine, scope) == ["secret letter"]
    before = read_bank(engine, scope)
    sweep(engine, scope)
    assert tombstones(engine, scope) == []
    assert head(engine, scope).due_at is None
    assert read_bank(engine, scope) == before
    check_bank(engine, scope)


@pytest.fixture
def store() -> ReferenceStore:
    return ReferenceStore(DIM)


SCOPE = Scope("t", "b")


def test_many_removed_records_are_swept_in_slices(store, monkeypatch):
    monkeypatch.setattr(sweeping, "SWEPT_RECORDS", 2)
    made = [retained(f"r{n}", f"d{n}", "text") for n in range(5)]
    perform_all(store, SCOPE, [*made, *(DeleteDocument(f"d{n}", f"d{n}") for n in range(5))])
    sizes = []

    class Counting(ReferenceStore):
        def call(self, scope, call):
            answer = store.call(scope, call)
            if isinstance(call, SweepRemoved):
                sizes.append(answer.removed)
            return answer

    sweep(Counting(DIM), SCOPE)
    assert sizes == [2, 2, 1]
    assert tombstones(store, SCOPE) == []


def test_what_is_removed_later_makes_the_bank_due_once_more(store):
    perform_all(store, SCOPE, LIFE)
    perform_all(store, SCOPE, [DeleteDocument("d2", "kept letter")], "b", clock=FakeClock(START + HOUR / 2))
    first = head(store, SCOPE).due_at
    assert first < START + HOUR + timedelta(minutes=1), "the first removal says when"
    sweep(store, SCOPE, first)
    assert tombstones(store, SCOPE) == ["kept letter"]
    second = head(store, SCOPE).due_at
    assert first + HOUR <= second < first + HOUR + timedelta(minutes=1)
    check_bank(store, SCOPE)
    sweep(store, SCOPE, second)
    assert tombstones(store, SCOPE) == []
    check_bank(store, SCOPE)


def test_a_document_made_anew_is_not_swept(store):
    perform_all(store, SCOPE, [*LIFE, retained("r4", "secret letter", "five")])
    sweep(store, SCOPE)
    assert read_bank(store, SCOPE).texts["secret letter"] == "five"
    check_bank(store, SCOPE)


def test_an_owner_that_is_due_sweeps_and_goes_on(store):
    perform_all(store, SCOPE, LIFE)
    clock = FakeClock(START)
    bank = activate(store, SCOPE, "owner", clock=clock)
    owned = head(store, SCOPE)
    asyncio.run(bank.settle())
    assert head(store, SCOPE) == owned, "nothing is due"
    clock._next = LONG_AFTER
    asyncio.run(bank.settle())
    assert tombstones(store, SCOPE) == []
    asyncio.run(bank.perform(retained("r4", "other", "six")))
    check_bank(store, SCOPE)


@pytest.mark.parametrize(
    ("life", "next_one"),
    [(LIFE, UpdateBank("u2", {})), ((*LIFE, DeleteBank("b1")), DeleteBank("b2"))],
    ids=["a bank", "a deleted bank"],
)
def test_a_sweep_that_is_killed_anywhere_is_done_again(life, next_one):
    def steps(store: ReferenceStore, most: int) -> int:
        with BankProcess(SCOPE, "p", [next_one], clock=FakeClock(LONG_AFTER)) as process:
            done = 0
            while done < most and process.step(store):
                done += 1
            return done

    def made() -> ReferenceStore:
        store = ReferenceStore(DIM)
        perform_all(store, SCOPE, life)
        return store

    for calls in range(steps(made(), 1000) + 1):
        store = made()
        steps(store, calls)
        assert tombstones(store, SCOPE) == [] or due(store, SCOPE, LONG_AFTER + 2 * HOUR), calls
        for later in (2, 4):  # a plan that was only prepared is removed by the first and swept by the second
            sweep(store, SCOPE, LONG_AFTER + later * HOUR)
        assert tombstones(store, SCOPE) == [], calls
        check_bank(store, SCOPE)


def test_a_deleted_bank_keeps_its_last_commit_until_the_removal_of_its_units_is_on_disk():
    store = VolatileStore(DIM)
    perform_all(store, SCOPE, LIFE)
    store.flush()
    perform_all(store, SCOPE, [DeleteBank("b1")], "b")
    sweep(store, SCOPE)
    assert head(store, SCOPE).due_at > LONG_AFTER
    store.lose_units(SCOPE)
    sweep(store, SCOPE, LONG_AFTER + HOUR)
    assert store.call(SCOPE, ScanUnits(None, 10)).points == (), "what the power loss brought back is gone again"
    store.flush()
    sweep(store, SCOPE, LONG_AFTER + 3 * HOUR)
    assert len(records(store, SCOPE)) == 1


def test_history_is_let_go_by_age_but_for_the_last_commit(store):
    perform_all(store, SCOPE, LIFE[:4])
    late = FakeClock(START + timedelta(days=20))
    perform_all(store, SCOPE, LIFE[4:], "b", clock=late)
    assert numbers(store) == [6, 5, 4, 3, 2, 1]
    sweep(store, SCOPE, START + timedelta(days=31))
    assert numbers(store) == [7, 6, 5], "that nothing is due any more is a commit too"
    sweep(store, SCOPE, START + timedelta(days=99))
    assert numbers(store) == [7]
    check_bank(store, SCOPE)


def test_history_is_bounded_by_number_and_an_audit_agrees(store):
    commands = [UpdateBank(f"u{n}", {"n": n}) for n in range(2 * sweeping.HISTORY_COMMITS + 10)]
    perform_all(store, SCOPE, commands)
    assert sweeping.HISTORY_COMMITS <= len(numbers(store)) <= 2 * sweeping.HISTORY_COMMITS
    check_bank(store, SCOPE)
    sweep(store, SCOPE, START + HOUR)
    assert len(numbers(store)) == sweeping.HISTORY_COMMITS
    check_bank(store, SCOPE)


def numbers(store: ReferenceStore) -> list[int]:
    return [record.order for record in store.call(SCOPE, ListRecords(RecordKind.COMMIT, 1000)).records]
