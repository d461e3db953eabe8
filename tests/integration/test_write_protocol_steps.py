"""The write protocol call by call, where nothing fails: what a command asks of the store, and what readers see of it.

Begin here; the other files of this name show what crashes, two owners and lost units make of the same calls.
"""

from collections.abc import Sequence
from typing import Any

from memory.commands import Command, DeleteDocument, Item, Message, Retain
from memory.ids import Scope
from memory.protocol import TakeEpoch
from memory.records import RecordKind
from memory.store_calls import GetRecords, ListUnits, ReadHead, WriteRecords
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.bank_process import BankProcess, perform_all
from tests.support.builders import DIM, fresh_scope

TAKING = ["ReadHead", "SwapHead: epoch", "SweepPending", "ListRecords: commit", "SweepRemoved", "TrimCommits"]
"""A new owner takes the epoch; nothing is left to apply, so it sweeps."""
READING = ["GetRecords: recall_profile", "GetRecords: document", "GetRecords: operation"]
"""What it knows of the bank, the stored version, and whether the command was done before."""


def say(*texts: str) -> Retain:
    messages = tuple(Message(text, role="user", name="Ann") for text in texts)
    return Retain("-".join(texts), (Item(messages, "chat"),))


def steps_of(command: Command, before: Sequence[Command] = ()) -> tuple[list[str], list[set[str]]]:
    """Each call of a new owner that does a command, by name, and the texts that a reader finds right after it."""
    engine, scope = ReferenceStore(DIM), fresh_scope()
    perform_all(engine, scope, before)
    calls, seen = [], []
    with BankProcess(scope, "owner", [command]) as owner:
        while owner.wish is not None:
            calls.append(named(owner.wish, engine, scope))
            owner.step(engine)
            seen.append({unit.text for unit in engine.call(scope, ListUnits(10)).units})
        assert owner.acks == [command.operation_id]
    return calls, seen


def named(call: Any, engine: ReferenceStore, scope: Scope) -> str:
    """The call's name, with what it is about where one name serves several steps."""
    name = type(call).__name__
    if isinstance(call, WriteRecords):
        return f"{name}: {' '.join(sorted({record.kind.value for record in call.records}))}"
    if kind := getattr(call, "kind", None):
        return f"{name}: {kind.value}"
    if name == "SwapHead":
        moved = [field for field in ("epoch", "commit", "settled") if changed(call, field)]
        assert engine.call(scope, ReadHead()) == call.expected, "it compares with what is stored"
        return f"{name}: {' '.join(moved)}"
    return name


def changed(swap: Any, field: str) -> bool:
    return bool(getattr(swap.expected, field) != getattr(swap.head, field))


def test_a_replace_is_prepared_committed_applied_and_settled():
    calls, seen = steps_of(say("tea", "rain"), [say("tea", "sun")])
    assert calls[: len(TAKING + READING)] == TAKING + READING
    assert calls[len(TAKING + READING) :] == [
        # prepare: the new unit as pending, which no read sees, and the plan itself
        "InsertUnits",
        "WriteRecords: commit",
        # commit: one compare-and-set; nothing before it shows, nothing after it is lost
        "SwapHead: commit",
        # apply: the records, the new unit live, and seen to be; only then the old one goes
        "WriteRecords: document operation",
        "SetLive",
        "FindLive",
        "RetireUnits",
        # settle: the commit is done with, and its record lets go of the text
        "SwapHead: settled",
        "ForgetText",
    ]
    old, both, new = {"tea", "sun"}, {"tea", "sun", "rain"}, {"tea", "rain"}
    live, retired = calls.index("SetLive"), calls.index("RetireUnits")
    assert seen == [old] * live + [both] * (retired - live) + [new] * (len(calls) - retired)


def test_a_deletion_has_nothing_to_prepare_but_the_plan():
    calls, seen = steps_of(DeleteDocument("gone", "chat"), [say("tea", "sun")])
    assert calls[len(TAKING + READING) :] == [
        "WriteRecords: commit",
        "SwapHead: commit",
        "WriteRecords: operation recall_profile",
        "RemoveRecords: document",
        "RetireUnits",
        "SwapHead: settled",
        "ForgetText",
    ]
    assert seen[-1] == set()


def test_a_command_sent_again_is_answered_from_its_operation_and_writes_nothing():
    calls, _ = steps_of(say("tea"), [say("tea")])
    assert calls == TAKING + READING


def test_who_was_the_owner_before_can_commit_nothing_more():
    engine, scope = ReferenceStore(DIM), fresh_scope()
    perform_all(engine, scope, [say("tea", "sun")])
    with BankProcess(scope, "former", [say("tea", "rain")]) as former:
        while type(former.wish).__name__ != "SwapHead" or not changed(former.wish, "commit"):
            former.step(engine)
        run(engine, scope, TakeEpoch("next"))
        while former.step(engine):
            pass
        assert type(former.error).__name__ == "StaleEpoch"
    stored = engine.call(scope, GetRecords(RecordKind.DOCUMENT, ("chat",)))
    assert stored["chat"].body["version"] == 1
    assert {unit.text for unit in engine.call(scope, ListUnits(10)).units} == {"tea", "sun"}
