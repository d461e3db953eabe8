"""The language model's actor: one line of calls for the whole deployment, and the extraction that stands in it.

An asynchronous actor and not a task for each batch: it keeps its connections, what it knows of the endpoint and what
was spent, answers each request as soon as its windows are done, and holds up no worker while it waits.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

import ray

from actors.calls import ask
from actors.pulse import HEALTH, Pulse, own_pulse, with_pulse
from actors.settings import NAMESPACE, Settings
from actors.spending import SpendingKeeper
from actors.stores import store_of
from actors.wiring import AsyncModelAccess, build_llm_chat, build_llm_extractor, utc_today
from memory.errors import RetryLater, Unavailable
from memory.extraction.port import NotExtracted, WindowOutcome, WindowRequest
from memory.model_budget import BudgetLimits
from memory.ports import ChatRequest, Completion
from memory.spending import Caps

LANGUAGE_MODEL = "language-model"
LANGUAGE_MODEL_CALLS = 4096
"""Requests it works on at once: they wait in its line."""
NICENESS = 10
"""Of its process: a recall on the same cores goes first."""
SLACK_S = 15.0
"""How much longer than a window's deadline its caller waits."""
CHAT_SLACK_S = 2.0
"""As SLACK_S, of a call for a reflection, whose caller has a deadline of its own."""
AWAY_S = 2.0
"""When to ask again while the actor restarts."""


def budget_limits(settings: Settings) -> BudgetLimits:
    """What the endpoint bears and what may be spent, as the operator set it."""
    return BudgetLimits(
        calls_at_once=settings.llm_calls_at_once,
        requests_per_minute=settings.llm_requests_per_minute,
        tokens_per_minute=settings.llm_tokens_per_minute,
        call_s=settings.llm_call_s,
        caps=Caps(settings.llm_bank_tokens_per_day, settings.llm_tenant_tokens_per_day),
    )


class LanguageModelHost:
    """Finds facts for every bank host, over one line of calls."""

    def __init__(self, settings: Settings, shards: Sequence[Any], space: Any) -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        self._access = AsyncModelAccess(budget_limits(settings))
        self._extractor = build_llm_extractor(settings, self._access)
        self._chat = build_llm_chat(settings, self._access)
        self._spending = SpendingKeeper(store_of(settings, shards, space), self._access.budget.ledger, utc_today)
        self._keeping = asyncio.get_running_loop().create_task(self._spending.run())

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        """One outcome for each request, in their order."""
        await self._spending.read.wait()
        return await self._extractor.extract(requests)

    async def ask(self, request: ChatRequest) -> Completion:
        """The model's answer for a reflection.

        Raises:
            RetryLater, Unprocessable: as memory.ports.Chat.
        """
        await self._spending.read.wait()
        return await self._chat.ask(request)

    async def report(self) -> dict[str, Any]:
        """What stands in line, what is under way, what is wrong with the endpoint, tokens spent today by tenant."""
        budget = self._access.budget
        return {
            "model": self._extractor.name,
            "waiting": budget.waiting,
            "under_way": budget.under_way,
            "trouble": budget.circuit.reason,
            "tokens_today": {tenant: tokens for (tenant, bank), tokens in budget.ledger.spent.items() if bank is None},
        }

    @ray.method(concurrency_group=HEALTH)
    async def pulse(self) -> Pulse:
        """That its process runs."""
        return own_pulse()


LanguageModelActor = with_pulse(LanguageModelHost)


class RemoteExtractor:
    """Implements memory.extraction.port.Extractor by the deployment's LanguageModelActor, from any process."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.llm_deadline_s + SLACK_S
        self._name = settings.llm_model or ""

    @property
    def name(self) -> str:
        """The model."""
        return self._name

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        """One outcome for each request, in their order; an actor that restarts says nothing of them."""
        try:
            outcomes: list[WindowOutcome] = await ask(
                self._actor().extract.remote(list(requests)), self._timeout_s, LANGUAGE_MODEL
            )
        except RetryLater as exc:
            return [NotExtracted(request.window, str(exc), True, AWAY_S, True) for request in requests]
        return outcomes

    def _actor(self) -> Any:
        return _running()


class RemoteChat:
    """Implements memory.ports.Chat by the deployment's LanguageModelActor, from any process."""

    async def ask(self, request: ChatRequest) -> Completion:
        """The answer.

        Raises:
            RetryLater: the actor restarts, or as it says.
            Unprocessable: the endpoint refuses this request.
        """
        found: Completion = await ask(_running().ask.remote(request), request.timeout_s + CHAT_SLACK_S, LANGUAGE_MODEL)
        return found


def _running() -> Any:
    try:
        return ray.get_actor(LANGUAGE_MODEL, namespace=NAMESPACE)
    except ValueError as exc:
        raise Unavailable(f"{LANGUAGE_MODEL} does not run", AWAY_S) from exc
