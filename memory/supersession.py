"""A slot's chain: which of its facts holds when, as a pure function of the facts that are live.

Facts are ordered by (the last instant they vouch for, mentioned, seq, id). A state ("lives in Oslo") vouches for the
moment it was told; a change ("moved in 2019") for the time it happened. The first later fact that contradicts one
closes it: another value, or a negation of the same. Nothing is remembered between two computations, so late news,
replacing, deleting and restoring a fact all give the chain that telling the remaining facts in order would have given.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from memory.timeline import Span


@dataclass(frozen=True, slots=True)
class SlotFact:
    """A live fact's claim on one slot. Times are aware UTC; see `memory.extraction.candidates.Claim` for the flags."""

    id: str
    value: str | None
    mentioned_at: datetime
    seq: int
    occurred: Span | None = None
    holds: bool = True
    replaces: bool = True
    happened: bool = False


@dataclass(frozen=True, slots=True)
class Validity:
    """When a fact holds: from `valid_from` up to `valid_to` (None: to this day), closed by the fact `superseded_by`."""

    valid_from: datetime
    valid_to: datetime | None = None
    superseded_by: str | None = None


def chain_of(facts: Iterable[SlotFact]) -> Mapping[str, Validity]:
    """Validity of each fact of one slot, by its id; the order the facts come in does not matter."""
    ordered = sorted(facts, key=_order)
    begins = {fact.id: _begin(fact) for fact in ordered}
    closed: dict[str, tuple[datetime, str]] = {}
    for index, fact in enumerate(ordered):
        following = next((later for later in ordered[index + 1 :] if _contradicts(fact, later)), None)
        if following is not None:
            border = max(begins[following.id], vouched_until(fact))
            closed[fact.id] = border, following.id
    opened = {fact.id: begins[fact.id] for fact in ordered}
    for border, by in closed.values():
        opened[by] = max(opened[by], border)
    return {
        fact.id: Validity(opened[fact.id], max(closed[fact.id][0], opened[fact.id]), closed[fact.id][1])
        if fact.id in closed
        else Validity(opened[fact.id])
        for fact in ordered
    }


def vouched_until(fact: SlotFact) -> datetime:
    """The last instant a fact speaks for: its telling, or for a change the end of the time it happened in."""
    if fact.happened and fact.occurred is not None:
        return min(fact.occurred.end, fact.mentioned_at)
    return fact.mentioned_at


def normal_value(value: str) -> str:
    """A value as it is compared: lower case, no punctuation, no article."""
    words = re.sub(r"[^\w\s@+]", " ", value.casefold()).split()
    return " ".join(words[1:] if words and words[0] in {"a", "an", "the"} and len(words) > 1 else words)


def _order(fact: SlotFact) -> tuple[datetime, datetime, int, str]:
    return vouched_until(fact), fact.mentioned_at, fact.seq, fact.id


def _begin(fact: SlotFact) -> datetime:
    return min(fact.occurred.start, fact.mentioned_at) if fact.occurred is not None else fact.mentioned_at


def _contradicts(fact: SlotFact, later: SlotFact) -> bool:
    if fact.holds and later.holds:
        return later.replaces and not _same(fact.value, later.value)
    if fact.holds == later.holds:
        return False
    denied, asserted = (later, fact) if fact.holds else (fact, later)
    return denied.value is None or _same(denied.value, asserted.value)


def _same(one: str | None, other: str | None) -> bool:
    """Whether two values agree: equal, or one of them only says more ("Oslo" and "Oslo, Norway")."""
    if one is None or other is None:
        return one is other
    first, second = normal_value(one).split(), normal_value(other).split()
    shorter, longer = sorted((first, second), key=len)
    return bool(shorter) and (longer[: len(shorter)] == shorter or longer[-len(shorter) :] == shorter)
