"""Sessions and stage work under crashes at every call: the real Bank over a reference store and the embedded one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from memory.commands import (
    AppendTurns,
    CloseSession,
    Command,
    DeleteSession,
    Item,
    Message,
    OpenSession,
    Retain,
    RetryOperation,
)
from memory.ids import Scope, point_id
from memory.policy import BankPolicy
from memory.records import RecordKind, Source, Unit, UnitKind, UnitType
from memory.stage_commands import EndStage, StageEnd, StageResult
from memory.stages import decode_work
from memory.store_calls import ListRecords, ListUnits, ReadHead
from tests.support.bank_process import BankProcess, activate, perform_all
from tests.support.bank_state import BankState, check_bank, read_bank
from tests.support.builders import fresh_scope
from tests.support.engines import edge, reference

__all__ = ["edge", "reference"]


def turns(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(text, role="user", name="Ann") for text in texts)


HISTORY = (
    OpenSession("h1", "s"),
    AppendTurns("h2", "s", turns("one", "two")),
    AppendTurns("h3", "s", turns("three")),
    OpenSession("h4", "fresh"),
    Retain("h5", (Item(turns("other"), "d"),)),
)
COMMANDS: dict[str, Command] = {
    "open": OpenSession("op", "new", tags=("t",)),
    "first append": AppendTurns("op", "fresh", turns("a", "b")),
    "append": AppendTurns("op", "s", turns("four", "four")),
    "close": CloseSession("op", "s"),
    "delete": DeleteSession("op", "s"),
    "delete and keep": DeleteSession("op", "s", keep_memory=True),
}


@pytest.fixture(params=["reference", pytest.param("edge", marks=pytest.mark.long)])
def fresh(request) -> Callable[[], tuple[Any, Scope]]:
    """Makes a bank with an open session, settled."""
    engine = request.getfixturevalue(request.param)

    def make() -> tuple[Any, Scope]:
        scope = fresh_scope()
        perform_all(engine, scope, HISTORY, "h")
        return engine, scope

    return make


def seen(engine: Any, scope: Scope) -> BankState:
    """Without unit ids, which differ from bank to bank."""
    state = read_bank(engine, scope)
    return replace(state, live=tuple(sorted(text for _, text in state.live)))


def run_some(engine: Any, scope: Scope, command: Command, calls: int) -> int:
    """Run a new owner up to a number of calls or its end, and never again; how many calls it made."""
    made = 0
    with BankProcess(scope, "p", [command]) as process:
        while made < calls and process.step(engine):
            made += 1
    return made


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_any_call_loses_nothing_and_a_retry_doubles_nothing(fresh, name: str):
    command = COMMANDS[name]
    engine, scope = fresh()
    old = seen(engine, scope)
    total = run_some(engine, scope, command, 10_000)
    new = seen(engine, scope)
    check_bank(engine, scope)
    outcomes = []
    for calls in range(total):
        engine, scope = fresh()
        before = engine.call(scope, ReadHead()).commit
        run_some(engine, scope, command, calls)
        committed = engine.call(scope, ReadHead()).commit > before
        activate(engine, scope)
        check_bank(engine, scope)
        assert seen(engine, scope) == (new if committed else old), f"after call {calls} of {total}"
        outcomes.append(committed)
        perform_all(engine, scope, [command], "retry")
        check_bank(engine, scope)
        assert seen(engine, scope) == new, f"retried after call {calls} of {total}"
    assert {outcomes[0], outcomes[-1]} == {False, True}


POLICY = BankPolicy(stages=("extract",), stage_attempts=1)


def retain_of(operation_id: str, text: str) -> Retain:
    return Retain(operation_id, (Item(turns(text), "d"),))


def end_of(engine: Any, scope: Scope, operation_id: str, reason: str = "") -> EndStage:
    """The end of the document's stage: a fact from its chunk, or a reason why there is none."""
    work = works(engine, scope)["d"]
    if reason:
        return EndStage(operation_id, "extract", (StageEnd("d", work.seq, None, reason),))
    (chunk,) = engine.call(scope, ListUnits(10)).units
    fact = Unit(
        id=point_id(scope, "unit", "fact"),
        kind=UnitKind.FACT,
        type=UnitType.WORLD,
        text="a fact",
        document_id="d",
        content_hash="0" * 64,
        recorded_at=chunk.recorded_at,
        sources=(Source(chunk.id, chunk.seq, chunk.content_hash),),
    )
    return EndStage(operation_id, "extract", (StageEnd("d", work.seq, StageResult(units=(fact,))),))


@pytest.fixture
def staging(reference) -> Iterator[Callable[[], tuple[Any, Scope]]]:
    def make() -> tuple[Any, Scope]:
        scope = fresh_scope()
        perform_all(reference, scope, [retain_of("r", "one")], "h", policy=POLICY)
        return reference, scope

    return make


@pytest.mark.parametrize("what", ["end", "replace", "retry"])
def test_stage_work_survives_a_crash_at_any_call(staging, what: str):
    def command_of(engine: Any, scope: Scope) -> Command:
        if what == "end":
            return end_of(engine, scope, "e")
        if what == "retry":
            return RetryOperation("again", works(engine, scope)["d"].operation_id)
        return retain_of("r2", "two")

    def prepared() -> tuple[Any, Scope, Command]:
        engine, scope = staging()
        if what == "retry":
            perform_all(engine, scope, [end_of(engine, scope, "f", "bad")], "f", policy=POLICY)
        if what == "replace":
            perform_all(engine, scope, [end_of(engine, scope, "e")], "e", policy=POLICY)
        return engine, scope, command_of(engine, scope)

    calls, done = 0, False
    while not done:
        engine, scope, command = prepared()
        with BankProcess(scope, "p", [command], policy=POLICY) as process:
            for _ in range(calls):
                done = not process.step(engine)
        activate(engine, scope)
        check_bank(engine, scope)
        calls += 1
    (work,) = works(engine, scope).values()
    assert work.line == ("done" if what == "end" else "pending:extract")
    assert calls > 8


def works(engine: Any, scope: Scope) -> dict[str, Any]:
    page = engine.call(scope, ListRecords(RecordKind.STAGES, 10))
    return {record.key: decode_work(record) for record in page.records}
