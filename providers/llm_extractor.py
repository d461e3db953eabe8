"""Finds the facts of windows with a language model: groups, turns in line, calls, retries, outcomes."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from memory.errors import DeadlineExceeded, LorebankError, ModelUnusable, RetryLater, Unprocessable
from memory.extraction.answer_reading import WindowReading, read_answer
from memory.extraction.answer_schema import answer_schema
from memory.extraction.grouping import answer_tokens, estimate_tokens, group_windows
from memory.extraction.port import (
    Extracted,
    ExtractionMode,
    NotExtracted,
    Usage,
    WindowOutcome,
    WindowRequest,
)
from memory.extraction.prompt import build_messages
from memory.model_budget import Outcome, Refusal, Ticket, Verdict
from memory.ports import Completion
from providers.model_access import AsyncModelAccess
from providers.model_turns import ModelTurns, outcome_of
from providers.openai_llm import OpenAICompatibleModel
from providers.policy import AttemptFailed, RetryPolicy, with_retries_async

_SCHEMA_TOKENS = 400
"""Of the answer's schema, which endpoints count as part of the prompt."""

MAX_CUTS = 3
"""After so many answers of full length that were cut off, a window is given up: each costs as much as an answer can."""

Key = tuple[str, str, str]
"""Tenant, bank, hash of a window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionLimits:
    """How much goes into a call, and how long it is tried."""

    call_tokens: int = 3000
    """Tokens of text in one call; a window that is larger has a call of its own."""
    call_windows: int = 8
    max_output_tokens: int = 8192
    retries: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(
            deadline_s=300.0, attempt_s=60.0, attempts=6, first_wait_s=0.5, longest_wait_s=10.0
        )
    )
    """`attempt_s` is for one call, `deadline_s` for a window in all, its time in line included."""


class _CannotRead(Exception):
    """A call was answered, but not with what was asked for; `cut`: its end is missing."""

    def __init__(self, reason: str, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.cut = cut


class _OverCap(Exception):
    """The day's tokens are spent."""


class _EndpointDown(RetryLater):
    """Nothing was learnt of the window: no turn came, or key, model or path are refused, which may be mended."""


class LlmExtractor:
    """Implements memory.extraction.port.Extractor over a language model; used from one event loop.

    A call for several windows whose answer cannot be read is made again in halves, and windows that an answer leaves
    out are asked for again alone, so that one bad window holds no other up.
    """

    def __init__(
        self,
        model: OpenAICompatibleModel,
        access: AsyncModelAccess,
        limits: ExtractionLimits | None = None,
    ) -> None:
        self._model = model
        self._access = access
        self._turns = ModelTurns(model, access)
        self._limits = limits or ExtractionLimits()

    @property
    def name(self) -> str:
        """The model."""
        return self._model.name

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        """One outcome for each request, in their order; a window that stands there twice is asked for once."""
        asked = {_key(request): request for request in requests if _has_work(request)}
        limits = self._limits
        groups = group_windows(list(asked.values()), limits.call_tokens, limits.call_windows)
        run = _Run(self, time.monotonic() + limits.retries.deadline_s)
        await run.extract_all(groups)
        nothing = Extracted("", (), self.name)
        return [run.outcomes.get(_key(request)) or _renamed(nothing, request) for request in requests]

    async def attempt(
        self, group: Sequence[WindowRequest], deadline_at_s: float, spend: Callable[[Sequence[Usage]], None]
    ) -> Mapping[str, WindowReading]:
        """One call for some windows of one bank: readings by window, at least one.

        Raises:
            AttemptFailed: the endpoint did not answer, which may pass.
            ModelUnusable, Unprocessable: it refuses to.
            _EndpointDown: no turn came before the deadline.
            _OverCap, _CannotRead: as they say.
        """
        messages = build_messages(group)
        prompt_tokens = sum(estimate_tokens(message["content"]) for message in messages) + _SCHEMA_TOKENS
        ticket = await self._admitted(group[0], prompt_tokens + answer_tokens(group), deadline_at_s)
        call_s = max(0.001, min(self._limits.retries.attempt_s, deadline_at_s - time.monotonic()))
        schema = _schema(labels=bool(group[0].profile.labels))
        try:
            completion = await self._model.complete(
                messages, schema, max_tokens=self._limits.max_output_tokens, timeout_s=call_s
            )
        except LorebankError as exc:
            outcome = outcome_of(exc)
            if isinstance(exc, DeadlineExceeded):  # nobody knows what it has cost
                shares = _shares(Completion("", "", prompt_tokens, 0), group)
                spend(shares)
                outcome = replace(outcome, tokens=_tokens(shares))
            trouble = await self._access.settle(ticket.id, outcome)
            if isinstance(exc, RetryLater):
                error = _EndpointDown(str(exc), exc.retry_after_s) if trouble else exc
                raise AttemptFailed(error, exc.retry_after_s or None) from exc
            raise
        except BaseException:  # the caller gave up
            await self._access.settle(ticket.id, Outcome(Verdict.UNKNOWN))
            raise
        shares = _shares(completion, group)
        spend(shares)
        await self._access.settle(ticket.id, Outcome(Verdict.ANSWERED, _tokens(shares)))
        if completion.finish == "refusal":
            raise _CannotRead("the model refuses to answer")
        readings = read_answer(completion.text, group)
        if not readings:
            cut = completion.finish == "length"
            hint = " (it was cut off: see LOREBANK_LLM_MAX_OUTPUT_TOKENS)" if cut else ""
            raise _CannotRead(f"the model's answer cannot be read{hint}", cut=cut)
        return readings

    async def _admitted(self, request: WindowRequest, tokens: int, deadline_at_s: float) -> Ticket:
        try:
            found = await self._turns.admitted(request.tenant, request.bank, tokens, deadline_at_s)
        except RetryLater as exc:
            raise _EndpointDown(str(exc), exc.retry_after_s) from exc
        if isinstance(found, Refusal):
            raise _OverCap(found.reason)
        return found

    async def readings(
        self, group: Sequence[WindowRequest], deadline_at_s: float, spend: Callable[[Sequence[Usage]], None]
    ) -> Mapping[str, WindowReading]:
        """As `attempt`, again and again. One window is asked for again too when its answer cannot be read."""
        cuts = 0

        async def once(_: float) -> Mapping[str, WindowReading]:
            try:
                return await self.attempt(group, deadline_at_s, spend)
            except _CannotRead as exc:
                if len(group) > 1:
                    raise
                nonlocal cuts
                cuts += exc.cut
                unread = RetryLater(str(exc), 0.0)
                raise (unread if cuts >= MAX_CUTS else AttemptFailed(unread)) from exc
            except ModelUnusable as exc:
                raise AttemptFailed(_EndpointDown(str(exc), 1.0)) from exc

        return await with_retries_async(
            self._limits.retries,
            once,
            deadline_at_s=deadline_at_s,
        )


class _Run:
    """One `extract` under way: what each window has cost so far, and its outcome."""

    def __init__(self, extractor: LlmExtractor, deadline_at_s: float) -> None:
        self._extractor = extractor
        self._deadline_at_s = deadline_at_s
        self._spent: defaultdict[Key, Usage] = defaultdict(Usage)
        self.outcomes: dict[Key, WindowOutcome] = {}

    async def extract_all(self, groups: Sequence[Sequence[WindowRequest]]) -> None:
        """Give every window of some groups its outcome, all at once."""
        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                tasks.create_task(self.extract(group))

    async def extract(self, group: Sequence[WindowRequest]) -> None:
        """Give every window of a group its outcome."""
        try:
            readings = await self._extractor.readings(group, self._deadline_at_s, lambda each: self._spend(group, each))
        except (_CannotRead, Unprocessable) as exc:
            if len(group) == 1:
                self._fail(group, str(exc), retriable=False)
                return
            middle = (len(group) + 1) // 2
            await self.extract_all([group[:middle], group[middle:]])
        except _OverCap as exc:
            self._fail(group, str(exc), retriable=False)
        except RetryLater as exc:
            down = isinstance(exc, _EndpointDown)
            self._fail(group, str(exc), retriable=True, retry_after_s=exc.retry_after_s, unavailable=down)
        else:
            for request in group:
                if request.window in readings:
                    self._succeed(request, readings[request.window])
            left = [request for request in group if request.window not in readings]
            await self.extract_all([[request] for request in left])

    def _spend(self, group: Sequence[WindowRequest], shares: Sequence[Usage]) -> None:
        for request, share in zip(group, shares, strict=True):
            self._spent[_key(request)] += share

    def _succeed(self, request: WindowRequest, reading: WindowReading) -> None:
        key = _key(request)
        self.outcomes[key] = Extracted(
            request.window, reading.facts, self._extractor.name, self._spent[key], reading.dropped
        )

    def _fail(
        self,
        group: Sequence[WindowRequest],
        reason: str,
        *,
        retriable: bool,
        retry_after_s: float = 0.0,
        unavailable: bool = False,
    ) -> None:
        for request in group:
            key = _key(request)
            self.outcomes[key] = NotExtracted(
                request.window, reason, retriable, retry_after_s, unavailable, self._spent[key]
            )


def _key(request: WindowRequest) -> Key:
    return request.tenant, request.bank, request.window


def _has_work(request: WindowRequest) -> bool:
    return request.profile.mode is not ExtractionMode.CHUNKS and any(turn.text.strip() for turn in request.turns)


def _renamed(nothing: Extracted, request: WindowRequest) -> Extracted:
    return Extracted(request.window, nothing.facts, nothing.extractor)


def _shares(completion: Completion, group: Sequence[WindowRequest]) -> list[Usage]:
    """What each window of a call is charged with: equal parts, the first the remainder and the call itself."""
    prompt, prompt_left = divmod(completion.prompt_tokens, len(group))
    answer, answer_left = divmod(completion.completion_tokens, len(group))
    shares = [Usage(prompt, answer) for _ in group]
    shares[0] += Usage(prompt_left, answer_left, 1)
    return shares


def _tokens(shares: Sequence[Usage]) -> int:
    return sum(share.prompt_tokens + share.completion_tokens for share in shares)


@cache
def _schema(*, labels: bool) -> Mapping[str, Any]:
    return answer_schema(labels=labels)
