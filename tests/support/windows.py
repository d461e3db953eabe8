"""Windows to extract, and an extractor over a scripted endpoint."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from memory.circuit import CircuitLimits
from memory.extraction.port import ExtractionProfile, SourceTurn, WindowOutcome, WindowRequest
from memory.ids import digest
from memory.model_budget import BudgetLimits
from providers.llm_extractor import ExtractionLimits, LlmExtractor
from providers.model_access import AsyncModelAccess
from providers.openai_llm import ChatEndpoint, OpenAICompatibleModel
from providers.policy import RetryPolicy
from tests.support.scripted_llm import ScriptedLlm

SAID_AT = datetime(2024, 5, 8, 13, 30, tzinfo=UTC)
KEY = "sk-secret-7781"
QUICK = RetryPolicy(deadline_s=60.0, attempt_s=30.0, attempts=30, first_wait_s=0.01, longest_wait_s=0.1)
HASTY = replace(QUICK, attempt_s=0.5)
"""For endpoints that hang."""


def turn(text: str, number: int = 0, **given: Any) -> SourceTurn:
    return SourceTurn(f"unit-{number}", text, **{"said_at": SAID_AT, "speaker": "Ana", "role": "user", **given})


def window(*texts: str, bank: str = "bank", operation: str = "operation", **given: Any) -> WindowRequest:
    """A window of turns by Ana; its hash follows from its texts."""
    turns = tuple(turn(text, number) for number, text in enumerate(texts))
    values: dict[str, Any] = {"turns": turns, "profile": ExtractionProfile(), **given}
    return WindowRequest("tenant", bank, operation, digest("window", bank, *texts).hex(), **values)


class Extraction:
    """A model, its line of calls and an extractor over a scripted server; used within one event loop."""

    def __init__(
        self,
        llm: ScriptedLlm,
        budget: BudgetLimits | None = None,
        *,
        retries: RetryPolicy = QUICK,
        api_key: str = KEY,
        failures: int = 5,
        **limits: Any,
    ) -> None:
        self.model = OpenAICompatibleModel(ChatEndpoint(base_url=llm.url, model="scripted", api_key=api_key))
        probing = CircuitLimits(failures, probe_every_s=0.05, probe_s=0.2)
        budget = replace(budget or BudgetLimits(call_s=retries.attempt_s), circuit=probing)
        self.access = AsyncModelAccess(budget)
        self.extractor = LlmExtractor(self.model, self.access, ExtractionLimits(retries=retries, **limits))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.model.close()

    async def until(self, holds: Callable[["Extraction"], bool]) -> None:
        """Wait until something holds; the test's own time limit bounds it."""
        while not holds(self):  # noqa: ASYNC110 - the budget is pure and tells nobody
            await asyncio.sleep(0.01)

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        return await self.extractor.extract(requests)
