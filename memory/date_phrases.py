"""Phrases that name a time, and what they mean on the day they were said.

Days, weeks, months, seasons and years are spans, not points: "last month" is the whole month. Where a phrase says no
year (or no week), the tense of its clause tells whether the nearest one before or after is meant. Two readings of
English are a choice: "next Friday" is the first Friday at least three days ahead, "last Friday" the latest at least two
back.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from memory.date_readers import PREPOSITION, READERS, Reader
from memory.tense import clause_at, looks_ahead
from memory.timeline import Calendar, Span, calendar_of


@dataclass(frozen=True, slots=True)
class DatePhrase:
    """Characters `begin` up to `end` of a text, and the time they name."""

    begin: int
    end: int
    span: Span


def find_dates(text: str, said_at: datetime) -> tuple[DatePhrase, ...]:
    """The phrases of one sentence that name a time, in order, none overlapping; no times of day, no durations.

    Raises:
        ValueError: `said_at` has no time zone.
    """
    calendar = calendar_of(said_at)
    found: list[DatePhrase] = []
    for pattern, read in READERS:
        for match in pattern.finditer(text):
            if any(match.start() < phrase.end and phrase.begin < match.end() for phrase in found):
                continue
            span = _read(read, match, calendar, ahead=_is_ahead(text, match.start()))
            if span is not None:
                found.append(DatePhrase(_after_preposition(match), match.end(), span))
    return _since(text, _joined(text, sorted(found, key=lambda phrase: phrase.begin)), calendar)


def _read(read: Reader, match: re.Match[str], calendar: Calendar, *, ahead: bool) -> Span | None:
    try:
        return read(match, calendar, ahead)
    except (ValueError, OverflowError):
        return None  # no such day in any calendar: 31 June, the year 0


def _after_preposition(match: re.Match[str]) -> int:
    preposition = PREPOSITION.match(match[0])
    return match.start() + (preposition.end() if preposition else 0)


def _is_ahead(text: str, start: int) -> bool:
    if re.search(r"\bsince\s+(?:the\s+)?$", text[:start], re.IGNORECASE):
        return False
    here = looks_ahead(clause_at(text, start))
    return (looks_ahead(text) or False) if here is None else here


def _joined(text: str, phrases: list[DatePhrase]) -> list[DatePhrase]:
    """Two phrases that are the ends of one span become one."""
    joined: list[DatePhrase] = []
    for phrase in phrases:
        before = joined[-1] if joined else None
        if (
            before
            and _is_range(text[: before.begin], text[before.end : phrase.begin])
            and before.span.start <= phrase.span.end
        ):
            joined[-1] = DatePhrase(before.begin, phrase.end, Span(before.span.start, phrase.span.end))
        else:
            joined.append(phrase)
    return joined


def _is_range(before: str, between: str) -> bool:
    if re.search(r"\bfrom\s*$", before, re.IGNORECASE):
        return bool(re.fullmatch(r"\s*(?:to|until|till|through|-|–)\s*", between, re.IGNORECASE))
    if re.search(r"\bbetween\s*$", before, re.IGNORECASE):
        return bool(re.fullmatch(r"\s*and\s*", between, re.IGNORECASE))
    return bool(re.fullmatch(r"\s*(?:-|–|through|until)\s*", between, re.IGNORECASE))


def _since(text: str, phrases: list[DatePhrase], calendar: Calendar) -> tuple[DatePhrase, ...]:
    """A time after "since" runs up to the day it was said."""
    today = calendar.day().end
    return tuple(
        DatePhrase(phrase.begin, phrase.end, Span(phrase.span.start, today))
        if re.search(r"\b(?:since|ever\s+since)\s+(?:about\s+|around\s+)?$", text[: phrase.begin], re.IGNORECASE)
        and phrase.span.start < today
        else phrase
        for phrase in phrases
    )
