"""Two owners of one bank, one of them stale: every interleaving of their calls, every crash, the real Bank on both sides.

The scenarios and the invariants are those of the design's protocol model: (1) in the end, after one more recovery, the
bank is exactly what its committed commands make it; (2) every acknowledged command is committed, in order; (3) from the
first acknowledgement on, a reader finds a whole version of the document; (4) nothing is ever live but chunks of
committed versions.
"""

from collections import Counter
from collections.abc import Sequence

import pytest

from memory.commands import Command, DeleteBank, DeleteDocument, Item, Message, Retain, UpdateBank
from memory.ids import Scope
from memory.records import RecordKind
from memory.store_calls import GetRecords, ListRecords, ListUnits, ReadHead
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
    "two each": (START, [put("a1", "Y"), put("a2", "X")], [put("b1", "X", "Z"), put("b2", "Y")]),
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
        assert Counter(text for _, text in found.live) == Counter(sum(expected.values(), []))
        return history


def run_all(start: Command, first: list[Command], second: list[Command], *, may_vanish: bool = False) -> Checker:
    store = ReferenceStore(DIM)
    perform_all(store, SCOPE, [start], "start")
    checker = Checker([start, *first, *second], may_vanish=may_vanish)
    owners = [lambda: BankProcess(SCOPE, "A", first), lambda: BankProcess(SCOPE, "B", second)]
    for state in explore(store, SCOPE, owners):
        checker.check(state)
    return checker


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_interleaving_of_two_owners_breaks_an_invariant(name: str):
    checker = run_all(*SCENARIOS[name])
    print(f"{name}: {checker.states} states")
    assert checker.states > 500
