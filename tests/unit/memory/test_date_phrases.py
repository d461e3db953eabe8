from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.date_phrases import find_dates

SAID_AT = datetime(2024, 5, 8, 10, tzinfo=UTC)
"""A Wednesday."""


def found(text, said_at=SAID_AT):
    return [
        (phrase.span.start.date().isoformat(), (phrase.span.end - timedelta(days=1)).date().isoformat())
        for phrase in find_dates(text, said_at)
    ]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("I saw it yesterday", "2024-05-07", "2024-05-07"),
        ("I saw it last night", "2024-05-07", "2024-05-07"),
        ("It is the day after tomorrow", "2024-05-10", "2024-05-10"),
        ("We met three weeks ago", "2024-04-15", "2024-04-21"),
        ("We met a couple of months ago", "2024-03-01", "2024-03-31"),
        ("We met half a year ago", "2023-11-01", "2023-11-30"),
        ("We met a few days ago", "2024-05-03", "2024-05-06"),
        ("I leave in two weeks", "2024-05-20", "2024-05-26"),
        ("I left last weekend", "2024-05-04", "2024-05-05"),
        ("I leave next month", "2024-06-01", "2024-06-30"),
        ("I left last Friday", "2024-05-03", "2024-05-03"),
        ("I left last Tuesday", "2024-04-30", "2024-04-30"),
        ("I will leave next Friday", "2024-05-17", "2024-05-17"),
        ("I will leave next Monday", "2024-05-13", "2024-05-13"),
        ("I will leave on Friday", "2024-05-10", "2024-05-10"),
        ("I left on Friday", "2024-05-03", "2024-05-03"),
        ("I met him on Tuesday last week", "2024-04-30", "2024-04-30"),
        ("I was born on 2 March 1990", "1990-03-02", "1990-03-02"),
        ("I was born on March 2nd, 1990", "1990-03-02", "1990-03-02"),
        ("I was there on the 3rd of May", "2024-05-03", "2024-05-03"),
        ("I was there on the 9th of May", "2023-05-09", "2023-05-09"),
        ("The exam is on the 31st", "2024-05-31", "2024-05-31"),
        ("I was there in June", "2023-06-01", "2023-06-30"),
        ("I will be there in June", "2024-06-01", "2024-06-30"),
        ("I was there last June", "2023-06-01", "2023-06-30"),
        ("It opened in early March 2019", "2019-03-01", "2019-03-10"),
        ("It opened in the summer of 2019", "2019-06-01", "2019-08-31"),
        ("I skied all last winter", "2023-12-01", "2024-02-29"),
        ("It opened in 2019", "2019-01-01", "2019-12-31"),
        ("It opened in late 2019", "2019-09-01", "2019-12-31"),
        ("It opened in the 1980s", "1980-01-01", "1989-12-31"),
        ("It was signed on 2021-12-24", "2021-12-24", "2021-12-24"),
        ("It was signed on 24.12.2021", "2021-12-24", "2021-12-24"),
        ("It was signed on 12/24/2021", "2021-12-24", "2021-12-24"),
        ("It opened on the first of August 2021", "2021-08-01", "2021-08-01"),
        ("It opened in '19", "2019-01-01", "2019-12-31"),
        ("It opened three nights ago", "2024-05-05", "2024-05-05"),
        ("My flight lands on Friday", "2024-05-10", "2024-05-10"),
        ("It was signed in Q2 2021", "2021-04-01", "2021-06-30"),
        ("I was there from 3 May to 7 May", "2024-05-03", "2024-05-07"),
        ("I was there May 3-7", "2024-05-03", "2024-05-07"),
        ("I lived there between 2008 and 2012", "2008-01-01", "2012-12-31"),
        ("I lived there from 2008 until 2012", "2008-01-01", "2012-12-31"),
        ("I have lived here since 2020", "2020-01-01", "2024-05-08"),
        ("I have lived here for two years", "2022-01-01", "2024-05-08"),
        ("I was home at Christmas", "2023-12-25", "2023-12-25"),
        ("I will be home at Christmas", "2024-12-25", "2024-12-25"),
        ("I was home at Easter 2021", "2021-04-04", "2021-04-04"),
    ],
)
def test_a_phrase_names_its_days(text, first, last):
    assert found(text) == [(first, last)]


@pytest.mark.parametrize(
    "text",
    [
        "I may march in the parade",
        "I have physio every Tuesday",
        "On Mondays I swim",
        "I lived there for three years",
        "I finished it in two days",
        "I paid for 2000 euros of wood",
        "It was on 31 June",
        "I got it on my 21st birthday",
        "We bought the second ticket",
        "I will fall asleep",
    ],
)
def test_what_names_no_day(text):
    assert found(text) == []


def test_several_phrases_come_in_order_and_know_their_place():
    text = "I moved in March 2020 and again on 4 May 2022"
    phrases = find_dates(text, SAID_AT)
    assert [text[phrase.begin : phrase.end] for phrase in phrases] == ["March 2020", "4 May 2022"]


def test_each_clause_has_its_own_tense():
    assert found("I was there on Monday, but I will leave on Friday") == [
        ("2024-05-06", "2024-05-06"),
        ("2024-05-10", "2024-05-10"),
    ]


_WORDS = (
    "I will was on in the last next since from to May 31 2020 2024-13-40 Friday week ago two 1/1/99 of, q4 for".split()
)


@given(st.lists(st.sampled_from(_WORDS) | st.text(max_size=5), max_size=25).map(" ".join))
def test_any_text_gives_phrases_in_order_that_do_not_overlap(text):
    phrases = find_dates(text, SAID_AT)
    assert all(0 <= phrase.begin < phrase.end <= len(text) for phrase in phrases)
    assert all(one.end <= other.begin for one, other in pairwise(phrases))
    assert all(phrase.span.start < phrase.span.end for phrase in phrases)
