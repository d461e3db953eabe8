"""What goes into extraction and what comes out: turns, claims about slots, candidate facts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from memory.records import UnitType
from memory.timeline import Span


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said at one time. `speaker` is a name; `role` is user, assistant or tool, where it is known."""

    text: str
    said_at: datetime
    speaker: str | None = None
    role: str | None = None


class Category(StrEnum):
    """What a fact is about."""

    IDENTITY = "identity"
    PREFERENCE = "preference"
    PLAN = "plan"
    EVENT = "event"
    POSSESSION = "possession"
    RELATIONSHIP = "relationship"
    OPINION = "opinion"
    FACT = "fact"
    """Anything else that stays true."""
    CONTEXT = "context"
    """What matters for the moment only: it expires."""
    SYSTEM = "system"
    """How the agent is to behave, or what it did itself."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a fact says of a slot: that it holds a value, or (`holds` false) that it no longer does.

    A claim that does not hold and names no value ends whatever the slot holds. `replaces` is false where two values can
    be true side by side (two jobs) and the text says nothing of a change. `happened` is true for a change that took
    place
    at the fact's time ("moved"), false for a state that held when it was told ("lives").
    """

    subject: str
    attribute: str
    value: str | None
    holds: bool = True
    replaces: bool = True
    happened: bool = False


@dataclass(frozen=True, slots=True)
class CandidateFact:
    """A self-contained statement found in a turn. `sentence` numbers its sentence within the turn, from 0.

    `statement` is the sentence with its speaker named; `text` adds the dates that relative phrases meant.
    """

    statement: str
    text: str
    type: UnitType
    category: Category
    confidence: float
    sentence: int
    subject: str
    occurred: Span | None = None
    claims: tuple[Claim, ...] = ()
    mentions: tuple[str, ...] = ()
    because_of: int | None = None
    """The sentence of the same turn that it is said to follow from."""
