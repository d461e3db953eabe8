"""The write protocol under crashes at every call: the real Bank over every engine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from memory import protocol
from memory.commands import Command, DeleteBank, DeleteDocument, Item, Message, Retain, UpdateBank
from memory.document_reading import ReadDocument
from memory.errors import Unavailable
from memory.ids import Scope
from memory.protocol import SLICE_UNITS
from memory.records import UnitState
from memory.store_calls import GetUnits, ListUnits, ReadHead, SweepPending
from storage.run import run
from tests.support.bank_process import BankProcess, activate, perform_all
from tests.support.bank_state import BankState, check_bank, read_bank
from tests.support.builders import fresh_scope
from tests.support.clocks import START
from tests.support.deriving import Derive, Fact
from tests.support.engines import ENGINES, IN_SEVERAL_UPDATES
from tests.support.server_engine import ServerEngine, local_engine


def turns(*texts: str, name: str = "Ann", role: str = "user") -> tuple[Message, ...]:
    return tuple(Message(text, role=role, name=name) for text in texts)


HISTORY: tuple[Any, ...] = (
    Retain("h1", (Item(turns("one", "two", "three", "four"), "d"), Item(turns("other", name="Bob"), "e"))),
    UpdateBank("h2", {"mission": "m"}),
    Derive(
        "h3",
        (
            Fact("of one", ("one",)),
            Fact("of four and other", ("four", "other")),
            Fact("of facts", ("of one", "of four and other")),
            Fact("old", ("other",), links=("of one", "of facts", "other"), superseded_by="of one"),
        ),
    ),
)
COMMANDS: dict[str, Any] = {
    "retain": Retain("op", (Item(turns("new", "same", "same", name="Zoe"), "f"), Item(turns("x", role="tool"), "g"))),
    "replace": Retain("op", (Item(turns("three", "one", "five", "two", name="Ann"), "d"),)),
    "replace all": Retain("op", (Item(turns("six", name="Bob"), "d"),)),
    "append": Retain("op", (Item(turns("five", "one", name="Zoe"), "d", update_mode="append"),)),
    "the same again": Retain("op", (Item(turns("one", "two", "three", "four"), "d"),)),
    "retain in slices": Retain("op", (Item(turns(*(f"turn {n}" for n in range(SLICE_UNITS + 6))), "f"),)),
    "delete document": DeleteDocument("op", "d"),
    "delete bank": DeleteBank("op"),
    "update bank": UpdateBank("op", {"mission": "n", "extra": 1}),
    "derive": Derive("op", (Fact("new", ("two", "old")), Fact("newer", ("new", "one"), links=("old",)))),
}


SOON = START + timedelta(minutes=30)
"""Before anything that is removed meanwhile is due to be swept."""


@dataclass
class Place:
    """An engine with the history in a bank of its own; every crash has a fresh one."""

    engine: Any
    scope: Scope


@pytest.fixture(params=ENGINES)
def fresh(request) -> Iterator[Callable[[], Place]]:
    """Makes a bank that holds the history, settled."""
    with ExitStack() as stack:

        def make() -> Place:
            local = request.param == "local"  # scans all it holds, so each bank has one to itself
            engine = stack.enter_context(local_engine()) if local else request.getfixturevalue(request.param)
            place = Place(engine, fresh_scope())
            perform_all(place.engine, place.scope, HISTORY, "h")
            return place

        yield make


def calls_of(place: Place, command: Command) -> int:
    """How many calls the command takes from its arrival at a new owner to its acknowledgement."""
    calls = 0
    with BankProcess(place.scope, "p", [command]) as process:
        while process.step(place.engine):
            calls += 1
        assert process.acks == ["op"]
    return calls


def crash_after(place: Place, command: Command, calls: int, name: str = "p") -> None:
    """Run a new owner up to a number of calls or its end, and never again."""
    with BankProcess(place.scope, name, [command]) as process:
        for _ in range(calls):
            process.step(place.engine)


def comparable(state: BankState, scope: Scope) -> BankState:
    """Without unit ids, which differ from bank to bank."""
    live = sorted(text for _, text in state.live)
    return BankState(**{**vars(state), "live": tuple(live), "rederive": tuple(sorted(state.rederive.values()))})


def read_documents_half_way(place: Place, old: BankState, new: BankState) -> None:
    """Each is as it was or as it will be, or not to be read until the plan is applied; damage it is never called."""
    for document_id in {**old.texts, **new.texts}:
        try:
            found = run(place.engine, place.scope, ReadDocument(document_id))
        except Unavailable:
            continue
        expected = {state.texts.get(document_id) for state in (old, new)}
        assert (found and found.text) in expected, f"{document_id} between two owners"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_any_call_leaves_the_old_state_or_the_new_and_after_commit_the_new(fresh, name: str):
    command = COMMANDS[name]
    place = fresh()
    old = comparable(read_bank(place.engine, place.scope), place.scope)
    total = calls_of(place, command)
    new = comparable(read_bank(place.engine, place.scope), place.scope)
    check_bank(place.engine, place.scope)
    outcomes = []
    for calls in range(total + 1):
        place = fresh()
        before = place.engine.call(place.scope, ReadHead()).commit
        crash_after(place, command, calls)
        head = place.engine.call(place.scope, ReadHead())
        committed = head.commit > before
        due = place.scope in place.engine.list_due(SOON, 10_000)
        assert due == (head.commit > head.settled), "what is not settled is due, so that a host finds it"
        read_documents_half_way(place, old, new)
        activate(place.engine, place.scope)
        check_bank(place.engine, place.scope)
        found = comparable(read_bank(place.engine, place.scope), place.scope)
        assert found == (new if committed else old), f"after call {calls} of {total}"
        outcomes.append(committed)
        perform_all(place.engine, place.scope, [command], "retry")  # under its operation id, by yet another owner
        check_bank(place.engine, place.scope)
        again = comparable(read_bank(place.engine, place.scope), place.scope)
        assert again == new, f"retried after call {calls} of {total}"
    assert outcomes == sorted(outcomes)
    assert {outcomes[0], outcomes[-1]} == {False, True}


@pytest.mark.parametrize("fresh", ["reference", pytest.param("edge", marks=pytest.mark.long)], indirect=True)
def test_a_crash_between_two_slices_of_a_bank_that_is_cleared_is_a_crash_like_any_other(fresh, monkeypatch):
    whole = calls_of(fresh(), COMMANDS["delete bank"])
    monkeypatch.setattr(protocol, "SLICE_UNITS", 2)
    assert calls_of(fresh(), COMMANDS["delete bank"]) >= whole + 4
    test_a_crash_at_any_call_leaves_the_old_state_or_the_new_and_after_commit_the_new(fresh, "delete bank")


@pytest.mark.parametrize("name", ["replace", "replace all", "append", "retain"])
def test_a_reader_sees_the_old_version_the_new_or_both_at_every_call(fresh, name: str):
    place = fresh()
    old = {text for _, text in read_bank(place.engine, place.scope).live}
    calls_of(place, COMMANDS[name])
    new = {text for _, text in read_bank(place.engine, place.scope).live}
    place = fresh()
    with BankProcess(place.scope, "p", [COMMANDS[name]]) as process:
        while process.step(place.engine):
            seen = {text for _, text in read_bank(place.engine, place.scope).live}
            assert seen >= old or seen >= new
            assert seen <= old | new


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_during_recovery_is_recovered_from(fresh, name: str):
    """The first owner dies after its commit, the second at each call of its recovery."""
    command = COMMANDS[name]
    place = fresh()
    total = calls_of(place, command)
    new = comparable(read_bank(place.engine, place.scope), place.scope)
    commit_at = committing_call(fresh(), command)
    for first in (commit_at, commit_at + 2):
        for second in range(0, total, 2):
            place = fresh()
            crash_after(place, command, first)
            crash_after(place, UpdateBank("op-2", {}), second, "q")
            activate(place.engine, place.scope)
            check_bank(place.engine, place.scope)
            found = comparable(read_bank(place.engine, place.scope), place.scope)
            if name == "delete bank" and found.exists:  # the update came after the delete and made the bank anew
                assert (found.live, found.profile) == ((), {})
            else:
                assert replace(found, operations=found.operations - {"op-2"}) == new


def committing_call(place: Place, command: Command) -> int:
    """Number of the call by which the command is committed."""
    before = place.engine.call(place.scope, ReadHead()).commit
    calls = 0
    with BankProcess(place.scope, "p", [command]) as process:
        while place.engine.call(place.scope, ReadHead()).commit == before:
            process.step(place.engine)
            calls += 1
    return calls


class _Killed(BaseException):
    """Stands for the end of the process inside a call."""


class _Mortal:
    """A collection whose process dies before one of its updates."""

    def __init__(self, collection: Any, fuse: list[int]) -> None:
        self._collection, self._fuse = collection, fuse

    def __getattr__(self, name: str) -> Any:
        if name in {"update", "upsert", "set_payload", "set_payloads", "delete"}:
            self._fuse[0] -= 1
            if self._fuse[0] < 0:
                raise _Killed
        return getattr(self._collection, name)


def collections_of(engine: Any) -> list[tuple[Any, str]]:
    """Where the engine's two collections are held for its writes: object and attribute."""
    if isinstance(engine, ServerEngine):
        engine.open()
        writes = engine.store._engines.writes
        return [(writes, "_units"), (writes, "_records")]
    return [(engine._writes._units, "shard"), (engine._writes._records, "shard")]


@pytest.mark.parametrize("fresh", IN_SEVERAL_UPDATES, indirect=True)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_between_two_updates_of_one_call_is_a_crash_like_any_other(fresh, monkeypatch, name: str):
    command = COMMANDS[name]
    place = fresh()
    old = comparable(read_bank(place.engine, place.scope), place.scope)
    calls_of(place, command)
    new = comparable(read_bank(place.engine, place.scope), place.scope)
    survived = False
    updates = 0
    while not survived:
        place = fresh()
        before = place.engine.call(place.scope, ReadHead()).commit
        fuse = [updates]
        with monkeypatch.context() as patch:
            for holder, name_there in collections_of(place.engine):
                patch.setattr(holder, name_there, _Mortal(getattr(holder, name_there), fuse))
            try:
                calls_of(place, command)
                survived = True
            except _Killed:
                pass
        committed = place.engine.call(place.scope, ReadHead()).commit > before
        activate(place.engine, place.scope)
        check_bank(place.engine, place.scope)
        found = comparable(read_bank(place.engine, place.scope), place.scope)
        assert found == (new if committed else old), updates
        updates += 1
    assert updates > 4


def test_recovery_embeds_again_what_is_missing(fresh):
    """A former owner's late retirement may take units of the commit that is being applied."""
    place = fresh()
    command = COMMANDS["replace"]
    crash_after(place, command, committing_call(place, command))
    head = place.engine.call(place.scope, ReadHead())
    place.engine.call(place.scope, SweepPending(head.epoch))  # all that was prepared is gone
    activate(place.engine, place.scope)
    check_bank(place.engine, place.scope)
    state = read_bank(place.engine, place.scope)
    assert state.texts["d"] == "three\none\nfive\ntwo"
    unit = next(unit for unit in place.engine.call(place.scope, ListUnits(10)).units if unit.text == "five")
    assert place.engine.call(place.scope, GetUnits((unit.id,)))[unit.id].state is UnitState.LIVE
