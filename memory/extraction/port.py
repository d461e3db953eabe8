"""The seam between the EXTRACT stage and whoever finds facts: windows of text in, candidate facts or a failure out.

Rules and language models implement the same `Extractor`. It keeps nothing and stores nothing: answers are told apart by
`WindowRequest.window`, every request gets exactly one outcome, and the outcomes come in the order of the requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from memory.extraction.candidates import CandidateFact


class ExtractionMode(StrEnum):
    """What a bank wants to have found; the values of its `retain_extraction_mode`."""

    CONCISE = "concise"
    """What will matter later, in few facts."""
    VERBOSE = "verbose"
    """Everything that is stated, in detail."""
    CUSTOM = "custom"
    """What the bank's own instructions say."""
    VERBATIM = "verbatim"
    """Each turn is a fact in its own words; only names, dates, category and claims are found."""
    CHUNKS = "chunks"
    """Nothing is extracted: outcomes are empty, and no model is called."""


class LabelKind(StrEnum):
    """What an entity label holds."""

    VALUE = "value"
    """One of its values."""
    VALUES = "multi-values"
    """Any number of its values."""
    TEXT = "text"
    """Free text."""
    MAP = "map"
    """Free text by free keys."""


@dataclass(frozen=True, slots=True)
class EntityLabel:
    """A line of a bank's own vocabulary, which facts are labelled by. `values` are (value, description) pairs."""

    name: str
    description: str = ""
    kind: LabelKind = LabelKind.VALUE
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ExtractionProfile:
    """What one bank (or one item of a retain) asks of an extraction.

    `known_entities` are (name, type) pairs that the bank knows already, most useful first; `given_entities` those that
    the caller sent with the item: they are part of every fact of it that names them. An empty type is not known.
    """

    mode: ExtractionMode = ExtractionMode.CONCISE
    mission: str = ""
    instructions: str = ""
    """Used in mode custom alone."""
    labels: tuple[EntityLabel, ...] = ()
    known_entities: tuple[tuple[str, str], ...] = ()
    given_entities: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceTurn:
    """A turn of a window: the unit it is stored as and what it says. `said_at` None: nobody knows when."""

    unit_id: str
    text: str
    said_at: datetime | None = None
    speaker: str | None = None
    role: str | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """A window to be extracted. `window` is its hash; `before` are turns that explain it and yield no facts."""

    tenant: str
    bank: str
    operation_id: str
    window: str
    turns: tuple[SourceTurn, ...]
    before: tuple[SourceTurn, ...] = ()
    profile: ExtractionProfile = field(default_factory=ExtractionProfile)
    context: str = ""
    """What the caller said the text is about."""


@dataclass(frozen=True, slots=True)
class WindowFact:
    """A candidate fact and the turns of its window that state it, by index, lowest first, at least one.

    `entities` are the (name, type) pairs of `fact.mentions`; types are person, place, organisation and concept. `quote`
    is a passage of one of those turns, `labels` hold (label, value) pairs, `causes` indexes of earlier facts of the
    window that this one follows from.
    """

    fact: CandidateFact
    turns: tuple[int, ...]
    entities: tuple[tuple[str, str], ...] = ()
    quote: str | None = None
    language: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    causes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and calls that an outcome took; shares of a call that several windows had in common add up to it."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Both together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.calls + other.calls,
        )


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was found in a window; `extractor` names who found it (rules, or a model).

    `dropped` counts facts that were stated and did not hold up: a quote that nobody said, a turn that is not there.
    """

    window: str
    facts: tuple[WindowFact, ...]
    extractor: str
    usage: Usage = field(default_factory=Usage)
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class NotExtracted:
    """Why a window has no answer; `retriable`: the same request may succeed, not before `retry_after_s`.

    `unavailable`: the endpoint as a whole does not answer, which says nothing of the window: it is no attempt to count
    against it. The usage counts what was spent in vain. `reason` is fit for callers: no key, no text of the window.
    """

    window: str
    reason: str
    retriable: bool
    retry_after_s: float = 0.0
    unavailable: bool = False
    usage: Usage = field(default_factory=Usage)


WindowOutcome = Extracted | NotExtracted


class Extractor(Protocol):
    """Finds the facts of windows; safe to call many times at once."""

    @property
    def name(self) -> str:
        """Who finds: `rules`, or the model."""
        ...

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        """One outcome for each request, in their order. Never raises for what a text or an endpoint does."""
        ...


def outcomes_by_window(outcomes: Sequence[WindowOutcome]) -> Mapping[str, WindowOutcome]:
    """Outcomes by the hash of their windows."""
    return {outcome.window: outcome for outcome in outcomes}
