"""Spans of calendar time: days, weeks, months, seasons and years around an instant, half-open and aware."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
SPRING, SUMMER, AUTUMN, WINTER = 3, 6, 9, 12
"""First month of each season of the northern hemisphere."""


@dataclass(frozen=True, slots=True)
class Span:
    """Time from `start` up to, and without, `end`; both aware."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """Spans as they look from the day of one instant, in that instant's own time zone."""

    today: date
    zone: tzinfo | None

    def span(self, first: date, last: date) -> Span:
        """From the first day to the last one, both within."""
        return Span(self._midnight(first), self._midnight(last + DAY))

    def day(self, offset_days: int = 0) -> Span:
        """Today, or so many days from it."""
        day = self.today + timedelta(days=offset_days)
        return self.span(day, day)

    def week(self, offset_weeks: int = 0) -> Span:
        """The week, Monday to Sunday, so many weeks from this one."""
        monday = self.today - timedelta(days=self.today.weekday()) + offset_weeks * WEEK
        return self.span(monday, monday + 6 * DAY)

    def weekend(self, offset_weeks: int = 0) -> Span:
        """Saturday and Sunday of a week."""
        monday = self.today - timedelta(days=self.today.weekday()) + offset_weeks * WEEK
        return self.span(monday + 5 * DAY, monday + 6 * DAY)

    def month(self, offset_months: int = 0) -> Span:
        """The calendar month so many months from this one."""
        first = self.today.replace(day=1) + relativedelta(months=offset_months)
        return self.months(first.year, first.month, 1)

    def months(self, year: int, month: int, count: int) -> Span:
        """Whole months from the given one on."""
        first = date(year, month, 1)
        return self.span(first, first + relativedelta(months=count) - DAY)

    def year(self, year: int) -> Span:
        """A calendar year."""
        return self.months(year, 1, 12)

    def nearest(self, spans: Iterable[Span], *, ahead: bool) -> Span | None:
        """Of spans in order of time: the last that has begun, or (ahead) the first that is not over."""
        ordered = list(spans)
        if ahead:
            return next((span for span in ordered if span.end > self._midnight(self.today)), None)
        return next((span for span in reversed(ordered) if span.start <= self._midnight(self.today)), None)

    def yearly(self, month: int, day: int, *, ahead: bool) -> Span | None:
        """The nearest such day of a year; None where the calendar has none."""
        days = []
        for year in range(self.today.year - 4, self.today.year + 5):
            try:
                found = date(year, month, day)
            except ValueError:
                continue
            days.append(self.span(found, found))
        return self.nearest(days, ahead=ahead)

    def yearly_months(self, month: int, count: int, *, ahead: bool) -> Span | None:
        """The nearest run of months that begins with `month`."""
        years = range(self.today.year - 2, self.today.year + 3)
        return self.nearest((self.months(year, month, count) for year in years), ahead=ahead)

    def weekday(self, weekday: int, *, ahead: bool, least_days: int = 0) -> Span:
        """The nearest such weekday (Monday is 0), at least so many days from today."""
        gap = (weekday - self.today.weekday()) % 7 if ahead else (self.today.weekday() - weekday) % 7
        while gap < least_days:
            gap += 7
        return self.day(gap if ahead else -gap)

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)


def calendar_of(at: datetime) -> Calendar:
    """The calendar as of an aware instant.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("the instant a text was said at needs a time zone")
    return Calendar(at.date(), at.tzinfo)


def holiday(name: str, year: int) -> date:
    """The day of a holiday, by its name in `HOLIDAYS`, in a year."""
    if name in _MOVABLE:
        return easter(year) + timedelta(days=_MOVABLE[name])
    if name == "thanksgiving":
        first = date(year, 11, 1)
        return first + timedelta(days=(3 - first.weekday()) % 7 + 21)
    month, day = _FIXED[name]
    return date(year, month, day)


_MOVABLE = {"good friday": -2, "easter sunday": 0, "easter monday": 1, "easter": 0}
_FIXED = {
    "new year's eve": (12, 31),
    "new year's day": (1, 1),
    "new year's": (1, 1),
    "new year": (1, 1),
    "christmas eve": (12, 24),
    "christmas day": (12, 25),
    "boxing day": (12, 26),
    "christmas": (12, 25),
    "halloween": (10, 31),
    "valentine's day": (2, 14),
    "independence day": (7, 4),
    "fourth of july": (7, 4),
    "4th of july": (7, 4),
    "st patrick's day": (3, 17),
    "bastille day": (7, 14),
}
HOLIDAYS = (*_MOVABLE, "thanksgiving", *_FIXED)
"""Names of the holidays that are known, a longer one before one that begins it."""
