"""Fill a JSON Schema from remembered texts, without a language model: quotes, numbers found in them, neutral values.

What is returned satisfies the schema; where that cannot be done, the error says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memory.errors import Unprocessable
from memory.schema_checking import (
    MAX_DEPTH,
    UNSUPPORTED,
    Checker,
    Schema,
    as_schema,
    has_duplicates,
    number_of,
    properties_of,
    schemas_list,
    types_of,
)
from memory.schema_values import best_text, numbers, options, speak_of, strings

MAX_LIST = 5
"""Entries of a list whose schema does not ask for more."""
MAX_REQUIRED_LIST = 50
"""Entries a schema can ask for."""
MAX_VALUES = 2000
"""Values of one output, nested and discarded ones included."""


class _CannotFillError(Exception):
    """This part has no value here; an optional one is left out, an alternative is tried."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value goes: what the part is called, the texts it may come from, the references that led to it."""

    texts: tuple[str, ...]
    hint: str = ""
    followed: tuple[str, ...] = ()
    depth: int = 0

    @property
    def name(self) -> str:
        return self.hint[:100] or "the schema"


def fill_schema(schema: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """An object that satisfies the schema, its values taken from the texts, best first.

    Raises:
        Unprocessable: the schema is malformed, describes no object, or cannot be satisfied from texts.
    """
    try:
        value = _Filler(schema).fill(schema, _Place(tuple(texts), followed=("#",)))
    except _CannotFillError as exc:
        raise Unprocessable(f"response_schema cannot be satisfied without a language model: {exc}") from exc
    if not isinstance(value, dict):
        raise Unprocessable("response_schema must describe an object")
    if not Checker(schema).conforms(schema, value):
        raise Unprocessable("response_schema cannot be satisfied without a language model")
    return value


class _Filler:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._checker = Checker(root)
        self._values = 0

    def fill(self, schema: Schema, place: _Place) -> Any:
        """A value for a part of the schema."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise Unprocessable(f"response_schema asks for more than {MAX_VALUES} values")
        place = replace(place, depth=place.depth + 1)
        if place.depth > MAX_DEPTH:
            raise _CannotFillError(f"{place.name} is too deep")
        if isinstance(schema, bool):
            if not schema:
                raise _CannotFillError(f"{place.name} allows nothing")
            return best_text(place.texts, place.hint)
        if not UNSUPPORTED.isdisjoint(schema):
            raise _CannotFillError(f"{place.name} uses {', '.join(sorted(UNSUPPORTED & schema.keys()))}")
        if "$ref" in schema:
            return self._referred(schema, place)
        if "allOf" in schema:
            return self.fill(_merged(schema), place)
        said = (place.hint, schema.get("title"), schema.get("description"))
        place = replace(place, hint=" ".join(str(part)[:500] for part in said if part))
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self._alternative(schema, name, place)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            rest = {name: part for name, part in schema.items() if name != "enum"}
            return self._first_fitting(rest, options(schema, place.texts, place.hint), place)
        return self._typed(schema, place)

    def _referred(self, schema: Mapping[str, Any], place: _Place) -> Any:
        reference = str(schema["$ref"])
        if reference in place.followed:
            raise _CannotFillError(f"{place.name} contains itself")
        target = self._checker.resolve(schema["$ref"])
        siblings = {name: part for name, part in schema.items() if name != "$ref"}
        both: Schema = {**siblings, "allOf": [target, *schemas_list(schema, "allOf")]} if siblings else target
        return self.fill(both, replace(place, followed=(*place.followed, reference)))

    def _alternative(self, schema: Mapping[str, Any], name: str, place: _Place) -> Any:
        rest = {key: part for key, part in schema.items() if key != name}
        choices = [as_schema(choice) for choice in schemas_list(schema, name)]
        null_first = not speak_of(place.texts, place.hint)
        if any(_is_null(choice) for choice in choices):
            choices.sort(key=lambda choice: _is_null(choice) != null_first)
        for choice in choices:
            try:
                value = self.fill({**rest, "allOf": [choice]}, place)
            except _CannotFillError:
                continue
            if self._checker.conforms(schema, value):
                return value
        raise _CannotFillError(f"no alternative of {place.name} fits")

    def _typed(self, schema: Mapping[str, Any], place: _Place) -> Any:
        kinds = types_of(schema) or [_kind_by_keywords(schema)]
        if "null" in kinds:
            others = [kind for kind in kinds if kind != "null"]
            kinds = [*others, "null"] if others and speak_of(place.texts, place.hint) else ["null"]
        for kind in kinds[:-1]:
            try:
                return self._of_kind(kind, schema, place)
            except _CannotFillError:
                continue
        return self._of_kind(kinds[-1], schema, place)

    def _of_kind(self, kind: str, schema: Mapping[str, Any], place: _Place) -> Any:
        match kind:
            case "object":
                return self._object(schema, place)
            case "array":
                return self._array(schema, place)
            case "string":
                return self._first_fitting(schema, strings(schema, place.texts, place.hint), place)
            case "number" | "integer":
                return self._first_fitting(schema, numbers(kind, schema, place.texts, place.hint), place)
            case "boolean":
                return False
            case _:
                return None

    def _first_fitting(self, schema: Mapping[str, Any], candidates: Iterator[Any], place: _Place) -> Any:
        for candidate in candidates:
            if self._checker.conforms(schema, candidate):
                return candidate
        raise _CannotFillError(f"nothing fits {place.name}")

    def _object(self, schema: Mapping[str, Any], place: _Place) -> dict[str, Any]:
        known = properties_of(schema)
        required = dict.fromkeys(str(name) for name in schemas_list(schema, "required"))
        other = as_schema(schema.get("additionalProperties", True))
        most = number_of(schema, "maxProperties", MAX_VALUES)
        filled: dict[str, Any] = {}
        for name in (*required, *(name for name in known if name not in required)):
            if name not in required and len(filled) >= most:
                break
            try:
                filled[name] = self.fill(known.get(name, other), replace(place, hint=name))
            except _CannotFillError:
                if name in required:
                    raise
        ordered = {name: filled[name] for name in known if name in filled}
        return {**ordered, **filled}

    def _array(self, schema: Mapping[str, Any], place: _Place) -> list[Any]:
        first = [as_schema(part) for part in schemas_list(schema, "prefixItems")]
        least = max(0.0, number_of(schema, "minItems", len(first)))
        most = min(number_of(schema, "maxItems", MAX_REQUIRED_LIST), MAX_REQUIRED_LIST)
        if least > most:
            raise _CannotFillError(f"{place.name} asks for more than {MAX_REQUIRED_LIST} entries")
        values = [self.fill(part, place) for part in first[: int(most)]]
        item = as_schema(schema.get("items", True))
        wanted = int(max(least, min(most, len(place.texts), MAX_LIST)))
        for number in range(wanted - len(values)):
            own = place.texts[number % len(place.texts) :][:1] if place.texts else ()
            try:
                value = self.fill(item, replace(place, texts=own))
            except _CannotFillError:
                if len(values) < least:
                    raise
                break
            if not (schema.get("uniqueItems") and has_duplicates([*values, value])):
                values.append(value)
        if len(values) < least:
            raise _CannotFillError(f"{place.name} asks for more different entries than are remembered")
        return values


def _merged(schema: Mapping[str, Any]) -> Schema:
    """The schema with the parts of its `allOf` laid over each other; what cannot be merged is left to the check."""
    merged: dict[str, Any] = {name: part for name, part in schema.items() if name != "allOf"}
    inner: list[Any] = []
    for part in map(as_schema, schemas_list(schema, "allOf")):
        if part is False:
            return False
        for name, value in part.items() if isinstance(part, Mapping) else ():
            if name in ("$ref", "anyOf", "oneOf") and name in merged:
                raise _CannotFillError(f"several {name} in one allOf")
            if name == "allOf":
                inner.extend(schemas_list({name: value}, name))
            elif name == "properties":
                merged[name] = {**properties_of(merged), **properties_of({name: value})}
            elif name == "required":
                merged[name] = [*schemas_list(merged, name), *schemas_list({name: value}, name)]
            else:
                merged[name] = value
    return {**merged, "allOf": inner} if inner else merged


def _is_null(schema: Schema) -> bool:
    return isinstance(schema, Mapping) and types_of(schema) == ["null"]


def _kind_by_keywords(schema: Mapping[str, Any]) -> str:
    if not {"properties", "required", "additionalProperties", "minProperties"}.isdisjoint(schema):
        return "object"
    if not {"items", "prefixItems", "minItems"}.isdisjoint(schema):
        return "array"
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    return "number" if not bounds.isdisjoint(schema) else "string"
