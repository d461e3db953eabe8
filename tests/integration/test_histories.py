"""Concurrent callers of one bank, its owner lost and replaced at any moment: one order explains all their answers.

A lost owner is not stopped here, it goes on as a former owner would, call by call between those of the next.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import Any, TypeVar

import pytest

from actors.bank import Bank
from memory.commands import Command, DeleteDocument, Message
from memory.document_reading import ReadDocument
from memory.errors import LorebankError, NotFound, Overloaded, Stale, Unavailable
from memory.ids import Scope
from memory.stepping import drive
from memory.store_calls import (
    Call,
    FindLive,
    InsertUnits,
    MoveUnits,
    ReadHead,
    Request,
    RetireUnits,
    SetLive,
    SwapHead,
    WriteRecords,
)
from storage.reference_store import ReferenceStore
from tests.support.bank_process import bank_ports
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM, fresh_scope, retain
from tests.support.histories import Event, Kind, Unexplained, check_history
from tests.support.local_store import FaultyEngine

T = TypeVar("T")
CALLERS = 5
CALLS = 10
DOCUMENTS = ("d", "e", "f")
FAILING = (InsertUnits, WriteRecords, SwapHead, SetLive, FindLive, MoveUnits, RetireUnits, ReadHead)


class InterleavedStore:
    """The store port, one call at a time, each after a random number of the others' turns."""

    def __init__(self, engine: Any, choice: random.Random) -> None:
        self._engine = engine
        self._choice = choice

    async def perform(self, scope: Scope, request: Request[T]) -> T:
        if isinstance(request, Call):
            return await self._call(scope, request)
        return await drive(self._call, scope, request.steps())

    async def _call(self, scope: Scope, call: Call[T]) -> T:
        for _ in range(self._choice.randrange(4)):
            await asyncio.sleep(0)
        return self._engine.call(scope, call)


class History:
    """One run: a bank, its callers, and somebody who replaces its owner and lets the store fail."""

    def __init__(self, engine: Any, seed: int) -> None:
        self.events: list[Event] = []
        self.scope = fresh_scope()
        self.engine = FaultyEngine(engine)
        self.owners = 0
        self._choice = random.Random(seed)
        self._store = InterleavedStore(self.engine, self._choice)
        self._instants = count()
        self._names = count()
        self.replace_owner()

    def replace_owner(self) -> None:
        self.owners += 1
        self._bank = Bank(self.scope, bank_ports(self._store, f"owner-{next(self._names)}"), 64)

    async def run(self) -> None:
        callers = [asyncio.create_task(self._call_on()) for _ in range(CALLERS)]
        breaking = asyncio.create_task(self._break_on())
        await asyncio.gather(*callers)
        breaking.cancel()
        await asyncio.gather(breaking, return_exceptions=True)
        self.engine.disarm()
        self.replace_owner()
        await self._bank.settle()
        for document in DOCUMENTS:
            await self._read(document)

    async def _break_on(self) -> None:
        while True:
            for _ in range(self._choice.randrange(10, 150)):
                await asyncio.sleep(0)
            if self._choice.random() < 0.5:
                self.replace_owner()
            else:
                kind, when = self._choice.choice(FAILING), self._choice.choice(["before", "after"])
                self.engine.arm(kind, when, Unavailable("the store restarts"), nth=self._choice.randint(1, 3))

    async def _call_on(self) -> None:
        for _ in range(CALLS):
            document = self._choice.choice(DOCUMENTS)
            await self._choice.choices([self._put, self._delete, self._read], [5, 2, 3])[0](document)

    async def _put(self, document: str) -> None:
        name = next(self._names)
        lines = tuple(Message(f"line {n} of {name}", role="user") for n in range(self._choice.randint(1, 3)))
        text = "\n".join(line.content for line in lines)
        called = next(self._instants)
        receipt = await self._insist(retain(lines, op=f"op-{name}", document_id=document))
        (written,) = receipt.documents
        self._note(Kind.PUT, document, called, text=text, version=written.version, seq=written.seq)

    async def _delete(self, document: str) -> None:
        called = next(self._instants)
        command = DeleteDocument(f"op-{next(self._names)}", document)
        try:
            receipt = await self._insist(command)
        except NotFound:
            self._note(Kind.DELETE, document, called, found=False)
        else:
            self._note(Kind.DELETE, document, called, seq=receipt.seq)

    async def _read(self, document: str) -> None:
        called = next(self._instants)
        part = await self._again(lambda: self._store.perform(self.scope, ReadDocument(document)))
        found = {"text": part.text, "version": part.document.version} if part else {}
        self._note(Kind.READ, document, called, **found)

    def _note(self, kind: Kind, document: str, called: int, **said: Any) -> None:
        self.events.append(Event(kind, document, called, next(self._instants), **said))

    async def _insist(self, command: Command) -> Any:
        """A command under its operation id until it is answered, by whoever owns the bank then."""
        return await self._again(lambda: self._bank.perform(command))

    async def _again(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(200):
            try:
                return await attempt()
            except (Unavailable, Overloaded, Stale):
                await asyncio.sleep(0)
        raise AssertionError("no answer after 200 attempts")


def check(engine: Any, seed: int) -> History:
    history = History(engine, seed)
    try:
        asyncio.run(asyncio.wait_for(history.run(), 60))
        check_history(history.events)
        check_bank(history.engine, history.scope)
    except (Unexplained, AssertionError, LorebankError) as exc:
        raise AssertionError(f"seed {seed}: {exc}") from exc
    return history


def check_all(store: Callable[[int], Any], seeds: Iterable[int]) -> list[History]:
    return [check(store(DIM), seed) for seed in seeds]


@pytest.mark.parametrize("runs", [8, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_every_history_has_an_order_that_explains_it(runs: int) -> None:
    first = random.SystemRandom().randrange(1_000_000)
    histories = check_all(ReferenceStore, range(first, first + runs))
    events, owners = sum(len(one.events) for one in histories), sum(one.owners for one in histories)
    print(f"{runs} histories from seed {first}: {events} calls, {owners} owners, each explained by one order")
    assert owners > 2 * runs


class Forgetful(ReferenceStore):
    """Loses what makes one writer of many: the head is swapped whatever it is."""

    def call(self, scope, call):
        if isinstance(call, SwapHead):
            now = super().call(scope, ReadHead())
            expected = (now.epoch, now.commit, now.settled)
            if expected != (call.expected.epoch, call.expected.commit, call.expected.settled):
                call = SwapHead(now, call.head, call.nonce)
        return super().call(scope, call)


def test_a_store_that_does_not_fence_is_found_out() -> None:
    with pytest.raises(AssertionError, match="seed"):
        check_all(Forgetful, range(20))


def test_the_state_at_the_end_is_what_was_read_last() -> None:
    history = check(ReferenceStore(DIM), 1)
    last = {event.document: event.text for event in history.events[-len(DOCUMENTS) :]}
    assert read_bank(history.engine, history.scope).texts == {name: text for name, text in last.items() if text}
