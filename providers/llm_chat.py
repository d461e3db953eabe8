"""Single calls of a language model for reflections: a turn in line, the call, retries, what it has spent."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from memory.errors import DeadlineExceeded, LorebankError, ModelUnusable, RetryLater, Unavailable
from memory.model_budget import Outcome, Refusal, Verdict
from memory.ports import ChatRequest, Completion
from providers.model_access import AsyncModelAccess
from providers.model_turns import ModelTurns, outcome_of
from providers.openai_llm import OpenAICompatibleModel
from providers.policy import AttemptFailed, RetryPolicy, with_retries_async

TURN_S = 5.0
"""How long a turn is waited for: somebody waits for the answer, and without a model there is one, too."""
CAPPED_S = 3600.0
"""What callers are told to wait once the day's tokens are spent."""


class LlmChat:
    """Implements memory.ports.Chat over a language model; used from one event loop.

    Callers' schemas go over a model object of their own (`foreign`): an endpoint that refuses one of them would
    otherwise be taken for one that knows no schemas.
    """

    def __init__(
        self,
        model: OpenAICompatibleModel,
        foreign: OpenAICompatibleModel,
        access: AsyncModelAccess,
        retries: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._foreign = foreign
        self._access = access
        self._turns = ModelTurns(model, access, monotonic)
        self._retries = retries
        self._sleep = sleep
        self._monotonic = monotonic

    async def ask(self, request: ChatRequest) -> Completion:
        """The answer to one request.

        Raises:
            RetryLater: no turn came, the endpoint does not answer or refuses everything, the day's tokens are spent.
            Unprocessable: the endpoint refuses this request.
        """
        deadline_at_s = self._monotonic() + request.timeout_s
        policy = replace(self._retries, deadline_s=max(0.001, request.timeout_s))
        return await with_retries_async(
            policy,
            lambda _: self._attempt(request, deadline_at_s),
            deadline_at_s=deadline_at_s,
            sleep=self._sleep,
            monotonic=self._monotonic,
        )

    async def _attempt(self, request: ChatRequest, deadline_at_s: float) -> Completion:
        tokens = request.prompt_tokens + request.max_tokens
        turn_at_s = min(deadline_at_s, self._monotonic() + TURN_S)
        ticket = await self._turns.admitted(request.tenant, request.bank, tokens, turn_at_s)
        if isinstance(ticket, Refusal):
            raise Unavailable(ticket.reason, CAPPED_S)
        model = self._foreign if request.foreign else self._model
        call_s = max(0.001, min(self._retries.attempt_s, deadline_at_s - self._monotonic()))
        try:
            completion = await model.complete(
                request.messages, request.schema, max_tokens=request.max_tokens, timeout_s=call_s
            )
        except LorebankError as exc:
            outcome = outcome_of(exc)
            if isinstance(exc, DeadlineExceeded):  # nobody knows what it has cost
                outcome = replace(outcome, tokens=request.prompt_tokens)
            await self._access.settle(ticket.id, outcome)
            if isinstance(exc, RetryLater):
                raise AttemptFailed(exc, exc.retry_after_s or None) from exc
            if isinstance(exc, ModelUnusable):
                raise Unavailable(str(exc), 1.0) from exc
            raise
        except BaseException:  # the caller gave up
            await self._access.settle(ticket.id, Outcome(Verdict.UNKNOWN))
            raise
        spent_tokens = completion.prompt_tokens + completion.completion_tokens
        await self._access.settle(ticket.id, Outcome(Verdict.ANSWERED, spent_tokens))
        return completion
