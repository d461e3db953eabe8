"""Prompts: what anybody said stands in one JSON document, whatever it says; instructions come from the bank alone."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.extraction.answer_schema import answer_schema
from memory.extraction.grouping import estimate_tokens
from memory.extraction.port import EntityLabel, ExtractionMode, ExtractionProfile, LabelKind
from memory.extraction.prompt import build_messages, window_ids
from tests.support.hostile_texts import HOSTILE
from tests.support.windows import turn, window


def document(messages: list[dict[str, str]]) -> dict:
    return json.loads(messages[1]["content"])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("place", ["text", "speaker", "before", "context", "known"])
def test_hostile_text_changes_no_instruction_and_no_structure(text, place):
    """Wherever a text that somebody wrote comes in, the prompt is what it is for any other text there."""

    def prompt(said: str) -> list[dict[str, str]]:
        profile = ExtractionProfile(known_entities=((said, "person"),) if place == "known" else ())
        asked = window("First turn.", said if place == "text" else "Second turn.", profile=profile)
        if place == "speaker":
            asked = dataclasses.replace(asked, turns=(turn("Hello.", 0, speaker=said), *asked.turns[1:]))
        if place == "before":
            asked = dataclasses.replace(asked, before=(turn(said, 9),))
        if place == "context":
            asked = dataclasses.replace(asked, context=said)
        return build_messages([dataclasses.replace(asked, window="ab" * 32), window("Another window.")])

    hostile, harmless = prompt(text), prompt("harmless")
    assert [message["role"] for message in hostile] == ["system", "user"]
    assert hostile[0] == harmless[0]
    assert shape(document(hostile)) == shape(document(harmless))
    assert "<" not in hostile[1]["content"]
    assert "[INST" not in hostile[1]["content"]
    assert "[/INST" not in hostile[1]["content"]


def shape(value: object) -> object:
    """A document's structure without what its texts say."""
    if isinstance(value, dict):
        return {key: len(each) if key == "known" else shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=4))
def test_every_text_comes_back_out_of_the_document(texts):
    (asked,) = document(build_messages([window(*texts)]))["windows"]
    expected = [text.encode("utf-8", "replace").decode() for text in texts]
    assert [each["text"] for each in asked["turns"]] == expected
    assert [each["i"] for each in asked["turns"]] == list(range(len(texts)))


def test_a_turn_says_who_and_when_with_its_weekday():
    (asked,) = document(build_messages([window("I moved yesterday.")]))["windows"]
    assert asked["turns"] == [
        {"i": 0, "who": "Ana", "role": "user", "at": "Wed 2024-05-08T13:30+00:00", "text": "I moved yesterday."}
    ]


def test_what_is_not_known_is_left_out():
    bare = dataclasses.replace(window("x"), turns=(turn("Hello.", 0, speaker=None, role=None, said_at=None),))
    (asked,) = document(build_messages([bare]))["windows"]
    assert asked["turns"] == [{"i": 0, "text": "Hello."}]


def test_windows_are_named_by_the_shortest_beginnings_that_differ():
    one, two = "a" * 64, "a" * 10 + "b" * 54
    requests = [dataclasses.replace(window("x"), window=hash_) for hash_ in (one, two)]
    assert window_ids(requests) == ["a" * 11, "a" * 10 + "b"]


@pytest.mark.parametrize("mode", [mode for mode in ExtractionMode if mode is not ExtractionMode.CHUNKS])
def test_each_mode_has_instructions_of_its_own(mode):
    def instructions(one: ExtractionMode) -> str:
        profile = ExtractionProfile(mode=one, instructions="Recipes only.")
        return build_messages([window("x", profile=profile)])[0]["content"]

    others = {instructions(other) for other in ExtractionMode if other not in {mode, ExtractionMode.CHUNKS}}
    assert instructions(mode) not in others
    assert ("Recipes only." in instructions(mode)) == (mode is ExtractionMode.CUSTOM)


def test_mission_labels_and_entities_reach_the_prompt():
    label = EntityLabel("mood", "how the user feels", LabelKind.VALUE, (("good", ""), ("bad", "")))
    profile = ExtractionProfile(
        mission="Help a nurse.", labels=(label,), known_entities=(("Oslo", "place"),), given_entities=(("Rex", "dog"),)
    )
    messages = build_messages([window("x", profile=profile)])
    assert "Help a nurse." in messages[0]["content"]
    assert '"mood"' in messages[0]["content"]
    assert document(messages)["known"] == {"Rex": "dog", "Oslo": "place"}


def test_long_instructions_and_many_names_are_bounded():
    profile = ExtractionProfile(
        mission="m" * 100_000, known_entities=tuple((f"Name {number}", "person") for number in range(1000))
    )
    assert sum(estimate_tokens(message["content"]) for message in build_messages([window("x", profile=profile)])) < 3000


def test_the_schema_is_what_strict_endpoints_take():
    """Every object lists all of its properties as required and allows no other; no references, no defaults."""
    for labels in (False, True):
        schema = answer_schema(labels=labels)
        text = json.dumps(schema)
        assert "$ref" not in text
        assert '"default"' not in text
        assert ('"labels"' in text) == labels
        for node in nodes(schema):
            if node.get("type") == "object":
                assert node["required"] == list(node["properties"])
                assert node["additionalProperties"] is False


def nodes(value: object):
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    if isinstance(value, list):
        for each in value:
            yield from nodes(each)
