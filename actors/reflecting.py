"""Reflector: drives the loop of a reflection over the store, recall and the language model."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from actors.clocks import SystemClock
from actors.kept import Kept
from actors.reflect_tools import MemoryTools
from actors.settings import Settings, inherited_by
from memory.bank_profile import read_profile
from memory.directives import DIRECTIVES, MAX_DIRECTIVES, Directive, applying, decode_directive
from memory.errors import LorebankError, RetryLater, Unprocessable
from memory.ids import Scope
from memory.mental_models import MAX_MODELS, MODELS, MentalModel, decode_model
from memory.ports import Chat, ChatRequest
from memory.recall import RecallAnswer, RecallQuery
from memory.records import Head, Record, RecordKind
from memory.reflecting.loop import NO_MODEL, Loop
from memory.reflecting.port import (
    Answered,
    AskModel,
    Brief,
    Limits,
    ModelAnswered,
    ModelAway,
    Piece,
    Question,
    Reply,
    ToolAnswer,
    ToolCall,
    ToolsAnswered,
    UseTools,
    limits_of,
)
from memory.reflecting.structured import check_schema
from memory.reflecting.tools import RECALL, tools_of
from memory.store_calls import Batch, ListRecords, ReadHead, RecordPage, Store

Recall = Callable[[Scope, RecallQuery], Awaitable[RecallAnswer]]
SHARE_OF_REQUEST = 0.9
"""Of the time a request may take: the rest is for the way."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a reflection does next, for those who watch it."""

    doing: str
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Character:
    """What a bank reflects by: its head, rules, mental models, and the brief but for the rules."""

    head: Head
    directives: tuple[Directive, ...]
    models: tuple[MentalModel, ...]
    brief: Brief


def whole_limits(settings: Settings) -> Limits:
    """What the deployment allows a reflection with budget high."""
    return Limits(
        calls=settings.reflect_calls,
        tool_calls=3 * settings.reflect_calls,
        tokens=settings.reflect_tokens,
        evidence_tokens=settings.reflect_evidence_tokens,
        seconds=min(settings.reflect_deadline_s, SHARE_OF_REQUEST * settings.request_timeout_s),
        usd=settings.reflect_usd,
        prompt_usd=settings.llm_prompt_usd_per_million,
        answer_usd=settings.llm_answer_usd_per_million,
    )


class Reflector:
    """Reflects from one event loop; keeps nothing between reflections. chat None: there is no language model."""

    def __init__(self, store: Store, recall: Recall, chat: Chat | None, settings: Settings) -> None:
        self._store = store
        self._recall = recall
        self._chat = chat
        self._settings = settings
        self._kept = Kept(settings)
        self._clock = SystemClock()

    async def reflect(self, scope: Scope, question: Question, seconds: float | None = None) -> Answered:
        """The answer to a question; seconds: in place of the deployment's limit.

        Raises:
            Unprocessable: the question's schema cannot be used.
            RetryLater: the store does not answer.
        """
        async for event in self.watch(scope, question, seconds):
            if isinstance(event, Answered):
                return event
        raise AssertionError("a reflection ends with its answer")

    async def watch(
        self, scope: Scope, question: Question, seconds: float | None = None
    ) -> AsyncIterator[Progress | Answered]:
        """As `reflect`, telling what is done before it is done; the answer comes last."""
        if question.schema is not None:
            check_schema(question.schema)
        character = await self.character(scope)
        now = self._clock.now()
        shown = replace(question, where=self._kept.beside(scope, character.head, question.where, now))
        tools = MemoryTools(scope, shown, self._store, self._recall, character.models, now)
        observations = bool(character.head.counters.get("type:observation"))
        names = tools_of(question, mental_models=bool(character.models), observations=observations)
        limits = limits_of(question.budget, whole_limits(self._settings))
        limits = limits if seconds is None else replace(limits, seconds=seconds)
        loop = Loop(
            question,
            self.brief_for(character, question),
            limits,
            names,
            time.monotonic(),
            self.now(),
            model=self._chat is not None,
        )
        steps = loop.steps()
        reply: Reply | None = None
        while True:
            try:
                wish = next(steps) if reply is None else steps.send(reply)
            except StopIteration as end:
                answered: Answered = end.value
                yield answered
                return
            if isinstance(wish, UseTools):
                yield Progress("look", wish.calls)
                reply = await _use(tools, wish)
            else:
                yield Progress(wish.purpose)
                reply = await self.ask(scope, wish)

    async def look_up(self, scope: Scope, question: Question) -> tuple[Piece, ...]:
        """What is remembered about a question, best first."""
        tools = MemoryTools(scope, question, self._store, self._recall, (), self._clock.now())
        return tuple(await tools.use(ToolCall(RECALL, question.query)))

    def brief_for(self, character: Character, question: Question) -> Brief:
        """The bank's brief with the rules that apply to a question."""
        rules = applying(
            character.directives, question.where, scoped=question.scoped, everything=question.all_directives
        )
        return replace(character.brief, directives=rules)

    @property
    def evidence_tokens(self) -> int:
        """What may be shown of the memory, with budget mid."""
        return limits_of("mid", whole_limits(self._settings)).evidence_tokens

    def now(self) -> str:
        """The time as the model is told it."""
        return self._clock.now().isoformat(timespec="minutes")

    async def ask(self, scope: Scope, wish: AskModel) -> ModelAnswered | ModelAway:
        """What the model says, or why it says nothing."""
        if self._chat is None:
            return ModelAway(NO_MODEL, time.monotonic())
        request = ChatRequest(
            tenant=scope.tenant,
            bank=scope.bank,
            messages=wish.messages,
            schema=wish.schema,
            max_tokens=wish.max_tokens,
            prompt_tokens=wish.prompt_tokens,
            timeout_s=wish.timeout_s,
            foreign=wish.purpose in {"structured", "repair"},
        )
        began_s = time.monotonic()
        try:
            completion = await self._chat.ask(request)
        except (RetryLater, Unprocessable) as exc:
            return ModelAway(f"The language model does not answer ({exc})", time.monotonic())
        now_s = time.monotonic()
        return ModelAnswered(completion, now_s, now_s - began_s)

    async def character(self, scope: Scope) -> Character:
        """What a bank reflects by; the defaults for one that does not exist."""
        head = await self._store.perform(scope, ReadHead())
        head = head if head is not None and head.exists else Head()
        kinds = ((DIRECTIVES, RecordKind.DIRECTIVE, MAX_DIRECTIVES), (MODELS, RecordKind.MENTAL_MODEL, MAX_MODELS))
        wanted = [(kind, most) for counter, kind, most in kinds if head.counters.get(counter)]
        reads: Batch[RecordPage] = Batch(tuple(ListRecords(kind, most) for kind, most in wanted))
        pages = await self._store.perform(scope, reads) if wanted else []
        records: list[Record] = [record for page in pages for record in page.records]
        profile = read_profile(scope.bank, head.profile, inherited_by(self._settings, scope.tenant))
        return Character(
            head,
            tuple(decode_directive(record) for record in records if record.kind is RecordKind.DIRECTIVE),
            tuple(decode_model(record) for record in records if record.kind is RecordKind.MENTAL_MODEL),
            Brief(mission=profile.mission, disposition=profile.disposition),
        )


async def _use(tools: MemoryTools, wish: UseTools) -> ToolsAnswered:
    answers = await asyncio.gather(*(_answer(tools, call) for call in wish.calls))
    return ToolsAnswered(tuple(answers), time.monotonic())


async def _answer(tools: MemoryTools, call: ToolCall) -> ToolAnswer:
    began_s = time.monotonic()
    try:
        pieces = await tools.use(call)
    except LorebankError as exc:
        if not isinstance(exc, (RetryLater, Unprocessable)):
            raise
        return ToolAnswer(problem=f"the memory does not answer: {exc}", took_s=time.monotonic() - began_s)
    return ToolAnswer(tuple(pieces), took_s=time.monotonic() - began_s)


def usage_of(answered: Answered) -> dict[str, Any]:
    """Tokens of a reflection as the wire has them."""
    prompt, answer = answered.prompt_tokens, answered.answer_tokens
    return {"input_tokens": prompt, "output_tokens": answer, "total_tokens": prompt + answer}
