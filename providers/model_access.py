"""The line for the language model as an asyncio object: waits, timers and the clock around the pure budget."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

from memory.errors import Unavailable
from memory.model_budget import BudgetLimits, Grant, ModelBudget, Outcome, Refusal, Ticket, Verdict

WAITED_AGAIN_S = 1.0
"""What callers are told to wait after their turn did not come in time."""


def utc_today() -> date:
    """The date by which caps are counted."""
    return datetime.now(UTC).date()


class AsyncModelAccess:
    """Lets calls of a language model through, for the callers of one event loop: one line for the whole deployment."""

    def __init__(
        self,
        limits: BudgetLimits,
        today: Callable[[], date] = utc_today,
    ) -> None:
        self.budget = ModelBudget(limits)
        self._today = today
        self._turns: dict[str, asyncio.Future[Grant | Refusal]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def admit(self, ticket: Ticket, timeout_s: float) -> Grant | Refusal:
        """Wait for a turn; the ticket leaves the line when the caller does.

        Raises:
            Unavailable: no turn came in time.
        """
        turn: asyncio.Future[Grant | Refusal] = asyncio.get_running_loop().create_future()
        self._turns[ticket.id] = turn
        self.budget.enter(ticket)
        try:
            self._pump()
            async with asyncio.timeout(timeout_s):
                return await turn
        except BaseException as exc:
            self.budget.leave(ticket)
            if turn.done() and not turn.cancelled():  # granted in the moment in which the caller gave up
                self.budget.settle(time.monotonic(), ticket.id, Outcome(Verdict.UNKNOWN))
                self._pump()
            if not isinstance(exc, TimeoutError):
                raise
            why = self.budget.circuit.reason
            said = f"the language model's endpoint does not answer: {why}" if why else "no turn at the language model"
            raise Unavailable(f"{said} within {timeout_s:.3g} s", WAITED_AGAIN_S) from None
        finally:
            del self._turns[ticket.id]

    async def settle(self, ticket_id: str, outcome: Outcome) -> bool:
        """Say how a granted call ended; whoever waits may go. Whether the endpoint is in trouble."""
        now_s = time.monotonic()
        self.budget.settle(now_s, ticket_id, outcome)
        self._pump()
        return self.budget.in_trouble(now_s)

    def _pump(self) -> None:
        """Let go whoever may, and come again when there is more."""
        now_s = time.monotonic()
        for granted in self.budget.grant(now_s, self._today()):
            turn = self._turns[granted.ticket.id]
            if not turn.done():
                turn.set_result(granted)
            elif isinstance(granted, Grant):
                self.budget.settle(now_s, granted.ticket.id, Outcome(Verdict.UNKNOWN))
        if self._timer is not None:
            self._timer.cancel()
        wait_s = self.budget.next_s(now_s)
        loop = asyncio.get_running_loop()
        self._timer = None if wait_s is None else loop.call_later(max(wait_s, 0.001), self._pump)
