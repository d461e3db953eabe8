"""The time a model gives a fact, checked by the project's own reading of dates."""

import re
from datetime import UTC, date, datetime

from memory.date_phrases import find_dates
from memory.timeline import Calendar, Span, calendar_of

_DAY = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?")
_UNKNOWN_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def read_when(when: str | None, quote: str | None, said_at: datetime | None) -> Span | None:
    """The span of days that an answer names; None where it names none, or none that exists.

    Words ("last week") are read by the project's grammar. Where the quoted passage names one time that the grammar can
    read, and the model's time lies wholly beside it, the grammar's counts.
    """
    stated = _span(when.strip(), said_at) if when else None
    if stated is None or said_at is None or not quote:
        return stated
    phrases = find_dates(quote, said_at)
    if len(phrases) == 1 and not _meet(phrases[0].span, stated):
        return phrases[0].span
    return stated


def _span(when: str, said_at: datetime | None) -> Span | None:
    calendar = calendar_of(said_at or _UNKNOWN_DAY)
    first, _, last = when.partition("/")
    begin = _point(first.strip(), calendar)
    end = _point(last.strip(), calendar) if last.strip() else begin
    if begin is not None and end is not None:
        return Span(begin.start, end.end) if begin.start < end.end else None
    if said_at is None:
        return None
    phrases = find_dates(when, said_at)
    return phrases[0].span if len(phrases) == 1 else None


def _point(text: str, calendar: Calendar) -> Span | None:
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part) if part else None for part in match.groups())
    if year is None or not 1 < year < 9998:
        return None
    try:
        if month is None:
            return calendar.year(year)
        if day is None:
            return calendar.months(year, month, 1)
        return calendar.span(date(year, month, day), date(year, month, day))
    except ValueError:
        return None


def _meet(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
