from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from memory.timeline import HOLIDAYS, calendar_of, holiday

WEDNESDAY = calendar_of(datetime(2024, 5, 8, 23, 30, tzinfo=UTC))


def days(span):
    return span.start.date().isoformat(), (span.end - timedelta(days=1)).date().isoformat()


def test_spans_around_a_wednesday():
    assert days(WEDNESDAY.day(-2)) == ("2024-05-06", "2024-05-06")
    assert days(WEDNESDAY.week(-1)) == ("2024-04-29", "2024-05-05")
    assert days(WEDNESDAY.weekend()) == ("2024-05-11", "2024-05-12")
    assert days(WEDNESDAY.month(-3)) == ("2024-02-01", "2024-02-29")
    assert days(WEDNESDAY.year(2023)) == ("2023-01-01", "2023-12-31")


def test_a_season_may_cross_the_year():
    assert days(WEDNESDAY.months(2023, 12, 3)) == ("2023-12-01", "2024-02-29")


def test_the_nearest_day_of_a_year_before_and_ahead():
    assert days(WEDNESDAY.yearly(5, 8, ahead=False)) == ("2024-05-08", "2024-05-08")
    assert days(WEDNESDAY.yearly(5, 9, ahead=False)) == ("2023-05-09", "2023-05-09")
    assert days(WEDNESDAY.yearly(5, 7, ahead=True)) == ("2025-05-07", "2025-05-07")
    assert days(WEDNESDAY.yearly(2, 29, ahead=True)) == ("2028-02-29", "2028-02-29")
    assert WEDNESDAY.yearly(6, 31, ahead=True) is None


def test_a_weekday_can_be_asked_to_be_some_days_away():
    assert days(WEDNESDAY.weekday(2, ahead=False)) == ("2024-05-08", "2024-05-08")
    assert days(WEDNESDAY.weekday(2, ahead=False, least_days=1)) == ("2024-05-01", "2024-05-01")
    assert days(WEDNESDAY.weekday(4, ahead=True, least_days=3)) == ("2024-05-17", "2024-05-17")


def test_the_day_is_that_of_the_speakers_own_zone():
    late = datetime(2024, 5, 8, 23, 30, tzinfo=timezone(timedelta(hours=-7)))
    span = calendar_of(late).day()
    assert span.start == datetime(2024, 5, 8, 7, tzinfo=UTC)
    assert span.end - span.start == timedelta(days=1)


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        calendar_of(datetime(2024, 5, 8))  # noqa: DTZ001 - a naive one is meant


@pytest.mark.parametrize(
    ("name", "year", "day"),
    [
        ("easter", 2024, date(2024, 3, 31)),
        ("good friday", 2025, date(2025, 4, 18)),
        ("thanksgiving", 2023, date(2023, 11, 23)),
        ("halloween", 2022, date(2022, 10, 31)),
    ],
)
def test_holidays(name, year, day):
    assert holiday(name, year) == day


def test_every_listed_holiday_has_a_day():
    assert all(holiday(name, 2024).year == 2024 for name in HOLIDAYS)
