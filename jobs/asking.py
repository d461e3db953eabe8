"""Asks many questions and refreshes many mental models: several at once, at a bounded rate, each once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from actors.client import BankClient
from actors.reflection_client import kept_of
from jobs.pace import Pace
from jobs.patience import patiently
from jobs.progress_file import ProgressFile
from jobs.questions import Asked
from jobs.stale_models import refresh_id
from memory.errors import InvalidRequest, Unavailable
from memory.ids import Scope
from memory.mental_models import MentalModel
from memory.reflect_commands import RefreshModel
from memory.reflecting.port import Answered, Question
from memory.reflections import StoredReflection

POLL_S = 0.1
POLL_MOST_S = 2.0
UNANSWERED_IN_A_ROW = 20
"""Questions that the language model did not answer, one after the other, before the run ends."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caps:
    """How fast, and how much. tokens: of the language model, in all; None: no bound."""

    concurrency: int = 4
    questions_per_s: float | None = None
    tokens_per_minute: float | None = None
    tokens: int | None = None
    patience_s: float = 300.0


@dataclass(slots=True)
class Tally:
    """What became of everything so far."""

    answered: int = 0
    before: int = 0
    """Answered by an earlier run, or stored already under the same id."""
    unanswered: int = 0
    """Those that the language model did not answer: a later run asks them again."""
    refused: int = 0
    left: int = 0
    """Not begun, because the tokens were spent."""
    refreshed: int = 0
    unchanged: int = 0
    failed: int = 0
    tokens: int = 0
    banks: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Of what there is to do."""
        return self.answered + self.before + self.unanswered + self.refused + self.refreshed + self.failed

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "banks": len(self.banks),
            "questions": {
                "answered": self.answered,
                "answered_before": self.before,
                "unanswered": self.unanswered,
                "refused": self.refused,
                "left": self.left,
            },
            "models": {"refreshed": self.refreshed, "unchanged": self.unchanged, "failed": self.failed},
            "tokens": self.tokens,
            "problems": self.problems,
        }


class Throttle:
    """Holds questions back while more tokens were spent than so many a minute allow."""

    def __init__(self, tokens_per_minute: float | None) -> None:
        self._per_s = tokens_per_minute / 60 if tokens_per_minute else None
        self._free_at_s = 0.0

    def spend(self, tokens: int) -> None:
        """So many were spent now."""
        if self._per_s:
            self._free_at_s = max(self._free_at_s, time.monotonic()) + tokens / self._per_s

    async def wait(self) -> None:
        """Until what was spent is worked off."""
        await asyncio.sleep(max(0.0, self._free_at_s - time.monotonic()))


class Asker:
    """Does what iterators give; `advance` is told after each."""

    def __init__(
        self,
        client: BankClient,
        progress: ProgressFile,
        caps: Caps,
        *,
        store: bool = True,
        advance: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._progress = progress
        self._caps = caps
        self._store = store
        self._advance = advance
        self._gate = asyncio.Semaphore(caps.concurrency)
        self._pace = Pace(caps.questions_per_s)
        self._throttle = Throttle(caps.tokens_per_minute)
        self._writing = asyncio.Lock()
        self._in_a_row = 0
        self.tally = Tally()

    @property
    def spent(self) -> bool:
        """Whether no more tokens may be spent."""
        return self._caps.tokens is not None and self.tally.tokens >= self._caps.tokens

    async def ask(self, questions: Iterator[Asked]) -> None:
        """Ask all questions.

        Raises:
            RetryLater: a part took nothing for `patience_s`, or the language model does not answer.
        """
        async with asyncio.TaskGroup() as tasks:
            for asked in questions:
                await self._gate.acquire()
                tasks.create_task(self._one(self._ask(asked)))

    async def refresh(self, models: AsyncIterator[tuple[Scope, MentalModel]]) -> None:
        """Have models refreshed by their banks, and wait for it.

        Raises:
            RetryLater: a part took nothing for `patience_s`.
        """
        async with asyncio.TaskGroup() as tasks:
            async for scope, model in models:
                await self._gate.acquire()
                tasks.create_task(self._one(self._refresh(scope, model)))

    async def _one(self, work: Awaitable[None]) -> None:
        try:
            await work
            self._advance(self.tally)
        finally:
            self._gate.release()

    async def _ask(self, asked: Asked) -> None:
        tally = self.tally
        tally.banks.add(asked.scope.bank)
        if self._progress.find_row(asked.operation_id) is not None:
            tally.before += 1
            return
        stored = await self._patiently(lambda: self._find(asked)) if self._store else None
        if stored is not None:
            tally.before += 1
            await self._write(asked, {"reflection_id": stored.id, "text": stored.text, **(stored.answer or {})})
            return
        await self._throttle.wait()
        if self.spent:
            tally.left += 1
            return
        await self._pace.wait(1)
        try:
            answered = await self._patiently(lambda: self._reflect(asked.scope, asked.question))
            self._spend(answered.prompt_tokens + answered.answer_tokens)
            if self._client.reflecting.with_model and answered.mode != "llm":
                self._unanswered(asked, answered.reason)
                return
            kept = kept_of(answered)
            reflection_id = await self._patiently(lambda: self._keep(asked, answered)) if self._store else None
        except InvalidRequest as exc:
            tally.refused += 1
            self._problem(f"{asked.origin.file}, row {asked.origin.row}: {exc}")
            return
        self._in_a_row = 0
        tally.answered += 1
        await self._write(asked, {"reflection_id": reflection_id, "text": answered.text, **kept})

    def _unanswered(self, asked: Asked, reason: str) -> None:
        self.tally.unanswered += 1
        self._in_a_row += 1
        self._problem(f"{asked.origin.file}, row {asked.origin.row}: {reason}")
        if self._in_a_row >= UNANSWERED_IN_A_ROW:
            raise Unavailable(f"the language model did not answer {self._in_a_row} questions in a row: {reason}", 60.0)

    async def _find(self, asked: Asked) -> StoredReflection | None:
        return await self._client.reflecting.stored.find(asked.scope, asked.operation_id, asked.question, asked.tags)

    async def _reflect(self, scope: Scope, question: Question) -> Answered:
        async for event in self._client.reflecting.watch(scope, question):
            if isinstance(event, Answered):
                return event
        raise AssertionError("a reflection ends with its answer")

    async def _keep(self, asked: Asked, answered: Answered) -> str:
        kept = self._client.reflecting.stored
        return (await kept.store(asked.scope, asked.operation_id, asked.question, asked.tags, answered)).id

    async def _write(self, asked: Asked, answer: dict[str, Any]) -> None:
        row = {"operation_id": asked.operation_id, "bank": asked.scope.bank, "id": asked.key}
        row |= {"question": asked.question.query, **answer}
        async with self._writing:
            await asyncio.to_thread(self._progress.add_row, row)

    async def _refresh(self, scope: Scope, model: MentalModel) -> None:
        tally, reflecting = self.tally, self._client.reflecting
        tally.banks.add(scope.bank)
        await self._throttle.wait()
        if self.spent:
            tally.left += 1
            return
        await self._pace.wait(1)
        try:
            if model.pending is None:
                command = RefreshModel(refresh_id(scope, model), model.id)
                asked = await self._patiently(lambda: reflecting.change_model(scope, command))
            else:
                asked = model
            after = await self._refreshed(scope, asked)
        except InvalidRequest as exc:  # it was deleted meanwhile
            tally.failed += 1
            self._problem(f"{scope.bank}, model {model.id}: {exc}")
            return
        if after.refreshed_at == model.refreshed_at:
            tally.failed += 1
            self._problem(f"{scope.bank}, model {model.id}: {after.failure or 'it was not refreshed in time'}")
            return
        tally.refreshed += 1
        tally.unchanged += after.version == model.version
        if after.reflection != model.reflection:
            self._spend(int(((after.reflection or {}).get("usage") or {}).get("total_tokens", 0)))

    async def _refreshed(self, scope: Scope, model: MentalModel) -> MentalModel:
        """The model once the refresh that is pending at it has ended, was put off, or took too long."""
        until_s, pause_s = time.monotonic() + self._caps.patience_s, POLL_S
        pending, id_ = model.pending, model.id
        while model.pending is not None and pending is not None:
            same = model.pending.operation_id == pending.operation_id
            if not same or model.pending.attempts > pending.attempts or time.monotonic() >= until_s:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(1.5 * pause_s, POLL_MOST_S)
            model = await self._patiently(lambda: self._client.reflecting.get_model(scope, id_))
        return model

    def _spend(self, tokens: int) -> None:
        self.tally.tokens += tokens
        self._throttle.spend(tokens)

    def _problem(self, said: str) -> None:
        if len(self.tally.problems) < UNANSWERED_IN_A_ROW:
            self.tally.problems.append(said)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        return await patiently(self._caps.patience_s, work)
