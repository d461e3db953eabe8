"""Callers' JSON Schemas: checked by the library, kept from running away."""

import pytest

from memory.errors import Unprocessable
from memory.reflecting.structured import check_schema, problems_of


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "words"},
        {"$ref": "http://example.com/schema"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json#/x"}}},
        {"pattern": "(?=look)ahead"},
        {"patternProperties": {"^a": {}}},
        {"$dynamicRef": "#x"},
        {"allOf": [{"type": "string"}] * 30_000},
    ],
)
def test_what_cannot_be_used_is_refused(schema):
    with pytest.raises(Unprocessable, match="response_schema"):
        check_schema(schema)


def test_references_and_patterns_within_the_schema_work():
    schema = {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "string", "pattern": "^a+$"}}}
    check_schema(schema)
    assert problems_of(schema, {"a": "aaa"}) == []
    assert problems_of(schema, {"a": "b"}) == ["$.a: 'b' does not match '^a+$'"]
    assert len(problems_of({"items": {"type": "string"}}, list(range(50)))) == 10


def test_a_schema_that_explodes_or_turns_in_circles_ends():
    parts = {"a0": {"type": "string"}}
    for number in range(1, 40):
        parts[f"a{number}"] = {"allOf": [{"$ref": f"#/$defs/a{number - 1}"}] * 2}
    assert "cannot be followed" in problems_of({"$ref": "#/$defs/a39", "$defs": parts}, "x")[0]
    assert "cannot be followed" in problems_of({"$ref": "#"}, "x")[0]
    assert "cannot be followed" in problems_of({"$ref": "#/$defs/none"}, "x")[0]
    catastrophe = {"pattern": "^(a+)+$"}
    check_schema(catastrophe)
    assert problems_of(catastrophe, "a" * 5000 + "b")
