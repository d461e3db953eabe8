from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.periods import TAIL_DAYS, TAIL_SHARE, Period, find_periods

THURSDAY = datetime(2024, 5, 16, 9, tzinfo=UTC)


def spans(query: str, asked_at: datetime | None = THURSDAY) -> list[tuple[str, str, bool]]:
    return [(p.start.isoformat(), p.end.isoformat(), p.yearly) for p in find_periods(query, asked_at)]


@pytest.mark.parametrize(
    ("query", "start", "end", "yearly"),
    [
        ("What happened in June?", "2000-06-01", "2000-07-01", True),
        ("on 3 June", "2000-06-03", "2000-06-04", True),
        ("on June 3rd", "2000-06-03", "2000-06-04", True),
        ("the 3rd of June 2023", "2023-06-03", "2023-06-04", False),
        ("June 3, 2023", "2023-06-03", "2023-06-04", False),
        ("in december 2022", "2022-12-01", "2023-01-01", False),
        ("Sept. 2022", "2022-09-01", "2022-10-01", False),
        ("on 29 February", "2000-02-29", "2000-03-01", True),
        ("in May", "2000-05-01", "2000-06-01", True),
        ("since 2022", "2022-01-01", "2023-01-01", False),
        ("2023-05-08", "2023-05-08", "2023-05-09", False),
        ("in 2023-05", "2023-05-01", "2023-06-01", False),
        ("yesterday", "2024-05-15", "2024-05-16", False),
        ("today", "2024-05-16", "2024-05-17", False),
        ("three weeks ago", "2024-04-22", "2024-04-29", False),
        ("2 days ago", "2024-05-14", "2024-05-15", False),
        ("a couple of days ago", "2024-05-14", "2024-05-15", False),
        ("in the past 2 weeks", "2024-05-02", "2024-05-17", False),
        ("last week", "2024-05-06", "2024-05-13", False),
        ("this week", "2024-05-13", "2024-05-20", False),
        ("last weekend", "2024-05-11", "2024-05-13", False),
        ("last month", "2024-04-01", "2024-05-01", False),
        ("this month", "2024-05-01", "2024-06-01", False),
        ("last year", "2023-01-01", "2024-01-01", False),
        ("last Tuesday", "2024-05-14", "2024-05-15", False),
        ("on Thursday", "2024-05-09", "2024-05-10", False),
        ("last summer", "2023-06-01", "2023-09-01", False),
        ("two weekends ago", "2024-05-04", "2024-05-06", False),
        ("past 3 months", "2024-02-16", "2024-05-17", False),
        ("What will we do tomorrow?", "2024-05-17", "2024-05-18", False),
    ],
)
def test_a_period_is_read(query, start, end, yearly):
    assert spans(query) == [(start, end, yearly)]


@pytest.mark.parametrize(
    "query",
    [
        "May I come?",
        "you may march on",
        "she decided",
        "marched",
        "31 June",
        "2023-13-01",
        "room 2023",
        "the second",
        "",
    ],
)
def test_what_is_no_date_names_no_period(query):
    assert spans(query) == []


def test_two_dates_are_two_periods():
    assert [start for start, _, _ in spans("between March and June 2023")] == ["2000-03-01", "2023-06-01"]


@pytest.mark.parametrize("query", ["yesterday", "last week", "two months ago", "on Friday"])
def test_days_told_from_the_moment_of_asking_need_it(query):
    assert spans(query)
    assert spans(query, None) == []


def closeness(period: Period, *days: str) -> list[float]:
    return period.closeness(np.array(days, dtype="datetime64[s]")).tolist()


def test_inside_counts_most_and_shortly_after_half():
    june = Period(date(2023, 6, 1), date(2023, 7, 1))
    days = ("2023-05-31T23:59:59", "2023-06-01", "2023-06-30T23:59:59", "2023-07-01", "2023-07-15", "2023-07-16", "NaT")
    assert closeness(june, *days) == [0, 1, 1, TAIL_SHARE, TAIL_SHARE, 0, 0]


def test_a_period_without_a_year_is_of_every_year():
    december = Period(date(2000, 12, 1), date(2001, 1, 1), yearly=True)
    assert closeness(december, "2021-12-05", "2024-12-31", "2024-01-05", "2024-11-30") == [1, 1, TAIL_SHARE, 0]
    leap = Period(date(2000, 2, 29), date(2000, 3, 1), yearly=True)
    assert closeness(leap, "2023-02-28", "2024-02-29", "2024-02-28") == [1, 1, 0]
    assert closeness(december, "NaT") == [0]
    assert closeness(december) == []


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(1, 400), st.integers(-800, 800))
def test_closeness_is_what_counting_days_gives(start, length, offset):
    day = start + timedelta(days=offset)
    expected = 1.0 if 0 <= offset < length else TAIL_SHARE if length <= offset < length + TAIL_DAYS else 0.0
    assert closeness(Period(start, start + timedelta(days=length)), day.isoformat()) == [expected]


@given(st.text(max_size=60), st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - a naive one is meant
def test_no_text_and_no_moment_breaks_it(query, asked_at):
    find_periods(query, asked_at)


@pytest.mark.parametrize("query", ["last week", "999 years ago", "last month", "on monday", "this year", "3 weeks ago"])
@pytest.mark.parametrize("asked_at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_at_the_ends_of_the_calendar_no_days_are_told(query, asked_at):
    assert find_periods(query, asked_at) == ()
