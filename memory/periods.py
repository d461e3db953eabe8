"""The times a question names: calendar dates, and days told from the moment it was asked. English; no clock."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from memory.date_phrases import find_dates

TAIL_DAYS = 15
"""How long after a period it is still talked about."""
TAIL_SHARE = 0.5
"""What a time in the tail counts, where one inside the period counts 1."""
READ_CHARS = 1000
"""So much of a query is read for what is told from the moment of asking: time grows as phrases squared."""
_TELLABLE = range(1000, 9000)
"""Years of asking from which days are told: not so near to the ends of the calendar that there is no such day."""
_LEAP_YEAR = 2000
"""Stands for every year in a period that names none."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `start` up to, not including, `end`; `yearly`: of every year, whatever theirs is."""

    start: date
    end: date
    yearly: bool = False

    def closeness(self, times: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """1 inside, TAIL_SHARE shortly after, else 0; float64, (n,). times: datetime64[s], (n,), NaT where unknown."""
        known = times[~np.isnat(times)]
        if not known.size:
            return np.zeros(len(times))
        starts = [_at(self.start)]
        if self.yearly:
            years = known.astype("datetime64[Y]").astype(int) + 1970
            starts = [_in_year(self.start, year) for year in range(int(years.min()) - 1, int(years.max()) + 1)]
        length = np.timedelta64((self.end - self.start).days, "D").astype("timedelta64[s]")
        tail = length + np.timedelta64(TAIL_DAYS, "D").astype("timedelta64[s]")
        found = np.zeros(len(times))
        for start in starts:
            since = times - start
            after = (since >= np.timedelta64(0, "s")) & (since < tail)
            found = np.maximum(found, np.where(after, np.where(since < length, 1.0, TAIL_SHARE), 0.0))
        return found


def find_periods(query: str, asked_at: datetime | None) -> tuple[Period, ...]:
    """Every period the query names; those told from the moment of asking (aware) only where that is known.

    A date of the calendar without a year is that of every year: who asks does not say which one, unlike who tells.
    """
    dated = list(_calendar(query))
    found = [period for _, _, period in dated]
    if asked_at is not None and asked_at.year in _TELLABLE:
        found.extend(
            Period(phrase.span.start.date(), phrase.span.end.date())
            for phrase in find_dates(query[:READ_CHARS], asked_at)
            if not any(begin < phrase.end and phrase.begin < end for begin, end, _ in dated)
        )
    return tuple(dict.fromkeys(found))


# -- dates of the calendar

_MONTHS = {
    **{name.lower(): number for number, name in enumerate(calendar.month_abbr) if number},
    **{name.lower(): number for number, name in enumerate(calendar.month_name) if number},
    "sept": 9,
}
_VERBS = frozenset({"may", "march"})
"""Months that are words of their own: they count where they are written as names, not at the beginning."""
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ORDINAL = r"(?:[snrt][tdh])?"
"""As in 1st, 2nd, 3rd, 4th."""
_DATE = re.compile(
    rf"(?<!\w)(?:(?P<before>\d{{1,2}}){_ORDINAL}\s+(?:of\s+)?)?(?P<month>{_MONTH})\b\.?"
    rf"(?:\s+(?P<after>\d{{1,2}}){_ORDINAL}(?!\d))?(?:,?\s+(?:of\s+)?(?P<year>(?:19|20)\d\d)(?!\d))?",
    re.IGNORECASE,
)
_ISO = re.compile(r"(?<!\d)((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?(?!\d)")
_YEAR = re.compile(r"\b(?:in|of|during|since|year)\s+((?:19|20)\d\d)(?![\d-])", re.IGNORECASE)


def _calendar(query: str) -> Iterator[tuple[int, int, Period]]:
    """Where each date of the calendar begins and ends in the query, and its period."""
    rest = query
    for match in _DATE.finditer(query):
        name = match["month"]
        if name.lower() in _VERBS and not (name[0].isupper() and match.start("month") > 0):
            continue
        for period in _period(match["year"], _MONTHS[name.lower()], match["before"] or match["after"]):
            yield *match.span(), period
        rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
    for match in _ISO.finditer(query):
        for period in _period(match[1], int(match[2]), match[3]):
            yield *match.span(), period
    for match in _YEAR.finditer(rest):
        for period in _period(match[1], None, None):
            yield *match.span(), period


def _period(year: str | None, month: int | None, day: str | None) -> Iterator[Period]:
    """The period of a date, or none where there is no such day."""
    try:
        start = date(int(year or _LEAP_YEAR), 1 if month is None else month, int(day or 1))
    except ValueError:
        return
    if month is None:
        yield Period(start, date(start.year + 1, 1, 1))
    else:
        yield Period(start, start + timedelta(days=1) if day else _next_month(start), yearly=year is None)


def _in_year(start: date, year: int) -> np.datetime64:
    last = calendar.monthrange(max(year, 1), start.month)[1]
    return _at(date(max(year, 1), start.month, min(start.day, last)))


def _at(day: date) -> np.datetime64:
    return np.datetime64(day.isoformat(), "s")


def _next_month(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1)
