"""Turns at a language model: a ticket in the deployment's line, probes on the way, and how a call ended."""

import time
from collections.abc import Callable
from uuid import uuid4

from memory.errors import LorebankError, Overloaded, Unprocessable
from memory.model_budget import Grant, Outcome, Refusal, Ticket, Verdict
from providers.model_access import AsyncModelAccess
from providers.openai_llm import OpenAICompatibleModel


class ModelTurns:
    """Admits the callers of one model, one by one."""

    def __init__(
        self, model: OpenAICompatibleModel, access: AsyncModelAccess, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._access = access
        self._monotonic = monotonic

    async def admitted(self, tenant: str, bank: str, tokens: int, deadline_at_s: float) -> Ticket | Refusal:
        """A ticket whose turn it is; whoever is sent to probe comes back to the line.

        Raises:
            RetryLater: no turn came before the deadline.
        """
        while True:
            ticket = Ticket(uuid4().hex, tenant, bank, tokens)
            granted = await self._access.admit(ticket, max(0.001, deadline_at_s - self._monotonic()))
            if isinstance(granted, Refusal):
                return granted
            if granted.probe_s is None:
                return ticket
            await self._probe(granted, granted.probe_s)

    async def _probe(self, grant: Grant, probe_s: float) -> None:
        outcome = Outcome(Verdict.UNKNOWN)
        try:
            await self._model.ping(probe_s)
            outcome = Outcome(Verdict.ANSWERED)
        except LorebankError as exc:
            outcome = outcome_of(exc)
        finally:
            await self._access.settle(grant.ticket.id, outcome)


def outcome_of(exc: LorebankError) -> Outcome:
    """What a failed call says of the endpoint."""
    if isinstance(exc, Overloaded):
        return Outcome(Verdict.THROTTLED, stated_wait_s=exc.retry_after_s)
    verdict = Verdict.ANSWERED if isinstance(exc, Unprocessable) else Verdict.FAILED
    return Outcome(verdict, reason=str(exc))
