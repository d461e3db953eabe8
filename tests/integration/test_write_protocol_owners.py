"""Two owners of one bank, one of them stale: every interleaving of their calls, every crash, both of them real Banks.

The scenarios and the invariants are those of the design's protocol model: (1) in the end, after one more recovery, the
bank is exactly what its committed commands make it; (2) every acknowledged command is committed, in order; (3) from the
first acknowledgement on, a reader finds a whole version of the document; (4) nothing is ever live but chunks of
committed versions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

import pytest

from memory import protocol, sweeping
from memory.commands import Command, DeleteBank, DeleteDocument, Item, Message, Retain, UpdateBank
from memory.errors import StoreDamaged
from memory.filters import HasId
from memory.ids import Scope, record_id
from memory.protocol import Steps
from memory.records import Head, RecordKind
from memory.store_calls import (
    ClearBank,
    GetRecords,
    InsertUnits,
    ListRecords,
    ListUnits,
    MoveUnits,
    ReadHead,
    RemoveRecords,
    RetireUnits,
    SwapHead,
    SweepPending,
    WriteRecords,
)
from storage.reference_store import ReferenceStore
from tests.support.bank_process import BankProcess, activate, perform_all
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM
from tests.support.explore import State, explore, fingerprint

SCOPE = Scope("t", "b")


def put(op: str, *texts: str, document_id: str = "d", mode: str = "replace") -> Retain:
    messages = tuple(Message(text, role="user") for text in texts)
    return Retain(op, (Item(messages, document_id, timeless=True, update_mode=mode),))


START = put("start", "X", "Z")
THREE = put("start", "X", "Y", "Z")
SCENARIOS: dict[str, tuple[Command, list[Command], list[Command]]] = {
    "retry": (START, [put("a", "X", "W")], [put("a", "X", "W")]),
    "there and back": (START, [put("a", "Y")], [put("b", "X", "Z")]),
    "different": (START, [put("a", "Y")], [put("b", "W")]),
    "back after": (START, [put("a", "X")], [put("b", "X", "Z")]),
    "append": (START, [put("a", "Y", mode="append")], [put("b", "W", mode="append")]),
    "another document": (START, [put("a", "X", document_id="e")], [put("b", "Y")]),
    "settings": (START, [put("a", "Y")], [UpdateBank("b", {"mission": "m"})]),
    "places": (START, [put("a", "P", "W")], [put("b", "W", "Q")]),
    "moves": (THREE, [put("a", "Z", "X", "Y")], [put("b", "X", "Y", "Z")]),
    "two each": (START, [put("a1", "Y"), put("a2", "X")], [put("b1", "X", "Z"), put("b2", "Y")]),
}
DELETING: dict[str, tuple[Command, list[Command], list[Command]]] = {
    "a document replaced and deleted": (START, [put("a", "Y")], [DeleteDocument("b", "d")]),
    "a document deleted and made anew": (START, [DeleteDocument("a", "d")], [put("b", "Y", "V")]),
    "a document deleted and made anew by one": (START, [put("a", "Y")], [DeleteDocument("b1", "d"), put("b2", "X")]),
    "a bank filled and deleted": (START, [put("a", "Y")], [DeleteBank("b")]),
    "a bank deleted and made anew": (START, [DeleteBank("a")], [put("b", "Y", "V")]),
}


def committed(store: ReferenceStore) -> list[str]:
    """Operation ids of all committed commands, in order: the settled ones and those the head names."""
    records = store.call(SCOPE, ListRecords(RecordKind.COMMIT, 100)).records
    settled = {record.order: record.body["operation_id"] for record in records if record.status == "settled"}
    head = store.call(SCOPE, ReadHead())
    for number, key in head.commits.items():
        settled[number] = store.call(SCOPE, GetRecords(RecordKind.COMMIT, (key,)))[key].body["operation_id"]
    return [settled[number] for number in sorted(settled)]


def outcome(commands: Sequence[Command]) -> dict[str, list[str]]:
    """The chunks of each document after commands, by the plainest of models."""
    documents: dict[str, list[str]] = {}
    for command in commands:
        match command:
            case Retain(items=(item,)):
                texts = [message.content for message in item.content]
                before = documents.get(item.document_id, []) if item.update_mode == "append" else []
                documents[item.document_id] = [*before, *texts]
            case DeleteDocument(document_id=document_id):
                documents.pop(document_id, None)
            case DeleteBank():
                documents.clear()
    return documents


def live_texts(store: ReferenceStore) -> Counter:
    return Counter(unit.text for unit in store.call(SCOPE, ListUnits(100)).units)


class Checker:
    """The invariants, each looked at once for equal stores."""

    def __init__(self, commands: Sequence[Command], *, may_vanish: bool = False) -> None:
        self._commands = {command.operation_id: command for command in commands}
        self._may_vanish = may_vanish
        self._histories: dict[bytes, list[str]] = {}
        self.states = 0

    def check(self, state: State) -> None:
        self.states += 1
        name = fingerprint(state.store)
        if name not in self._histories:
            try:
                self._look(state.store)
                self._histories[name] = self._recover(state.store)
            except AssertionError as exc:
                raise AssertionError(f"{exc}; calls were made by {state.path or 'nobody'}") from exc
        history = self._histories[name]
        for step in state.steps:
            places = [history.index(ack) if ack in history else -1 for ack in step.acks]
            assert -1 not in places, f"acknowledged but not committed: {step.acks}, {history}; calls by {state.path}"
            assert places == sorted(places), f"not in order: {step.acks}, {history}; calls by {state.path}"

    def _look(self, store: ReferenceStore) -> None:
        """What a reader sees now."""
        history = [self._commands[op] for op in committed(store)]
        versions = [outcome(history[: n + 1]) for n in range(len(history))]
        live = live_texts(store)
        known = set().union(*(chunks for version in versions for chunks in version.values()))
        assert set(live) <= known, f"live without commit: {sorted(set(live) - known)}"
        if not self._may_vanish:
            whole = [Counter(version["d"]) for version in versions[-2:]]
            assert any(version <= live for version in whole), f"no whole version is live: {live}"

    def _recover(self, store: ReferenceStore) -> list[str]:
        """The committed commands, after the bank was found to be what they make it."""
        last = store.copy()
        activate(last, SCOPE, "last")
        history = committed(last)
        assert len(history) == len(set(history)), f"done twice: {history}"
        check_bank(last, SCOPE)
        expected = outcome([self._commands[op] for op in history])
        found = read_bank(last, SCOPE)
        assert found.texts == {name: "\n".join(chunks) for name, chunks in expected.items()}, history
        assert Counter(text for _, text in found.live) == Counter(chain.from_iterable(expected.values()))
        return history


def run_all(
    start: Command,
    first: list[Command],
    second: list[Command],
    *,
    store: ReferenceStore | None = None,
    whole: bool = False,
) -> Checker:
    """Check every state of two owners; `whole`: their requests are not interrupted by each other."""
    store = store or ReferenceStore(DIM)
    perform_all(store, SCOPE, [start], "start")
    deletes = any(isinstance(command, DeleteDocument | DeleteBank) for command in (*first, *second))
    checker = Checker([start, *first, *second], may_vanish=deletes)
    owners = [
        lambda: BankProcess(SCOPE, "A", first, whole=whole),
        lambda: BankProcess(SCOPE, "B", second, whole=whole),
    ]
    for state in explore(store, SCOPE, owners):
        checker.check(state)
    return checker


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_interleaving_of_two_owners_breaks_an_invariant(name: str):
    checker = run_all(*SCENARIOS[name])
    print(f"{name}: {checker.states} states")
    assert checker.states > 500


@pytest.mark.parametrize("name", [*SCENARIOS, *DELETING])
def test_no_order_of_whole_requests_breaks_an_invariant(name: str):
    """The embedded store is one process that finishes a request before it starts the next."""
    checker = run_all(*{**SCENARIOS, **DELETING}[name], whole=True)
    assert checker.states > 30


@pytest.mark.parametrize("name", DELETING)
def test_no_interleaving_of_two_owners_brings_back_what_was_deleted(name: str):
    run_all(*DELETING[name])


# -- a third owner: the first stalls in the middle of putting units back that were lost


def lost_before_applied(store: ReferenceStore) -> list[Command]:
    """A committed replace whose units are lost, so that the next owner inserts them again; its commands so far."""
    replaced = put("z", "Y", "V")
    perform_all(store, SCOPE, [START], "start")
    before = store.call(SCOPE, ReadHead()).commit
    with BankProcess(SCOPE, "Z", [replaced]) as process:
        while store.call(SCOPE, ReadHead()).commit == before:
            process.step(store)
    store.call(SCOPE, SweepPending(10**6))
    return [START, replaced]


LATE_HEALS: dict[str, list[list[Command]]] = {
    "deleted by the second": [[DeleteDocument("b", "d")]],
    "replaced and deleted by the second": [[put("b1", "W"), DeleteDocument("b2", "d")]],
    "replaced by the second, deleted by the third": [[put("b", "W")], [DeleteDocument("c", "d")]],
    "replaced by the second, the bank deleted by the third": [[put("b", "W")], [DeleteBank("c")]],
    "deleted by the second, made anew by the third": [[DeleteDocument("b", "d")], [put("c", "V")]],
}


def run_late_heal(name: str, store: ReferenceStore) -> Checker:
    """An owner that puts units back is stopped at every call."""
    done = lost_before_applied(store)
    return run_stopped(store, done, [UpdateBank("a", {"mission": "m"})], LATE_HEALS[name])


def run_stopped(
    store: ReferenceStore, done: list[Command], first: list[Command], others: list[list[Command]]
) -> Checker:
    """The first owner is stopped at every call; the requests of the others are whole, but come in every order."""
    checker = Checker([*done, *first, *chain.from_iterable(others)], may_vanish=True)
    owners = [lambda: BankProcess(SCOPE, "A", first)]
    owners += [lambda n=n: BankProcess(SCOPE, f"B{n}", others[n], whole=True) for n in range(len(others))]
    for state in explore(store, SCOPE, owners):
        checker.check(state)
    return checker


THREE_OWNERS = [name for name in LATE_HEALS if "third" in name]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in THREE_OWNERS else ()) for name in LATE_HEALS]
)
def test_units_put_back_late_do_not_come_back_after_others_replaced_and_deleted_them(name: str):
    assert run_late_heal(name, ReferenceStore(DIM)).states > 100


# -- the rules are needed: each one left out is found out


class WithoutInsertOnly(ReferenceStore):
    def call(self, scope, call):
        if isinstance(call, InsertUnits):
            self._drop_units(scope, HasId(tuple(new.unit.id for new in call.units)))
        return super().call(scope, call)


class WithoutHeadSwap(ReferenceStore):
    def call(self, scope, call):
        if isinstance(call, SwapHead):
            now = super().call(scope, ReadHead())
            call = replace(call, expected=replace(call.expected, epoch=now.epoch))
        return super().call(scope, call)


class WithoutEpochGuard(ReferenceStore):
    def call(self, scope, call):
        if isinstance(call, RetireUnits | ClearBank | RemoveRecords | MoveUnits):
            call = replace(call, epoch=10**6)
        return super().call(scope, call)


class WithoutGuards(ReferenceStore):
    """Seq and epoch each guard retirements alone in these scenarios."""

    def call(self, scope, call):
        if isinstance(call, RetireUnits):
            call = replace(call, seq=10**6, epoch=10**6)
        return super().call(scope, call)


class WithoutRecordGuard(ReferenceStore):
    def call(self, scope, call):
        if isinstance(call, WriteRecords):
            for record in call.records:
                self._drop_records(scope, HasId((record_id(scope, record.kind.value, record.key),)))
        return super().call(scope, call)


class WithoutSweeping(ReferenceStore):
    def call(self, scope, call):
        return None if isinstance(call, SweepPending) else super().call(scope, call)


@pytest.mark.parametrize(
    ("rule", "scenario"),
    [
        (WithoutInsertOnly, "there and back"),
        (WithoutHeadSwap, "different"),
        (WithoutEpochGuard, "moves"),
        (WithoutGuards, "there and back"),
        (WithoutRecordGuard, "there and back"),
        (WithoutSweeping, "retry"),
    ],
)
def test_a_rule_left_out_breaks_an_invariant(rule, scenario):
    with pytest.raises((AssertionError, StoreDamaged)) as caught:
        run_all(*SCENARIOS[scenario], store=rule(DIM))
    print(f"{rule.__name__}: {caught.value}")


def test_sweeping_removed_records_while_a_former_owner_lives_breaks_an_invariant(monkeypatch):
    def hasty(head: Head, now: datetime, *more) -> Steps[Head]:
        return sweeping.sweep(head, now + timedelta(days=1), *more)

    store = ReferenceStore(DIM)
    perform_all(store, SCOPE, [START], "start")
    monkeypatch.setattr(protocol, "sweep", hasty)
    with pytest.raises(AssertionError, match="calls were made by"):
        run_stopped(store, [START], [put("a", "Y")], [[DeleteDocument("b", "d")], [UpdateBank("c", {})]])


def test_putting_units_back_without_looking_at_the_head_again_breaks_an_invariant(monkeypatch):
    def trusting(head: Head) -> Steps[None]:
        yield from ()

    monkeypatch.setattr(protocol, "_still_ours", trusting)
    with pytest.raises(AssertionError, match="other units than are live"):
        run_late_heal("deleted by the second", ReferenceStore(DIM))
