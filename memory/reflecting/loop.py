"""The loop of a reflection as a pure state machine: it yields wishes, takes replies, and ends within its limits.

    look up (every search, with the question) ─→ ask the model ─→ answer ─→ (structured output ─→ repair) ─→ end
                                                  ↑      │ calls
                                                  └ tools ┘

Whatever goes wrong with the model, the end is an answer: then it quotes what was found, and says why.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from memory.extraction.answer_reading import parse_json
from memory.extraction.grouping import estimate_tokens
from memory.extraction.prompt import encode
from memory.ports import Completion
from memory.reflecting.evidence import Evidence, described
from memory.reflecting.port import (
    Answered,
    AskModel,
    Brief,
    Limits,
    ModelAnswered,
    ModelAway,
    Piece,
    Purpose,
    Question,
    Reply,
    ToolAnswer,
    ToolCall,
    ToolsAnswered,
    TracedModel,
    TracedTool,
    UseTools,
    Wish,
)
from memory.reflecting.prompt import fenced, findings_message, question_message, structure_message, system_message
from memory.reflecting.quoting import quoted
from memory.reflecting.steps import Step, answer_schema, read_step, step_schema
from memory.reflecting.structured import problems_of
from memory.reflecting.tools import first_calls, refusal

Steps = Generator[Wish, Reply, Answered]

LAST_SHARE = 0.35
"""With so little of the time left, the model is asked for its answer."""
STEP_TOKENS = 300
"""Of a model's answer beside the text that the caller asked for."""
SCHEMA_TOKENS = 200
NO_MODEL = "No language model is configured"
UNREADABLE = "The language model's answers could not be read"
SPENT = "The limits of this reflection were reached"


@dataclass(slots=True)
class Loop:
    """One reflection. `tools`: those it may use, by name; `now` is told to the model; model: whether there is one."""

    question: Question
    brief: Brief
    limits: Limits
    tools: Mapping[str, str]
    started_s: float
    now: str = ""
    model: bool = True
    _evidence: Evidence = field(init=False)
    _messages: list[dict[str, str]] = field(init=False)
    _traced: list[TracedTool] = field(default_factory=list)
    _asked: list[TracedModel] = field(default_factory=list)
    _prompt_tokens: int = 0
    _answer_tokens: int = 0
    _now_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._evidence = Evidence(self.limits.evidence_tokens)
        self._now_s = self.started_s
        self._messages = [
            {"role": "system", "content": system_message(self.brief, self.tools)},
            {"role": "user", "content": question_message(self.question, self.now)},
        ]

    def steps(self) -> Steps:
        """The procedure: yields wishes, is sent their replies, returns how it ended."""
        rows = yield from self._use(first_calls(self.question, self.tools), 0)
        if not self.model:
            return self._quoted(NO_MODEL)
        for number in range(1, self.limits.calls + 1):
            last = number == self.limits.calls or self._is_nearly_spent()
            self._say(rows, last=last)
            schema = answer_schema() if last else step_schema(list(self.tools))
            reply = yield from self._ask("reflect", self._messages, schema, self.question.max_tokens + STEP_TOKENS)
            if isinstance(reply, str):
                return self._quoted(reply)
            step = read_step(reply.text)
            if step.answer:
                return (yield from self._structured(step))
            if last:
                break
            self._messages.append({"role": "assistant", "content": encode({"calls": list(map(_shown, step.calls))})})
            rows = (yield from self._use(step.calls, number)) if step.calls else [_PROBLEM]
        return self._quoted(UNREADABLE if not self._is_nearly_spent() else SPENT)

    # -- the memory

    def _use(self, calls: Sequence[ToolCall], number: int) -> Generator[Wish, Reply, list[dict[str, Any]]]:
        """Make the calls that may be made; what is told of all of them."""
        refused = [self._refusal(call, place) for place, call in enumerate(calls, len(self._traced))]
        made = tuple(call for call, why in zip(calls, refused, strict=True) if not why)
        answers: list[ToolAnswer] = []
        if made:
            reply = yield UseTools(tuple(map(self._with_ids, made)))
            assert isinstance(reply, ToolsAnswered)
            self._now_s = reply.now_s
            answers = list(reply.answers)
        rows: list[dict[str, Any]] = []
        for call, why in zip(calls, refused, strict=True):
            answer = ToolAnswer(problem=why) if why else answers.pop(0)
            self._traced.append(TracedTool(call, answer, number))
            rows.append(self._finding(call, answer))
        return rows

    def _refusal(self, call: ToolCall, place: int) -> str:
        if place >= self.limits.tool_calls:
            return f"{self.limits.tool_calls} calls are the most"
        return refusal(call, self.tools, tuple(label for label in call.ids if self._evidence.find(label) is None))

    def _with_ids(self, call: ToolCall) -> ToolCall:
        return ToolCall(call.tool, call.query, tuple(piece.id for piece in self._evidence.named(call.ids)))

    def _finding(self, call: ToolCall, answer: ToolAnswer) -> dict[str, Any]:
        rows, left_out = self._evidence.show(answer.pieces)
        told: dict[str, Any] = {"tool": call.tool, "query": call.query, "ids": list(call.ids)}
        told = {name: value for name, value in told.items() if value}
        told |= {"refused": answer.problem} if answer.problem else {"pieces": rows}
        return told | {"left_out_for_want_of_room": left_out} if left_out else told

    # -- the model

    def _say(self, rows: Sequence[Mapping[str, Any]], *, last: bool) -> None:
        self._messages.append({"role": "user", "content": findings_message(rows, last=last)})

    def _ask(
        self, purpose: Purpose, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any], max_tokens: int
    ) -> Generator[Wish, Reply, Completion | str]:
        """The model's answer, or why there is none."""
        prompt = sum(estimate_tokens(message["content"]) for message in messages) + SCHEMA_TOKENS
        left_s = self._left_s
        if left_s <= 0 or not self._can_afford(prompt, min(max_tokens, STEP_TOKENS)):
            return SPENT
        reply = yield AskModel(purpose, tuple(messages), schema, max_tokens, prompt, left_s)
        if isinstance(reply, ModelAway):
            self._now_s = reply.now_s
            return reply.reason
        assert isinstance(reply, ModelAnswered)
        self._now_s = reply.now_s
        self._asked.append(TracedModel(purpose, reply.took_s))
        self._prompt_tokens += reply.completion.prompt_tokens
        self._answer_tokens += reply.completion.completion_tokens
        return "The language model refuses to answer" if reply.completion.finish == "refusal" else reply.completion

    @property
    def _left_s(self) -> float:
        return self.started_s + self.limits.seconds - self._now_s

    def _can_afford(self, prompt_tokens: int, answer_tokens: int) -> bool:
        prompt, answer = self._prompt_tokens + prompt_tokens, self._answer_tokens + answer_tokens
        usd = self.limits.usd
        return prompt + answer <= self.limits.tokens and (usd is None or self.limits.cost_usd(prompt, answer) <= usd)

    def _is_nearly_spent(self) -> bool:
        """Whether another round of tools, and the call after it, might be too much."""
        said = sum(estimate_tokens(message["content"]) for message in self._messages) + SCHEMA_TOKENS
        answer = self.question.max_tokens + STEP_TOKENS
        room = self._can_afford(3 * said, 2 * answer)
        return (
            self._left_s < LAST_SHARE * self.limits.seconds or len(self._traced) >= self.limits.tool_calls or not room
        )

    # -- the end

    def _structured(self, step: Step) -> Generator[Wish, Reply, Answered]:
        pieces = self._evidence.named(step.used) or self._evidence.pieces
        schema = self.question.schema
        if schema is None:
            return self._ended(step.answer, "llm", pieces)
        given = {"answer": step.answer, "pieces": [described(piece) for piece in pieces], "schema": schema}
        messages = [
            {"role": "system", "content": structure_message(self.brief)},
            {"role": "user", "content": fenced(given)},
        ]
        problems = ["nothing was answered"]
        for purpose in _STRUCTURING:
            reply = yield from self._ask(purpose, messages, schema, self.question.max_tokens + STEP_TOKENS)
            if isinstance(reply, str):
                problems = [reply]
                break
            value, _ = parse_json(reply.text)
            problems = problems_of(schema, value)
            if not problems and isinstance(value, dict):
                return self._ended(step.answer, "llm", pieces, structured=value)
            problems = problems or ["$: an object is needed"]
            messages += [
                {"role": "assistant", "content": encode(value)},
                {"role": "user", "content": encode({"does_not_satisfy_the_schema": problems})},
            ]
        said = f"the model's output does not satisfy response_schema: {'; '.join(problems)[:1000]}"
        return self._ended(step.answer, "llm", pieces, structured_error=said)

    def _quoted(self, reason: str) -> Answered:
        found = quoted(self._evidence.pieces, self.question, reason, len(self.brief.directives))
        return self._ended(
            found.text,
            "extractive",
            found.pieces,
            reason=reason,
            structured=found.structured,
            structured_error=found.structured_error,
        )

    def _ended(
        self,
        text: str,
        mode: Literal["llm", "extractive"],
        pieces: tuple[Piece, ...],
        *,
        reason: str = "",
        structured: Mapping[str, Any] | None = None,
        structured_error: str | None = None,
    ) -> Answered:
        return Answered(
            text=text,
            mode=mode,
            based_on=pieces,
            seen=self._evidence.pieces,
            directives=self.brief.directives,
            structured=structured,
            structured_error=structured_error,
            reason=reason,
            prompt_tokens=self._prompt_tokens,
            answer_tokens=self._answer_tokens,
            tools=tuple(self._traced),
            models=tuple(self._asked),
        )


def _shown(call: ToolCall) -> dict[str, Any]:
    return {"tool": call.tool, "query": call.query, "ids": list(call.ids)}


_PROBLEM = {"refused": "that was no step: give calls, or an answer"}
_STRUCTURING: tuple[Purpose, ...] = ("structured", "repair")
