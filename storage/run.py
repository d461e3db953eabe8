"""Drive a request over an engine, blocking or asynchronous: a call once, a procedure until it returns."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from memory.ids import Scope
from memory.stepping import Stepping, drive
from memory.store_calls import Call, Request

T = TypeVar("T")


class Engine(Protocol):
    """What performs single calls, blocking. Adapters of engines implement it; everything else is built on it."""

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank."""
        ...


class AsyncEngine(Protocol):
    """What performs single calls over a network."""

    async def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call on one bank."""
        ...


def run(engine: Engine, scope: Scope, request: Request[T], between: Callable[[], None] = lambda: None) -> T:
    """The request's result. What the engine raises is raised inside the procedure at the call that failed.

    between: run before every call of a procedure but the first; what it raises leaves the procedure where it stands.
    """
    if isinstance(request, Call):
        return engine.call(scope, request)
    stepping = Stepping(request.steps())
    while (call := stepping.call) is not None:
        try:
            answer = engine.call(scope, call)
        except Exception as exc:  # noqa: BLE001 - handed to the procedure, which raises it on
            stepping.fail(exc)
        else:
            stepping.answer(answer)
        if stepping.call is not None:
            between()
    return stepping.result


async def run_async(engine: AsyncEngine, scope: Scope, request: Request[T]) -> T:
    """Like `run`; a cancelled caller leaves the procedure where it stands, which must be safe anywhere."""
    if isinstance(request, Call):
        return await engine.call(scope, request)
    return await drive(engine.call, scope, request.steps())
