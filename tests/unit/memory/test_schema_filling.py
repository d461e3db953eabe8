"""Outputs satisfy their schemas, say only what texts say, and take bounded time."""

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import Unprocessable
from memory.schema_filling import MAX_LIST, fill_schema
from memory.schema_values import NOTHING_REMEMBERED

TEXTS = [
    "I recommend the Italian place near the station.",
    "Bob likes tea; his budget is 30 euros.",
    "2024-05-01: Carol wrote to carol@example.org about https://example.org/x",
]


def one(schema: Any, texts: list[str] | None = None, name: str = "value") -> Any:
    """What a single required member is filled with."""
    root = {"type": "object", "properties": {name: schema}, "required": [name]}
    return fill_schema(root, TEXTS if texts is None else texts)[name]


def test_the_contracts_example() -> None:
    schema = {
        "type": "object",
        "properties": {
            "recommendation": {"type": "string"},
            "reasons": {"type": "array", "items": {"type": "string"}},
            "confidence": {"type": ["string", "null"]},
        },
        "required": ["recommendation", "reasons"],
    }
    output = fill_schema(schema, TEXTS)
    assert output == {"recommendation": TEXTS[0], "reasons": TEXTS, "confidence": None}
    assert fill_schema(schema, []) == {"recommendation": NOTHING_REMEMBERED, "reasons": [], "confidence": None}


@pytest.mark.parametrize(
    ("schema", "name", "value"),
    [
        ({"type": "string"}, "budget", TEXTS[1]),
        ({"type": "string", "description": "what Carol wrote"}, "x", TEXTS[2]),
        ({"type": "string", "maxLength": 11}, "x", "I recommend"),
        ({"type": "string", "minLength": 60}, "x", " ".join(TEXTS)),
        ({"type": "string", "format": "date"}, "x", "2024-05-01"),
        ({"type": "string", "format": "email"}, "x", "carol@example.org"),
        ({"type": "string", "format": "uri"}, "x", "https://example.org/x"),
        ({"type": ["string", "null"]}, "budget", TEXTS[1]),
        ({"type": ["string", "null"]}, "mood", None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "mood", None),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "budget", TEXTS[1]),
        ({"type": "integer"}, "budget", 30),
        ({"type": "integer", "maximum": 20}, "budget", 0),
        ({"type": "number", "minimum": 0.2, "maximum": 0.3}, "x", 0.2),
        ({"type": "number", "exclusiveMinimum": 0.2, "exclusiveMaximum": 0.3}, "x", 0.25),
        ({"type": "integer", "minimum": 5, "multipleOf": 7}, "x", 7),
        ({"type": "boolean"}, "x", False),
        ({"type": "null"}, "x", None),
        ({"enum": ["coffee", "tea"]}, "drink", "tea"),
        ({"enum": ["coffee", "milk"]}, "drink", "coffee"),
        ({"enum": [3, "tea"], "type": "integer"}, "drink", 3),
        ({"const": {"a": 1}}, "x", {"a": 1}),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, "x", TEXTS[:1]),
        ({"type": "array", "items": {"const": 1}, "minItems": 7}, "x", [1] * 7),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, "x", [1, 2]),
        ({"type": "array", "items": {"enum": ["tea"]}, "uniqueItems": True}, "x", ["tea"]),
        ({"allOf": [{"type": "string"}, {"maxLength": 1}]}, "x", "I"),
        ({"oneOf": [{"type": "string", "pattern": "^x"}, {"const": 4}]}, "x", 4),
        ({}, "x", TEXTS[0]),
        (True, "x", TEXTS[0]),
        ({"minimum": 3}, "x", 3),
    ],
    ids=str,
)
def test_values(schema: Any, name: str, value: Any) -> None:
    assert one(schema, name=name) == value


def test_each_object_of_a_list_comes_from_one_text() -> None:
    item = {"type": "object", "properties": {"said": {"type": "string"}, "tea": {"type": ["string", "null"]}}}
    found = one({"type": "array", "items": item})
    assert [entry["said"] for entry in found] == TEXTS
    assert [entry["tea"] for entry in found] == [None] * 3


def test_lists_are_short_unless_more_is_asked_for() -> None:
    many = [f"text {n}" for n in range(40)]
    assert len(one({"type": "array", "items": {"type": "string"}}, many)) == MAX_LIST
    assert len(one({"type": "array", "items": {"type": "string"}, "minItems": 20}, many)) == 20


def test_optional_members_that_cannot_be_filled_are_left_out() -> None:
    schema = {
        "properties": {"code": {"type": "string", "pattern": "^x$"}, "self": {"$ref": "#"}, "a": {"type": "null"}}
    }
    assert fill_schema(schema, TEXTS) == {"a": None}


def test_recursive_schemas_end_where_they_may() -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    }
    assert fill_schema(tree, TEXTS) == {"name": TEXTS[0], "children": []}


def test_pydantic_schemas_fill_and_validate() -> None:
    schema = {
        "$defs": {"Mood": {"enum": ["good", "bad"], "title": "Mood", "type": "string"}},
        "properties": {
            "mood": {"$ref": "#/$defs/Mood", "description": "how it is"},
            "moods": {"items": {"$ref": "#/$defs/Mood"}, "title": "Moods", "type": "array"},
            "score": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Score"},
            "by_name": {"additionalProperties": {"type": "integer"}, "title": "By Name", "type": "object"},
        },
        "required": ["mood", "moods", "by_name"],
        "title": "Answer",
        "type": "object",
    }
    assert fill_schema(schema, TEXTS) == {"mood": "good", "moods": ["good"] * 3, "score": None, "by_name": {}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "array"},
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"properties": {"a": {"type": "string", "pattern": "^x"}}, "required": ["a"]},
        {"properties": {"a": {"type": "string", "format": "uuid"}}, "required": ["a"]},
        {"properties": {"a": {"type": "string", "minLength": 10**9}}, "required": ["a"]},
        {"properties": {"a": {"type": "integer", "minimum": 0.2, "maximum": 0.8}}, "required": ["a"]},
        {"properties": {"a": {"items": {"const": 1}, "minItems": 51}}, "required": ["a"]},
        {"properties": {"a": {"items": {"const": 1}, "minItems": 2, "uniqueItems": True}}, "required": ["a"]},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "object", "minProperties": 1},
        {"type": "object", "not": {}},
        {"properties": {"a": False}, "required": ["a"]},
        {"properties": {"a": {"enum": []}}, "required": ["a"]},
        {"properties": {"a": {"allOf": [{"anyOf": []}, {"anyOf": []}]}}, "required": ["a"]},
        {"properties": {str(n): {"type": "null"} for n in range(3000)}},
        {"properties": {"a": {"type": "number", "minimum": "x"}}, "required": ["a"]},
        {"properties": {"a": {"type": "number", "minimum": 10**400, "multipleOf": 1e-320}}, "required": ["a"]},
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_what_cannot_be_filled_says_so(schema: Any) -> None:
    with pytest.raises(Unprocessable, match="response_schema"):
        fill_schema(schema, TEXTS)


def test_exploding_schemas_end() -> None:
    layers = {
        f"l{n}": {"type": "object", "properties": {side: {"$ref": f"#/$defs/l{n + 1}"} for side in "ab"}}
        for n in range(30)
    }
    root = {"$ref": "#/$defs/l0", "$defs": {**layers, "l30": {"type": "null"}}}
    started_s = time.perf_counter()
    with pytest.raises(Unprocessable):
        fill_schema(root, TEXTS)
    assert time.perf_counter() - started_s < 2.0


kinds = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
plain = st.fixed_dictionaries(
    {"type": st.one_of(kinds, st.lists(kinds, min_size=1, max_size=2, unique=True))},
    optional={
        "minLength": st.integers(0, 5),
        "maxLength": st.integers(6, 60),
        "minimum": st.integers(-5, 2),
        "maximum": st.integers(5, 9),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "title": st.text(max_size=10),
    },
)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(st.sampled_from(["tea", "budget", "c"]), inner, min_size=1, max_size=3)
    objects = st.tuples(members, st.integers(0, 3)).map(
        lambda drawn: {"type": "object", "properties": drawn[0], "required": list(drawn[0])[: drawn[1]]}
    )
    arrays = st.fixed_dictionaries({"type": st.just("array"), "items": inner, "minItems": st.integers(0, 3)})
    choices = st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
    return st.one_of(objects, arrays, choices, st.fixed_dictionaries({"allOf": st.tuples(inner).map(list)}))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(member=st.recursive(plain, composed, max_leaves=8), texts=st.lists(st.sampled_from(TEXTS), max_size=3))
def test_whatever_is_filled_is_valid(member: Any, texts: list[str]) -> None:
    root = {"type": "object", "properties": {"tea": member}, "required": ["tea"]}
    output = fill_schema(root, texts)
    jsonschema.Draft202012Validator(root).validate(output)
