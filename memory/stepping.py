"""A procedure between two of its calls, and the loop that drives one over asynchronous calls."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

from memory.ids import Scope
from memory.protocol import Steps
from memory.store_calls import Call

T = TypeVar("T")
Perform = Callable[[Scope, Call[Any]], Awaitable[Any]]


class Stepping(Generic[T]):
    """What a procedure asks for next. It runs between `answer` or `fail` and the next call, never by itself."""

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self.call: Call[Any] | None = None
        """The call that waits for its answer; None: the procedure has returned."""
        self._result: T | None = None
        self._advance(lambda: next(steps))

    @property
    def result(self) -> T:
        """What the procedure returned; meaningful once there is no call left."""
        return cast("T", self._result)

    def answer(self, value: Any) -> None:
        """Go on with the call's answer. Raises what the procedure raises."""
        self._advance(lambda: self._steps.send(value))

    def fail(self, error: Exception) -> None:
        """Raise the call's error inside the procedure, at the call; raises what the procedure does not catch."""
        self._advance(lambda: self._steps.throw(error))

    def _advance(self, go_on: Callable[[], Call[Any]]) -> None:
        try:
            self.call = go_on()
        except StopIteration as done:
            self.call = None
            self._result = done.value


async def drive(perform: Perform, scope: Scope, steps: Steps[T]) -> T:
    """The result of a procedure, one call at a time; what a call raises is raised inside the procedure.

    A cancelled caller leaves the procedure where it stands, which must be safe anywhere.
    """
    stepping = Stepping(steps)
    while (call := stepping.call) is not None:
        try:
            answer = await perform(scope, call)
        except Exception as exc:  # noqa: BLE001 - handed to the procedure, which raises it on
            stepping.fail(exc)
        else:
            stepping.answer(answer)
    return stepping.result
