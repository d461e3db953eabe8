"""What a reflection is asked, what it may cost, and what goes between the loop and whoever drives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from memory.directives import Directive
from memory.filters import TRUE, Filter
from memory.ports import Completion
from memory.recipes import Budget
from memory.records import UnitType

MEMORY: Final = "memory"
MENTAL_MODEL: Final = "mental_model"
PieceKind = Literal["memory", "mental_model"]
Purpose = Literal["reflect", "structured", "repair", "edit"]
"""What a call of the model is for."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered, from which part of the bank. `scoped`: the caller gave tags, so that `where` says some.

    types: of units; none: all of them. max_tokens: of the answer. after_seq: only what was stored after it.
    """

    query: str
    context: str = ""
    budget: Budget = "low"
    max_tokens: int = 4096
    schema: Mapping[str, Any] | None = None
    where: Filter = TRUE
    scoped: bool = False
    types: tuple[UnitType, ...] = ()
    all_directives: bool = False
    use_mental_models: bool = True
    excluded_mental_models: tuple[str, ...] = ()
    after_seq: int = 0


@dataclass(frozen=True, slots=True)
class Brief:
    """What the bank's owner wants of an answer: rules in order, what the bank is for, traits from 1 to 5."""

    directives: tuple[Directive, ...] = ()
    mission: str = ""
    disposition: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reflection may use. usd: at the prices given, in dollars for a million tokens; None: no limit."""

    calls: int = 9
    """Of the model, before it must have answered; structured output has up to two more."""
    tool_calls: int = 24
    tokens: int = 150_000
    """Prompts and answers of all calls together."""
    evidence_tokens: int = 24_000
    """Of what is shown of the memory, all tools together."""
    seconds: float = 25.0
    usd: float | None = None
    prompt_usd: float = 0.0
    answer_usd: float = 0.0

    def cost_usd(self, prompt_tokens: int, answer_tokens: int) -> float:
        """What tokens cost."""
        return (prompt_tokens * self.prompt_usd + answer_tokens * self.answer_usd) / 1e6


SHARES: Mapping[Budget, float] = {"low": 1 / 3, "mid": 2 / 3, "high": 1.0}
"""Of the calls and tokens that a deployment allows, by budget."""


def limits_of(budget: Budget, whole: Limits) -> Limits:
    """What a budget allows of what the deployment does; the time is the same for all."""
    share = SHARES[budget]
    return replace(
        whole,
        calls=max(1, round(whole.calls * share)),
        tool_calls=max(1, round(whole.tool_calls * share)),
        tokens=round(whole.tokens * share),
        evidence_tokens=round(whole.evidence_tokens * share),
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Something remembered that a tool found: a unit's payload as stored, or a mental model's."""

    id: str
    kind: PieceKind
    text: str
    tokens: int
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool: `query` for those that search, `ids` of pieces for those that look closer."""

    tool: str
    query: str = ""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool found, best first; or why it could not look."""

    pieces: tuple[Piece, ...] = ()
    problem: str = ""
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class UseTools:
    """Wish of the loop: the answers to these calls, in their order."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class AskModel:
    """Wish of the loop: what the model says to these messages."""

    purpose: Purpose
    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, Any]
    max_tokens: int
    prompt_tokens: int
    """Estimated."""
    timeout_s: float


Wish = UseTools | AskModel


@dataclass(frozen=True, slots=True)
class ToolsAnswered:
    """Reply to UseTools; `now_s` is the driver's clock."""

    answers: tuple[ToolAnswer, ...]
    now_s: float


@dataclass(frozen=True, slots=True)
class ModelAnswered:
    """Reply to AskModel."""

    completion: Completion
    now_s: float
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelAway:
    """Reply to AskModel: there is no answer, and none is to be expected soon."""

    reason: str
    now_s: float


Reply = ToolsAnswered | ModelAnswered | ModelAway


@dataclass(frozen=True, slots=True)
class TracedTool:
    """A tool call that was made or refused: in which round, what it found, how long it took."""

    call: ToolCall
    answer: ToolAnswer
    round: int


@dataclass(frozen=True, slots=True)
class TracedModel:
    """A call of the model."""

    purpose: Purpose
    took_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """How a reflection ended. `mode`: llm, or extractive with the `reason` why the model did not write it.

    based_on: pieces that the answer rests on; seen: all that were shown to the model.
    """

    text: str
    mode: Literal["llm", "extractive"]
    based_on: tuple[Piece, ...] = ()
    seen: tuple[Piece, ...] = ()
    directives: tuple[Directive, ...] = ()
    structured: Mapping[str, Any] | None = None
    structured_error: str | None = None
    reason: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    tools: tuple[TracedTool, ...] = ()
    models: tuple[TracedModel, ...] = ()
