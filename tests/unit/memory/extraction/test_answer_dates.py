"""The times of a model's facts: spans of whole days, checked by the grammar of dates."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.extraction.answer_dates import read_when
from memory.timeline import Span

SAID_AT = datetime(2024, 5, 8, 13, 30, tzinfo=timezone(timedelta(hours=2)))


def days(first: str, last: str) -> Span:
    midnights = [
        datetime.combine(date.fromisoformat(day), datetime.min.time(), SAID_AT.tzinfo) for day in (first, last)
    ]
    return Span(midnights[0], midnights[1] + timedelta(days=1))


@pytest.mark.parametrize(
    ("when", "first", "last"),
    [
        ("2023", "2023-01-01", "2023-12-31"),
        ("2023-02", "2023-02-01", "2023-02-28"),
        ("2023-02-03", "2023-02-03", "2023-02-03"),
        (" 2023-02-03 ", "2023-02-03", "2023-02-03"),
        ("2023-02-03T18:30", "2023-02-03", "2023-02-03"),
        ("2023-02-03T18:30:00Z", "2023-02-03", "2023-02-03"),
        ("2023-02-03 18:30:00+01:00", "2023-02-03", "2023-02-03"),
        ("2023-02/2023-04", "2023-02-01", "2023-04-30"),
        ("2023-02-03/2023-02-05", "2023-02-03", "2023-02-05"),
        ("2022/2023-02-05", "2022-01-01", "2023-02-05"),
        ("yesterday", "2024-05-07", "2024-05-07"),
        ("last week", "2024-04-29", "2024-05-05"),
    ],
)
def test_times_are_whole_days_in_the_turns_zone(when, first, last):
    assert read_when(when, None, SAID_AT) == days(first, last)


@pytest.mark.parametrize(
    "when", [None, "", "  ", "soon", "2023-13", "2023-02-30", "0000-01-01", "9999-12-31", "2023-05/2023-04", "1/2", "/"]
)
def test_what_names_no_time_is_none(when):
    assert read_when(when, None, SAID_AT) is None


def test_without_a_turns_time_dates_are_in_utc_and_words_are_nothing():
    assert read_when("2023-02-03", None, None).start == datetime(2023, 2, 3, tzinfo=UTC)
    assert read_when("yesterday", "I left yesterday", None) is None


@pytest.mark.parametrize(
    ("when", "quote", "first", "last"),
    [
        ("2023-05-07", "I left yesterday", "2024-05-07", "2024-05-07"),
        ("2024-05-07", "I left yesterday", "2024-05-07", "2024-05-07"),
        ("2024-05", "I left yesterday", "2024-05-01", "2024-05-31"),
        ("2019-01-01", "I left some day", "2019-01-01", "2019-01-01"),
    ],
)
def test_a_time_beside_what_the_quote_says_gives_way_to_it(when, quote, first, last):
    assert read_when(when, quote, SAID_AT) == days(first, last)


@given(st.text(max_size=40), st.text(max_size=60))
def test_any_text_is_read(when, quote):
    span = read_when(when, quote, SAID_AT)
    assert span is None or span.start < span.end
