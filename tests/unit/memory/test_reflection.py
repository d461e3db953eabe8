"""Answers without a language model."""

from typing import Any

from memory.recall import Ranked
from memory.reflection import EVIDENCE_BY_BUDGET, reflect_by_quoting


def unit(number: int, text: str = "Tea is served.", tokens: int = 10, **payload: Any) -> Ranked:
    return Ranked(str(number), {"text": text, "text_tokens": tokens, **payload}, 0.9, 0.5, 0.5)


def test_lines_name_who_and_when() -> None:
    answer = reflect_by_quoting(
        [
            unit(1, "I  like\ntea", speaker="Bob", mentioned_at="2024-03-01T09:00:00Z"),
            unit(2, speaker="Ann"),
            unit(3, mentioned_at="2024-03-02T09:00:00Z", occurred_start="2024-02-01T00:00:00Z"),
            unit(4),
        ],
        "low",
        1000,
    )
    assert answer.text.splitlines()[2:] == [
        "- Bob, 2024-03-01: “I like tea”",
        "- Ann: “Tea is served.”",
        "- 2024-02-01: “Tea is served.”",
        "- “Tea is served.”",
    ]
    assert "No language model" in answer.text


def test_nothing_is_said_to_be_nothing() -> None:
    assert "remembered" in reflect_by_quoting([], "low", 1000).text


def test_evidence_is_bounded_by_count_and_tokens() -> None:
    results = [unit(number) for number in range(20)]
    for budget, count in EVIDENCE_BY_BUDGET.items():
        assert len(reflect_by_quoting(results, budget, 1000).evidence) == count
    assert len(reflect_by_quoting(results, "low", 25).evidence) == 2
    assert reflect_by_quoting(results, "low", 5).evidence == ()


def test_structured_output_or_why_not() -> None:
    schema = {"type": "object", "properties": {"drink": {"enum": ["coffee", "tea"]}}}
    assert reflect_by_quoting([unit(1)], "low", 1000, schema).structured == {"drink": "tea"}
    refused = reflect_by_quoting([unit(1)], "low", 1000, {"type": "string"})
    assert refused.structured is None
    assert refused.structured_error is not None
    assert refused.text
