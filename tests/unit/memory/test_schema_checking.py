"""The checker agrees with jsonschema on what it supports, and refuses the rest in bounded time."""

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import Unprocessable
from memory.schema_checking import UNSUPPORTED, Checker, has_duplicates, same

scalars = st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.floats(-3, 9, width=16), st.text("ab", max_size=4))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=6,
)
kinds = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
counts = st.integers(0, 3)
plain = st.one_of(
    st.booleans(),
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(kinds, st.lists(kinds, min_size=1, max_size=2, unique=True)),
            "enum": st.lists(scalars, min_size=1, max_size=3),
            "const": scalars,
            "minimum": st.integers(-2, 4),
            "exclusiveMaximum": st.integers(0, 6),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": counts,
            "maxLength": counts,
            "minItems": counts,
            "maxItems": counts,
            "uniqueItems": st.booleans(),
            "minProperties": counts,
            "maxProperties": counts,
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "$ref": st.just("#/$defs/shared"),
        },
    ),
)
schemas = st.recursive(
    plain,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=5,
)
shared = st.fixed_dictionaries({}, optional={"type": kinds, "minLength": counts})


@settings(max_examples=300, deadline=None, derandomize=True)
@given(schema=schemas, target=shared, value=values)
def test_it_agrees_with_jsonschema(schema: Any, target: Any, value: Any) -> None:
    root = {"allOf": [schema], "$defs": {"shared": target}}
    jsonschema.Draft202012Validator.check_schema(root)
    assert Checker(root).conforms(root, value) is jsonschema.Draft202012Validator(root).is_valid(value)


@pytest.mark.parametrize("keyword", sorted(UNSUPPORTED))
def test_what_is_not_supported_is_satisfied_by_nothing(keyword: str) -> None:
    assert not Checker({}).conforms({keyword: {}}, "anything")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"type": 5},
        {"enum": "a"},
        {"enum": list(range(501))},
        {"anyOf": {}},
        {"items": 5},
        {"properties": []},
        {"properties": {"a": 5}},
        {"minItems": "1"},
        {"minimum": True},
        {"required": "a"},
        {"$ref": "http://localhost/schema"},
        {"$ref": "#/none"},
        {"$ref": 5},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_malformed_schemas_are_refused(schema: Any) -> None:
    def check() -> None:
        for value in ({"a": 1}, ["x"], "x", 1):
            Checker(schema).conforms(schema, value)

    with pytest.raises(Unprocessable):
        check()


def test_exploding_schemas_end() -> None:
    layers = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(30)}
    root = {"$ref": "#/$defs/l0", "$defs": {**layers, "l30": {"type": "null"}}}
    started_s = time.perf_counter()
    with pytest.raises(Unprocessable):
        Checker(root).conforms(root, "x")
    assert time.perf_counter() - started_s < 2.0


def test_equality_is_jsons() -> None:
    assert same(1, 1.0)
    assert not same(1, True)
    assert not same([1, {"a": True}], [1, {"a": 1}])
    assert same({"a": [1]}, {"a": [1]})
    assert has_duplicates([[1], 2, [1]])
    assert not has_duplicates([1, True])
    with pytest.raises(Unprocessable):
        has_duplicates(list(range(501)))


def test_pointers_are_unescaped() -> None:
    root = {"$defs": {"a/b~c": {"type": "null"}}}
    assert Checker(root).resolve("#/$defs/a~1b~0c") == {"type": "null"}
    assert Checker(root).resolve("#") == root


@pytest.mark.parametrize("value", [2**64, 10**400, 1e308, -1e308], ids=["u64", "vast", "max", "min"])
def test_huge_numbers_do_not_overflow(value: float) -> None:
    assert Checker({}).conforms({"type": "number", "multipleOf": 1e-300, "maximum": 1e300}, value) is False
    assert Checker({}).conforms({"type": "integer", "minimum": value}, 1) is (value < 0)
