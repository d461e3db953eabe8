"""Does a JSON value satisfy a JSON Schema? The assertions that forms use; bounded, without regular expressions."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memory.errors import Unprocessable

Schema = Mapping[str, Any] | bool

MAX_STEPS = 10_000
"""Schemas looked at for one output: references can make a small schema explode."""
MAX_DEPTH = 64
"""Schemas within schemas, references counted."""
MAX_COMPARED = 500
"""Entries of a list compared with each other or with a value."""
_HUGE = 2**1000
"""Numbers from here on are multiples of nothing: dividing them could overflow."""
UNSUPPORTED = frozenset(
    {
        "pattern",
        "patternProperties",
        "propertyNames",
        "not",
        "if",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "contains",
        "unevaluatedProperties",
        "unevaluatedItems",
    }
)
"""Assertions that are not checked: a schema that uses one is satisfied by nothing here."""

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: is_number(value) and value % 1 == 0,
}


class Checker:
    """Checks values against parts of one root schema, whose references it resolves."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._steps = 0
        self._depth = 0

    def resolve(self, reference: object) -> Schema:
        """The schema a local reference (`#/...`) points at.

        Raises:
            Unprocessable: not local, or it points at nothing.
        """
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Unprocessable("response_schema: only references within the schema (#/...) are followed")
        found: Any = self._root
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise Unprocessable("response_schema: a reference points at nothing")
            found = found[name]
        return as_schema(found)

    def conforms(self, schema: Schema, value: Any) -> bool:
        """Whether the value satisfies the schema.

        Raises:
            Unprocessable: the schema is malformed, or beyond MAX_STEPS or MAX_DEPTH.
        """
        self._steps += 1
        self._depth += 1
        try:
            if self._steps > MAX_STEPS or self._depth > MAX_DEPTH:
                raise Unprocessable("response_schema is too complex to be filled without a language model")
            return schema if isinstance(schema, bool) else self._conforms(schema, value)
        finally:
            self._depth -= 1

    def _conforms(self, schema: Mapping[str, Any], value: Any) -> bool:
        if not UNSUPPORTED.isdisjoint(schema):
            return False
        return (
            self._right_kind(schema, value)
            and self._combined(schema, value)
            and (not isinstance(value, str) or _text_fits(schema, value))
            and (not is_number(value) or _number_fits(schema, value))
            and (not isinstance(value, list) or self._items_fit(schema, value))
            and (not isinstance(value, dict) or self._members_fit(schema, value))
        )

    def _right_kind(self, schema: Mapping[str, Any], value: Any) -> bool:
        kinds = types_of(schema)
        return (
            (not kinds or any(_TYPES[kind](value) for kind in kinds))
            and ("const" not in schema or same(schema["const"], value))
            and ("enum" not in schema or any(same(option, value) for option in options_of(schema)))
        )

    def _combined(self, schema: Mapping[str, Any], value: Any) -> bool:
        def matching(name: str) -> list[bool]:
            return [self.conforms(as_schema(part), value) for part in schemas_list(schema, name)]

        return (
            ("$ref" not in schema or self.conforms(self.resolve(schema["$ref"]), value))
            and ("allOf" not in schema or all(matching("allOf")))
            and ("anyOf" not in schema or any(matching("anyOf")))
            and ("oneOf" not in schema or sum(matching("oneOf")) == 1)
        )

    def _items_fit(self, schema: Mapping[str, Any], values: list[Any]) -> bool:
        first = schemas_list(schema, "prefixItems")
        rest = as_schema(schema.get("items", True))
        return (
            number_of(schema, "minItems", 0) <= len(values) <= number_of(schema, "maxItems", math.inf)
            and not (schema.get("uniqueItems") and has_duplicates(values))
            and all(self.conforms(as_schema(part), value) for part, value in zip(first, values, strict=False))
            and all(self.conforms(rest, value) for value in values[len(first) :])
        )

    def _members_fit(self, schema: Mapping[str, Any], members: dict[str, Any]) -> bool:
        known = properties_of(schema)
        other = as_schema(schema.get("additionalProperties", True))
        return (
            all(name in members for name in schemas_list(schema, "required"))
            and number_of(schema, "minProperties", 0) <= len(members) <= number_of(schema, "maxProperties", math.inf)
            and all(self.conforms(known.get(name, other), value) for name, value in members.items())
        )


def as_schema(part: Any) -> Schema:
    """The part itself if it can be a schema.

    Raises:
        Unprocessable: neither an object nor a boolean.
    """
    if isinstance(part, (Mapping, bool)):
        return part
    raise Unprocessable("response_schema: a schema must be an object or a boolean")


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Names under `type`; none where it is absent.

    Raises:
        Unprocessable: a name that JSON Schema does not have.
    """
    given = schema.get("type", [])
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) and name in _TYPES for name in names):
        raise Unprocessable("response_schema: `type` must name JSON types")
    return names


def schemas_list(schema: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The list under a keyword; empty where it is absent.

    Raises:
        Unprocessable: it is no list.
    """
    found = schema.get(name, [])
    if not isinstance(found, list):
        raise Unprocessable(f"response_schema: `{name}` must be a list")
    return found


def properties_of(schema: Mapping[str, Any]) -> dict[str, Schema]:
    """Schemas of the named members.

    Raises:
        Unprocessable: `properties` is no object of schemas.
    """
    found = schema.get("properties", {})
    if not isinstance(found, Mapping):
        raise Unprocessable("response_schema: `properties` must be an object")
    return {str(name): as_schema(part) for name, part in found.items()}


def options_of(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The values under `enum`.

    Raises:
        Unprocessable: no list, or more than MAX_COMPARED values.
    """
    found = schemas_list(schema, "enum")
    if len(found) > MAX_COMPARED:
        raise Unprocessable(f"response_schema: more than {MAX_COMPARED} options are not compared")
    return found


def number_of(schema: Mapping[str, Any], name: str, absent: float) -> float:
    """The number under a keyword.

    Raises:
        Unprocessable: it is no number.
    """
    found = schema.get(name, absent)
    if not is_number(found):
        raise Unprocessable(f"response_schema: `{name}` must be a number")
    number: float = found
    return number


def is_number(value: Any) -> bool:
    """Whether JSON would call it a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def has_duplicates(values: Sequence[Any]) -> bool:
    """Whether any two are the same.

    Raises:
        Unprocessable: more than MAX_COMPARED values.
    """
    if len(values) > MAX_COMPARED:
        raise Unprocessable(f"response_schema: lists of more than {MAX_COMPARED} values are not compared")
    return any(same(value, before) for index, value in enumerate(values) for before in values[:index])


def _text_fits(schema: Mapping[str, Any], text: str) -> bool:
    return number_of(schema, "minLength", 0) <= len(text) <= number_of(schema, "maxLength", math.inf)


def _number_fits(schema: Mapping[str, Any], value: float) -> bool:
    step = number_of(schema, "multipleOf", 0)
    ratio = 0.0 if step <= 0 else value / step if abs(value) < _HUGE else math.inf
    return (
        number_of(schema, "minimum", -math.inf) <= value <= number_of(schema, "maximum", math.inf)
        and number_of(schema, "exclusiveMinimum", -math.inf) < value < number_of(schema, "exclusiveMaximum", math.inf)
        and math.isfinite(ratio)
        and math.isclose(ratio, round(ratio), rel_tol=1e-12, abs_tol=1e-12)
    )
