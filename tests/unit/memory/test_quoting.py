"""Answers without a language model."""

from typing import Any

from memory.reflecting.port import MENTAL_MODEL, Piece, Question
from memory.reflecting.quoting import QUOTED, quoted

NONE = "No language model is configured"


def piece(number: int, text: str = "Tea is served.", tokens: int = 10, **payload: Any) -> Piece:
    return Piece(str(number), "memory", text, tokens, payload)


def test_lines_name_who_and_when() -> None:
    answer = quoted(
        [
            piece(1, "I  like\ntea", speaker="Bob", mentioned_at="2024-03-01T09:00:00Z"),
            piece(2, speaker="Ann"),
            piece(3, mentioned_at="2024-03-02T09:00:00Z", occurred_start="2024-02-01T00:00:00Z"),
            piece(4),
        ],
        Question("tea?"),
        NONE,
    )
    assert answer.text.splitlines()[2:] == [
        "- Bob, 2024-03-01: “I like tea”",
        "- Ann: “Tea is served.”",
        "- 2024-02-01: “Tea is served.”",
        "- “Tea is served.”",
    ]
    assert NONE in answer.text


def test_nothing_is_said_to_be_nothing() -> None:
    assert "remembered" in quoted([], Question("tea?"), NONE).text


def test_rules_that_cannot_be_followed_are_mentioned() -> None:
    assert "2 directives" in quoted([piece(1)], Question("tea?"), NONE, 2).text


def test_mental_models_come_first_and_facts_do_not_repeat_their_chunks() -> None:
    model = Piece("k", MENTAL_MODEL, "Tea, always.", 5, {"name": "Drinks", "as_of": "2026-01-01T00:00:00Z"})
    fact = piece(2, "Ann drinks tea.", sources=[{"unit_id": "1"}])
    answer = quoted([piece(1), fact, model], Question("tea?"), NONE)
    assert answer.pieces == (model, piece(1))
    assert "- Drinks (as of 2026-01-01): Tea, always." in answer.text


def test_evidence_is_bounded_by_count_and_tokens() -> None:
    found = [piece(number) for number in range(20)]
    for budget, count in QUOTED.items():
        assert len(quoted(found, Question("tea?", budget=budget), NONE).pieces) == count
    assert len(quoted(found, Question("tea?", max_tokens=25), NONE).pieces) == 2
    assert quoted(found, Question("tea?", max_tokens=5), NONE).pieces == ()


def test_structured_output_or_why_not() -> None:
    schema = {"type": "object", "properties": {"drink": {"enum": ["coffee", "tea"]}}}
    assert quoted([piece(1)], Question("tea?", schema=schema), NONE).structured == {"drink": "tea"}
    refused = quoted([piece(1)], Question("tea?", schema={"type": "string"}), NONE)
    assert refused.structured is None
    assert refused.structured_error is not None
    assert refused.text
