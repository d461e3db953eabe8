from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.extraction.candidates import Category, Turn
from memory.extraction.rules import extract_facts
from memory.records import UnitType

SAID_AT = datetime(2024, 5, 8, 10, tzinfo=UTC)


def turn(text, speaker="Ana", role=None):
    return Turn(text, SAID_AT, speaker, role)


def statements(text, **more):
    return [fact.statement for fact in extract_facts(turn(text, **more))]


def test_a_fact_carries_all_that_a_unit_needs():
    (fact,) = extract_facts(turn("I moved to Oslo last month."))
    assert fact.statement == "Ana moved to Oslo last month"
    assert fact.text == "Ana moved to Oslo last month (2024-04-01 to 2024-04-30)"
    assert (fact.type, fact.category, fact.subject) == (UnitType.WORLD, Category.EVENT, "Ana")
    assert fact.occurred is not None
    assert (fact.occurred.start, fact.occurred.end) == (
        datetime(2024, 4, 1, tzinfo=UTC),
        datetime(2024, 5, 1, tzinfo=UTC),
    )
    assert [(claim.attribute, claim.value) for claim in fact.claims] == [("location", "Oslo")]
    assert set(fact.mentions) == {"Ana", "Oslo"}


def test_what_an_assistant_did_is_experience():
    (fact,) = extract_facts(turn("I booked the flight.", speaker=None, role="assistant"))
    assert fact.type is UnitType.EXPERIENCE
    assert fact.statement == "The assistant booked the flight"


def test_only_the_sentences_that_state_something():
    text = "Hi! How are you? I adopted a cat. If I could, I'd adopt ten. Thanks!"
    facts = extract_facts(turn(text))
    assert [(fact.sentence, fact.statement) for fact in facts] == [(2, "Ana adopted a cat")]


def test_she_is_the_subject_of_the_sentence_before():
    assert statements("Elena moved to Berlin. She works at Zalando.") == [
        "Elena moved to Berlin",
        "Elena works at Zalando",
    ]
    assert statements("She works at Zalando.") == []


def test_she_is_whom_the_question_asked_after():
    asked = Turn("How is your sister?", SAID_AT, "Ben")
    assert [fact.statement for fact in extract_facts(turn("She moved to Turin."), asked)] == [
        "Ana's sister moved to Turin"
    ]


def test_a_plan_fills_no_slot_yet():
    (fact,) = extract_facts(turn("I'm moving to Oslo next month."))
    assert fact.category is Category.PLAN
    assert fact.claims == ()


def test_what_we_do_the_speaker_does():
    (fact,) = extract_facts(turn("We live in Oslo."))
    assert [(claim.subject, claim.value) for claim in fact.claims] == [("Ana", "Oslo")]


@pytest.mark.parametrize(
    "text",
    [
        "It broke yesterday.",
        "They moved to Rome.",
        "I did that too.",
        "Staying fit is important.",
        "Translate this into French.",
        "```\nI live in Rome\n```",
        "I moved " + "and moved " * 60,
        "",
    ],
)
def test_what_yields_no_fact(text):
    assert statements(text) == []


def test_no_speaker_no_fact_of_the_first_person():
    assert statements("I live in Rome.", speaker=None) == []
    assert statements("Maria works at Siemens.", speaker=None) == ["Maria works at Siemens"]


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        extract_facts(Turn("I moved to Oslo.", datetime(2024, 5, 8), "Ana"))  # noqa: DTZ001 - a naive one is meant


_WORDS = """I we my you she the and or in live lives moved to Oslo Ana since 2019 last week not if " ' ? . , “ never I'd
    user's""".split()


@given(st.lists(st.sampled_from(_WORDS) | st.text(max_size=5), max_size=30).map(" ".join))
def test_any_text_is_read_without_failing_and_names_its_speaker(text):
    for fact in extract_facts(turn(text), turn("Is your mother well?", speaker="Ben")):
        assert fact.statement.strip()
        assert not {"I", "me", "my", "mine"} & set(fact.statement.split())
