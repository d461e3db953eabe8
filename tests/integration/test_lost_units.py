"""Power losses that take units at every call: what was committed comes back from its text, and nothing else does."""

import pytest
from qdrant_edge import ScrollRequest

from memory.commands import Command, DeleteBank, DeleteDocument, Item, Message, Retain, UpdateBank
from memory.healing import Reopen
from memory.ids import Scope
from memory.plans import WHOLE
from memory.records import RecordKind
from memory.store_calls import ListRecords, ReadHead
from storage.edge_store import EdgeStore
from storage.run import run
from tests.support.bank_process import BankProcess, activate, perform_all
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM
from tests.support.volatile_store import HastyStore, VolatileStore

SCOPE = Scope("t", "b")


def turns(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(text, role="user", name="Ann") for text in texts)


HISTORY: tuple[Command, ...] = (
    Retain("h1", (Item(turns("one", "two", "three", "four"), "d"), Item(turns("other"), "e"))),
    Retain("h2", (Item(turns("two", "one", "new"), "d"),)),
    UpdateBank("h3", {"mission": "m"}),
)
COMMANDS: dict[str, Command] = {
    "retain": Retain("op", (Item(turns("new", "same", "same"), "f"),)),
    "replace": Retain("op", (Item(turns("three", "one", "five", "two"), "d"),)),
    "append": Retain("op", (Item(turns("five", "one"), "d", update_mode="append"),)),
    "delete document": DeleteDocument("op", "d"),
    "delete bank": DeleteBank("op"),
    "update bank": UpdateBank("op", {"mission": "n"}),
}


def stored(flushed_commands: int, make=VolatileStore) -> VolatileStore:
    """The history in a store that was flushed after some of its commands."""
    store = make(DIM)
    for number, command in enumerate(HISTORY):
        if number == flushed_commands:
            store.flush()
        perform_all(store, SCOPE, [command], f"h{number}")
    return store


def whole(store: VolatileStore) -> int:
    return store.call(SCOPE, ListRecords(RecordKind.COMMIT, 100, status=WHOLE)).total


def crashed(store: VolatileStore, command: Command, calls: int, flush_at: int) -> None:
    """Run the command's owner for some calls, with a flush before one of them, and never again."""
    with BankProcess(SCOPE, "p", [command]) as process:
        for call in range(calls):
            if call == flush_at:
                store.flush()
            process.step(store)


def expected(command: Command) -> tuple[object, object, int]:
    """The bank before and after the command, and the number of its calls."""
    store = stored(0)
    old = read_bank(store, SCOPE)
    calls = 0
    with BankProcess(SCOPE, "p", [command]) as process:
        while process.step(store):
            calls += 1
    return old, read_bank(store, SCOPE), calls


@pytest.mark.parametrize("name", COMMANDS)
def test_units_lost_at_any_call_come_back_from_the_text_of_what_was_committed(name: str):
    command = COMMANDS[name]
    old, new, total = expected(command)
    healed = 0
    for flushed_commands in range(len(HISTORY)):
        for calls in range(total + 1):
            for flush_at in {calls, calls - 1, calls // 2, total + 1}:
                store = stored(flushed_commands)
                before = store.call(SCOPE, ReadHead()).commit
                crashed(store, command, calls, flush_at)
                committed = store.call(SCOPE, ReadHead()).commit > before
                store.lose_units(SCOPE)
                activate(store, SCOPE)
                check_bank(store, SCOPE)
                where = f"{flushed_commands} commands flushed, flush before call {flush_at} of {calls}"
                assert read_bank(store, SCOPE) == (new if committed else old), where
                perform_all(store, SCOPE, [command], "retry")
                check_bank(store, SCOPE)
                assert read_bank(store, SCOPE) == new, where
                healed += 1
    assert healed > 50


@pytest.mark.parametrize("name", COMMANDS)
def test_units_lost_again_during_the_recovery_come_back_too(name: str):
    command = COMMANDS[name]
    _, new, total = expected(command)
    for second in range(0, total + 30, 3):
        store = stored(0)
        crashed(store, command, total, total + 1)
        store.lose_units(SCOPE)
        crashed(store, UpdateBank("later", {}), second, second // 2)
        store.lose_units(SCOPE)
        activate(store, SCOPE)
        check_bank(store, SCOPE)
        found = read_bank(store, SCOPE)
        if name == "delete bank" and found.exists:  # the update made the bank anew
            assert not found.live
        else:
            assert found == new, second


def test_a_store_that_forgets_too_early_is_found_out():
    store = stored(0, HastyStore)
    crashed(store, COMMANDS["retain"], 100, 1000)
    store.lose_units(SCOPE)
    activate(store, SCOPE)
    with pytest.raises((AssertionError, KeyError)):
        check_bank(store, SCOPE)


def test_texts_stay_until_units_are_durable_and_no_longer():
    store = stored(len(HISTORY))
    assert whole(store) == len(HISTORY)
    assert "three" in store.texts()
    store.flush()
    assert whole(store) == 0
    assert "three" not in store.texts()


@pytest.mark.parametrize("name", ["replace", "delete document", "delete bank"])
def test_what_a_plan_removes_is_in_no_record_after_the_next_flush(name: str):
    """Whatever was flushed before, wherever an owner died, whoever recovered the bank."""
    command = COMMANDS[name]
    _, _, total = expected(command)
    gone = "new"
    for calls in range(total + 1):
        store = stored(1)
        crashed(store, Retain("never", (Item(turns("new", "one"), "d"),)), calls, total + 1)
        assert f'"{gone}"' in store.texts()
        perform_all(store, SCOPE, [command], "next")
        store.flush()
        assert f'"{gone}"' not in store.texts(), calls


def test_a_bank_that_lost_nothing_is_handed_on_to_let_go_of_its_texts():
    store = stored(len(HISTORY))
    before = read_bank(store, SCOPE)
    store._queue.clear()  # the process died
    head = store.call(SCOPE, ReadHead())
    assert run(store, SCOPE, Reopen("n", units_lost=False)) == ()
    reopened = store.call(SCOPE, ReadHead())
    assert (reopened.epoch, reopened.settled) == (head.epoch + 1, head.settled)
    assert reopened.due_at is not None
    activate(store, SCOPE)
    store.flush()
    assert whole(store) == 0
    assert read_bank(store, SCOPE) == before


@pytest.mark.parametrize("command", [DeleteDocument("del", "d"), DeleteBank("del")])
def test_the_embedded_store_keeps_no_text_of_what_was_deleted_past_the_flush(tmp_path, command: Command):
    def records() -> str:
        found, _ = store._records.scroll(ScrollRequest(limit=1000, with_payload=True))
        return repr([record.payload for record in found])

    store = EdgeStore(tmp_path, DIM)
    perform_all(store, SCOPE, [Retain("r", (Item(turns("the secret word"), "d"),))], "a")
    assert "secret" in records()
    perform_all(store, SCOPE, [command], "b")
    store.flush()
    assert "secret" not in records()
    store.close()
