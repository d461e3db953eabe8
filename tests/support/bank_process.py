"""A real Bank that stops before every call to the store: whoever holds it decides when, and whether, it goes on."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from actors.bank import Bank
from actors.bank_ports import BankPorts
from memory.commands import Command
from memory.ids import Scope
from memory.records import Embedding
from memory.store_calls import Call, Request
from storage.run import run
from tests.support.builders import embedding
from tests.support.clocks import FakeClock, nonces
from tests.support.deriving import DerivingBank


class WordCounter:
    """Implements memory.ports.Tokenizer."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


async def embed(texts: Sequence[str]) -> list[Embedding]:
    return [embedding(text) for text in texts]


def bank_ports(store: Any, name: str = "n", **changed: Any) -> BankPorts:
    """Ports of a bank: the real embedder of tests, a clock and nonces that repeat from run to run."""
    ports = {"embed": embed, "tokenizer": WordCounter(), "clock": FakeClock(), "nonce": nonces(name)}
    return BankPorts(store=store, **{**ports, **changed})


class BankProcess:
    """One owner of a bank that performs commands in order; `wish` is what it wants of the store next, None at its end.

    With `whole`, a wish is a whole request (as a store that is one process takes them), else a single call.
    """

    def __init__(
        self, scope: Scope, name: str, commands: Sequence[Command], *, whole: bool = False, **ports: Any
    ) -> None:
        self.wish: Request[Any] | None = None
        self.acks: list[str] = []
        self._commands = commands
        self._whole = whole
        self._loop = asyncio.new_event_loop()
        self._answer: asyncio.Future[Any] | None = None
        self._scope = scope
        self._bank = DerivingBank(scope, bank_ports(self, name, **ports), mailbox_commands=8)
        self._task = self._loop.create_task(self._perform_all())
        self._go_on()

    async def _perform_all(self) -> None:
        for command in self._commands:
            await self._bank.perform(command)
            self.acks.append(command.operation_id)

    async def perform(self, scope: Scope, request: Request[Any]) -> Any:
        """The store port: everything waits for its answer from outside."""
        assert scope == self._scope
        if self._whole or isinstance(request, Call):
            return await self._ask(request)
        steps = request.steps()
        answer = None
        while True:
            try:
                call = steps.send(answer)
            except StopIteration as done:
                return done.value
            answer = await self._ask(call)

    def _ask(self, wish: Request[Any]) -> "asyncio.Future[Any]":
        self.wish, self._answer = wish, self._loop.create_future()
        return self._answer

    def answer(self, value: Any) -> None:
        """Give the answer to the wish, which may be an error; the process runs on to its next one."""
        assert self._answer is not None
        waiting, self.wish, self._answer = self._answer, None, None
        if isinstance(value, Exception):
            waiting.set_exception(value)
        else:
            waiting.set_result(value)
        self._go_on()

    def step(self, engine: Any) -> bool:
        """Let the store do what the process wishes; False where it has ended."""
        if self.wish is None:
            return False
        self.answer(engine.call(self._scope, self.wish))
        return True

    def _go_on(self) -> None:
        while self.wish is None and not self._task.done():
            self._loop.run_until_complete(asyncio.sleep(0))

    @property
    def error(self) -> BaseException | None:
        """What the process ended with, if it did not end well."""
        return self._task.exception() if self._task.done() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """It never goes on: a crash, or its end."""
        left = asyncio.all_tasks(self._loop) | {self._task}
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()


def activate(engine: Any, scope: Scope, name: str = "next", **ports: Any) -> Bank:
    """A new owner that takes the bank over and settles what the former one left."""
    process = DerivingBank(scope, bank_ports(_Direct(engine), name, **ports), mailbox_commands=8)
    asyncio.run(process._activated())
    return process


def look_after(engine: Any, scope: Scope, name: str = "next", **ports: Any) -> None:
    """What a host does with a bank that is due: a new owner takes it over and does what is due."""
    asyncio.run(DerivingBank(scope, bank_ports(_Direct(engine), name, **ports), mailbox_commands=8).settle())


def perform_all(engine: Any, scope: Scope, commands: Sequence[Command], name: str = "n", **ports: Any) -> list[Any]:
    """Receipts of commands performed by one owner, one after the other."""

    async def perform() -> list[Any]:
        bank = DerivingBank(scope, bank_ports(_Direct(engine), name, **ports), mailbox_commands=len(commands) + 1)
        return [await bank.perform(command) for command in commands]

    return asyncio.run(perform())


class _Direct:
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def perform(self, scope: Scope, request: Request[Any]) -> Any:
        answer = run(self._engine, scope, request)
        self._engine.count_operation()  # as the storage shard does
        return answer
