"""Answers of models: only what stands in the window it is said to is taken over, whatever else is wrong."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.extraction.answer_reading import MAX_FACT_CHARS, MAX_FACTS, read_answer
from memory.extraction.candidates import Category, Claim
from memory.extraction.port import EntityLabel, ExtractionProfile, LabelKind, WindowFact, WindowRequest
from memory.extraction.prompt import window_ids
from memory.records import UnitType
from tests.support.windows import turn, window

ASKED = window("I moved to Oslo last week.", "My sister Eva likes tea. She is a nurse.")
FACT = {
    "text": "Ana moved to Oslo.",
    "turns": [0],
    "quote": "I moved to Oslo",
    "type": "world",
    "category": "event",
    "subject": "Ana",
    "when": None,
    "entities": [{"name": "Oslo", "type": "place"}],
    "claims": [],
    "because": [],
    "confidence": 0.8,
}


def fact(**changes: Any) -> dict[str, Any]:
    return {**FACT, **changes}


def answer(*facts: Any, asked: WindowRequest = ASKED, **changes: Any) -> dict[str, Any]:
    (identity,) = window_ids([asked])
    return {"windows": [{"id": identity, "language": "en", "facts": list(facts), "count": len(facts), **changes}]}


def read(*facts: Any, asked: WindowRequest = ASKED, **changes: Any) -> tuple[WindowFact, ...]:
    readings = read_answer(json.dumps(answer(*facts, asked=asked, **changes)), [asked])
    return readings[asked.window].facts


def test_a_fact_comes_over_with_all_it_says():
    claim = {
        "subject": "Ana",
        "attribute": "Location",
        "value": "Oslo",
        "holds": True,
        "replaces": True,
        "happened": True,
    }
    (found,) = read(fact(when="2024-05-01", claims=[claim]))
    assert found.fact.text == found.fact.statement == "Ana moved to Oslo."
    assert (found.fact.type, found.fact.category) == (UnitType.WORLD, Category.EVENT)
    assert (found.turns, found.quote, found.language) == ((0,), "I moved to Oslo", "en")
    assert found.entities == (("Oslo", "place"),)
    assert found.fact.mentions == ("Oslo",)
    assert found.fact.claims == (Claim("Ana", "location", "Oslo", happened=True),)
    assert found.fact.occurred.start == datetime(2024, 5, 1, tzinfo=UTC)
    assert found.fact.sentence == 0


def test_a_fact_of_a_later_sentence_says_which():
    (found,) = read(fact(text="Eva is a nurse.", turns=[1], quote="She is a nurse"))
    assert found.fact.sentence == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"turns": []},
        {"turns": [2]},
        {"turns": [-1]},
        {"turns": [0, 99]},
        {"turns": [1]},
        {"turns": list(range(2)) * 30 + [5]},
        {"quote": "I moved to Rome and bought a house"},
        {"quote": ""},
        {"quote": None},
        {"quote": "  ...  "},
        {"quote": "I moved to Oslo last week." * 100},
        {"text": ""},
        {"text": " \x00\n "},
        {"text": "long " * MAX_FACT_CHARS},
    ],
)
def test_a_fact_that_does_not_stand_in_its_window_is_dropped(wrong):
    good = fact(text="Eva likes tea.", turns=[1], quote="Eva likes tea")
    readings = read_answer(json.dumps(answer(good, fact(**wrong))), [ASKED])
    reading = readings[ASKED.window]
    assert [found.fact.text for found in reading.facts] == ["Eva likes tea."]
    assert reading.dropped == 1


@pytest.mark.parametrize(
    "quote",
    ["i MOVED  to\n Oslo", "I moved to Oslo…", "“I moved to Oslo”", "I moved to Osio last week", "moved to Oslo last"],
)
def test_a_quote_may_differ_by_case_blanks_marks_and_a_letter(quote):
    assert len(read(fact(quote=quote))) == 1


def test_an_answer_of_which_nothing_holds_up_is_no_answer():
    assert not read_answer(json.dumps(answer(fact(quote="of another world"))), [ASKED])


def test_an_empty_list_is_an_answer():
    assert read() == ()


@pytest.mark.parametrize(
    "wrong",
    [
        fact(text=7),
        fact(turns="0"),
        fact(entities="Oslo"),
        fact(claims=[{"attribute": "location"}]),
        fact(confidence="very"),
        "Ana moved",
        None,
    ],
)
def test_a_window_whose_shape_is_wrong_is_asked_for_again(wrong):
    assert not read_answer(json.dumps(answer(FACT, wrong)), [ASKED])


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", "ok", '{"windows":7}', '{"windows":[7]}', '{"facts":[]}', "[" * 100_000, "{" * 10_000],
)
def test_what_is_no_answer_reads_as_none(text):
    assert read_answer(text, [ASKED]) == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["windows", "id", "facts", "count", "text", "turns", "quote"]), inner)
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_without_an_error(value):
    assert read_answer(json.dumps(value), [ASKED]) == {}


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    assert read_answer(text, [ASKED]) == {}


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "```json\n{}\n```",
        "```\n{}\n```",
        "Sure, here it is:\n{}\nAnything else?",
        "<think>First {{maybe}} this.</think>\n```json\n{}\n```",
    ],
)
def test_words_and_fences_around_an_answer_are_passed_over(wrap):
    text = wrap.replace("{{", "(").replace("}}", ")").replace("{}", json.dumps(answer(FACT)))
    assert len(read_answer(text, [ASKED])[ASKED.window].facts) == 1


def test_a_trailing_comma_and_single_quotes_are_mended():
    text = json.dumps(answer(FACT))
    assert read_answer(text.replace("]}", ",]}"), [ASKED])[ASKED.window].facts == read(FACT)
    assert read_answer(text.replace('"', "'"), [ASKED])[ASKED.window].facts == read(FACT)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.98])
def test_an_answer_that_was_cut_off_is_never_taken_for_a_whole_one(share):
    """Mended JSON may look whole: the count behind the list of facts tells."""
    text = json.dumps(answer(FACT, fact(text="Eva likes tea.", turns=[1], quote="Eva likes tea")))
    assert not read_answer(text[: int(len(text) * share)], [ASKED])


def test_windows_are_told_apart_and_what_belongs_to_none_is_passed_over():
    other = window("Ben lives in Rome.")
    asked = [ASKED, other]
    first, second = window_ids(asked)
    windows = [
        {"id": second, "facts": [fact(text="Ben lives in Rome.", quote="Ben lives in Rome")], "count": 1},
        {"id": "nobody", "facts": [FACT], "count": 1},
        {"id": first, "facts": [FACT], "count": 1},
        {"id": first, "facts": [], "count": 0},
    ]
    readings = read_answer(json.dumps({"windows": windows}), asked)
    assert [[found.fact.text for found in readings[each.window].facts] for each in asked] == [
        ["Ana moved to Oslo."],
        ["Ben lives in Rome."],
    ]


def test_a_fact_given_to_the_wrong_window_is_dropped():
    other = window("Ben lives in Rome.")
    asked = [ASKED, other]
    _, second = window_ids(asked)
    windows = [{"id": second, "facts": [FACT, fact(text="Ben lives in Rome.", quote="Ben lives in Rome")], "count": 2}]
    reading = read_answer(json.dumps({"windows": windows}), asked)[other.window]
    assert [found.fact.text for found in reading.facts] == ["Ben lives in Rome."]


def test_sizes_are_bounded():
    many = [
        fact(text=f"Fact {number}.", entities=[{"name": f"N{n}" * 60, "type": "place"} for n in range(30)])
        for number in range(150)
    ]
    found = read(*many)
    assert len(found) == MAX_FACTS
    assert all(len(each.entities) <= 20 for each in found)
    assert all(len(name) <= 100 for each in found for name, _ in each.entities)


def test_a_fact_that_is_stated_twice_is_one():
    again = fact(text="ana moved to oslo")
    elsewhere = fact(turns=[0, 1])
    assert [found.turns for found in read(FACT, again, elsewhere, FACT)] == [(0,), (0, 1)]


def test_words_that_are_not_in_the_lists_become_the_plainest():
    (found,) = read(fact(type="opinion", category="gossip", entities=[{"name": "Oslo", "type": "city"}]))
    assert (found.fact.type, found.fact.category) == (UnitType.WORLD, Category.FACT)
    assert found.entities == (("Oslo", "concept"),)


@pytest.mark.parametrize(("given_", "expected"), [(2.0, 1.0), (-1.0, 0.0), (float("nan"), 0.0), (0.4, 0.4)])
def test_confidence_is_between_none_and_all(given_, expected):
    (found,) = read(fact(confidence=given_))
    assert found.fact.confidence == expected


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"value": "Oslo"}, Claim("Ana", "location", "Oslo")),
        ({"value": None, "holds": False}, Claim("Ana", "location", None, holds=False)),
        ({"value": None}, None),
        ({"value": "  "}, None),
        ({"value": "x" * 400}, None),
        ({"value": "Oslo", "subject": ""}, None),
        ({"value": "Oslo", "attribute": "a" * 200}, None),
    ],
)
def test_claims_without_a_meaning_are_left_out(claim, expected):
    (found,) = read(fact(claims=[{"subject": "Ana", "attribute": "location", **claim}]))
    assert found.fact.claims == ((expected,) if expected else ())


def test_causes_point_at_facts_that_were_kept():
    dropped = fact(quote="nobody said that")
    last = fact(text="Eva likes tea.", turns=[1], quote="Eva likes tea", because=[0, 1, 2, 7, -1])
    found = read(FACT, dropped, last)
    assert found[1].causes == (0,)


def test_labels_are_those_of_the_banks_vocabulary():
    labels = (
        EntityLabel("mood", kind=LabelKind.VALUE, values=(("good", ""), ("bad", ""))),
        EntityLabel("topic", kind=LabelKind.VALUES, values=(("home", ""), ("work", ""))),
        EntityLabel("note", kind=LabelKind.TEXT),
    )
    asked = dataclasses.replace(ASKED, profile=ExtractionProfile(labels=labels))
    given_ = [
        ("mood", "good"),
        ("mood", "bad"),
        ("mood", "odd"),
        ("topic", "home"),
        ("topic", "work"),
        ("note", "x"),
        ("colour", "red"),
    ]
    (found,) = read(fact(labels=[{"label": label, "value": value} for label, value in given_]), asked=asked)
    assert found.labels == (("mood", "good"), ("topic", "home"), ("topic", "work"), ("note", "x"))


def test_entities_that_the_caller_gave_are_part_of_facts_that_name_them():
    asked = dataclasses.replace(
        ASKED, profile=ExtractionProfile(given_entities=(("Oslo", "city"), ("Tea", "drink"), ("Eva", "")))
    )
    moved, likes = read(FACT, fact(text="Eva likes tea.", turns=[1], quote="Eva likes tea", entities=[]), asked=asked)
    assert moved.entities == (("Oslo", "city"),)
    assert dict(likes.entities) == {"Tea": "drink", "Eva": "concept"}


def test_what_the_assistant_did_stays_an_experience():
    asked = dataclasses.replace(ASKED, turns=(turn("I booked a hotel.", speaker=None, role="assistant"),))
    (found,) = read(fact(text="The assistant booked a hotel.", quote="booked a hotel", type="experience"), asked=asked)
    assert found.fact.type is UnitType.EXPERIENCE


def test_control_characters_do_not_get_into_facts():
    (found,) = read(fact(text="Ana\u0000 moved\u001b[31m to\nOslo.", subject="\u0007Ana", language="en"))
    assert found.fact.text == "Ana moved [31m to Oslo."
    assert found.fact.subject == "Ana"


@pytest.mark.parametrize(("language", "expected"), [("de", "de"), ("pt-BR", "pt-BR"), ("German!", None), (None, None)])
def test_the_language_is_a_code(language, expected):
    (found,) = read(FACT, language=language)
    assert found.language == expected
