"""Fill a JSON Schema from remembered texts, without a language model: quotes, numbers found in them, neutral values.

What is returned satisfies the schema; where that cannot be done, the error says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, cast

from memory.errors import Unprocessable
from memory.schema_checking import (
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

NOTHING_REMEMBERED = "Nothing about this is remembered."
"""Stands where a text is required and there is no evidence."""
MAX_LIST = 5
"""Entries of a list whose schema does not ask for more."""
MAX_REQUIRED_LIST = 50
"""Entries a schema can ask for."""
MAX_VALUES = 2000
"""Values of one output, nested ones included."""

class _CannotFillError(Exception):
    """This part has no value here; an optional one is left out, an alternative is tried."""


def fill_schema(schema: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """An object that satisfies the schema, its values taken from the texts, best first.

    Raises:
        Unprocessable: the schema is malformed, describes no object, or cannot be satisfied from texts.
    """
    filler = _Filler(schema)
    try:
        value = filler.fill(schema, tuple(texts), "", ())
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

    def fill(self, schema: Schema, texts: tuple[str, ...], hint: str, within: tuple[str, ...]) -> Any:
        """A value for a part. `hint`: what the part is called; `within`: references being followed."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise Unprocessable(f"response_schema asks for more than {MAX_VALUES} values")
        if isinstance(schema, bool):
            return self._either(schema, texts, hint)
        if not UNSUPPORTED.isdisjoint(schema):
            raise _CannotFillError(f"{hint or 'the schema'} uses {', '.join(sorted(UNSUPPORTED & schema.keys()))}")
        if "$ref" in schema:
            return self._referred(schema, texts, hint, within)
        if "allOf" in schema:
            return self.fill(_merged(schema), texts, hint, within)
        hint = " ".join(str(part) for part in (hint, schema.get("title"), schema.get("description")) if part)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self._alternative(schema, name, texts, hint, within)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._option(schema, texts, hint)
        return self._typed(schema, texts, hint, within)

    def _either(self, schema: bool, texts: tuple[str, ...], hint: str) -> Any:
        if not schema:
            raise _CannotFillError(f"{hint or 'the schema'} allows nothing")
        return best_text(texts, hint)

    def _referred(self, schema: Mapping[str, Any], texts: tuple[str, ...], hint: str, within: tuple[str, ...]) -> Any:
        reference = str(schema["$ref"])
        if reference in within:
            raise _CannotFillError(f"{hint or 'the schema'} contains itself")
        target = self._checker.resolve(schema["$ref"])
        siblings = {name: part for name, part in schema.items() if name != "$ref"}
        both: Schema = {**siblings, "allOf": [target, *schemas_list(schema, "allOf")]} if siblings else target
        return self.fill(both, texts, hint, (*within, reference))

    def _alternative(
        self, schema: Mapping[str, Any], name: str, texts: tuple[str, ...], hint: str, within: tuple[str, ...]
    ) -> Any:
        rest = {key: part for key, part in schema.items() if key != name}
        options = [as_schema(option) for option in schemas_list(schema, name)]
        if any(isinstance(option, Mapping) and types_of(option) == ["null"] for option in options):
            options.sort(key=lambda option: _takes_null(option) != _prefers_null(texts, hint))
        for option in options:
            try:
                value = self.fill({**rest, "allOf": [option]} if rest else option, texts, hint, within)
            except _CannotFillError:
                continue
            if self._checker.conforms(schema, value):
                return value
        raise _CannotFillError(f"no alternative of {hint or 'the schema'} fits")

    def _option(self, schema: Mapping[str, Any], texts: tuple[str, ...], hint: str) -> Any:
        options = [option for option in schemas_list(schema, "enum") if self._checker.conforms(schema, option)]
        if not options:
            raise _CannotFillError(f"{hint or 'the schema'} has no option that fits")
        said = " ".join(_words(" ".join((best_text(texts, hint), *texts))))
        named = [o for o in options if isinstance(o, str) and _words(o) and f" {' '.join(_words(o))} " in f" {said} "]
        return named[0] if named else options[0]

    def _typed(self, schema: Mapping[str, Any], texts: tuple[str, ...], hint: str, within: tuple[str, ...]) -> Any:
        kinds = types_of(schema) or [_kind_by_keywords(schema)]
        if "null" in kinds and len(kinds) > 1:
            others = [kind for kind in kinds if kind != "null"]
            kinds = ["null"] if _prefers_null(texts, hint) else [*others, "null"]
        for kind in kinds:
            try:
                return self._of_kind(kind, schema, texts, hint, within)
            except _CannotFillError:
                if kind == kinds[-1]:
                    raise
        raise _CannotFillError(f"{hint or 'the schema'} names no type")

    def _of_kind(
        self, kind: str, schema: Mapping[str, Any], texts: tuple[str, ...], hint: str, within: tuple[str, ...]
    ) -> Any:
        match kind:
            case "object":
                return self._object(schema, texts, hint, within)
            case "array":
                return self._array(schema, texts, hint, within)
            case "string":
                return self._first_fitting(schema, _strings(schema, texts, hint), hint)
            case "number" | "integer":
                return self._first_fitting(schema, _numbers(kind, schema, texts, hint), hint)
            case "boolean":
                return False
            case _:
                return None

    def _first_fitting(self, schema: Mapping[str, Any], candidates: Iterator[Any], hint: str) -> Any:
        for candidate in candidates:
            if self._checker.conforms(schema, candidate):
                return candidate
        raise _CannotFillError(f"no value for {hint or 'the schema'} was found")

    def _object(
        self, schema: Mapping[str, Any], texts: tuple[str, ...], hint: str, within: tuple[str, ...]
    ) -> dict[str, Any]:
        known = properties_of(schema)
        required = [str(name) for name in schemas_list(schema, "required")]
        other = as_schema(schema.get("additionalProperties", True))
        filled: dict[str, Any] = {}
        for name in dict.fromkeys((*required, *known)):
            if name not in required and len(filled) >= number_of(schema, "maxProperties", MAX_VALUES):
                continue
            try:
                filled[name] = self.fill(known.get(name, other), texts, name, within)
            except _CannotFillError:
                if name in required:
                    raise
        order = [*known, *(name for name in filled if name not in known)]
        return {name: filled[name] for name in order if name in filled}

    def _array(
        self, schema: Mapping[str, Any], texts: tuple[str, ...], hint: str, within: tuple[str, ...]
    ) -> list[Any]:
        first = [as_schema(part) for part in schemas_list(schema, "prefixItems")]
        least = number_of(schema, "minItems", len(first))
        most = min(number_of(schema, "maxItems", MAX_REQUIRED_LIST), MAX_REQUIRED_LIST)
        if least > most:
            raise _CannotFillError(f"{hint or 'the schema'} asks for more than {MAX_REQUIRED_LIST} entries")
        values = [self.fill(part, texts, hint, within) for part in first[: int(most)]]
        item = as_schema(schema.get("items", True))
        for number in range(int(max(least, min(most, len(texts), MAX_LIST))) - len(values)):
            own = (texts[number % len(texts)],) if texts else ()
            try:
                value = self.fill(item, own, hint, within)
            except _CannotFillError:
                if len(values) < least:
                    raise
                break
            if not (schema.get("uniqueItems") and has_duplicates([*values, value])):
                values.append(value)
        if len(values) < least:
            raise _CannotFillError(f"{hint or 'the schema'} asks for more different entries than are remembered")
        return values


def _merged(schema: Mapping[str, Any]) -> Schema:
    """The schema with the parts of its `allOf` laid over each other, references left to be followed."""
    merged: dict[str, Any] = {name: part for name, part in schema.items() if name != "allOf"}
    left: list[Any] = []
    for part in map(as_schema, schemas_list(schema, "allOf")):
        if isinstance(part, bool):
            if not part:
                return False
            continue
        for name, value in part.items():
            if name in ("$ref", "anyOf", "oneOf") and name in merged:
                raise _CannotFillError(f"several {name} in one allOf")
            if name == "allOf":
                left.extend(schemas_list(part, "allOf"))
            elif name == "properties":
                merged[name] = {**properties_of(merged), **properties_of(part)}
            elif name == "required":
                merged[name] = [*schemas_list(merged, name), *schemas_list(part, name)]
            else:
                merged[name] = value
    return {**merged, "allOf": left} if left else merged


def _kind_by_keywords(schema: Mapping[str, Any]) -> str:
    if not {"properties", "required", "additionalProperties", "minProperties"}.isdisjoint(schema):
        return "object"
    if not {"items", "prefixItems", "minItems"}.isdisjoint(schema):
        return "array"
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    return "number" if not bounds.isdisjoint(schema) else "string"


def _takes_null(option: Schema) -> bool:
    return isinstance(option, Mapping) and "null" in types_of(option)


