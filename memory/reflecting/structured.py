"""Does a JSON value satisfy a caller's JSON Schema? By the jsonschema library, kept from running away.

No reference leaves the schema, references are counted, and patterns are matched in linear time.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pydantic
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from pydantic_core import SchemaError as PatternError
from referencing import Registry
from referencing.exceptions import Unresolvable

from memory.errors import Unprocessable

MAX_REFERENCES = 5_000
"""Followed for one value: few of them can make a small schema explode."""
MAX_PROBLEMS = 10
MAX_SCHEMA_NODES = 20_000
_UNSUPPORTED = frozenset({"patternProperties", "$dynamicRef", "$recursiveRef"})


class _TooManyReferencesError(Exception):
    """A value would take too long to check."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """See that a schema can be used.

    Raises:
        Unprocessable: it is malformed, refers to something outside of it, or uses what is not supported.
    """
    found = list(_nodes(schema))
    if len(found) > MAX_SCHEMA_NODES:
        raise Unprocessable("response_schema is too large")
    for node in found:
        if used := _UNSUPPORTED & node.keys():
            raise Unprocessable(f"response_schema uses {min(used)}, which is not supported")
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise Unprocessable("response_schema refers to something outside of it")
    try:
        Draft202012Validator.check_schema(dict(schema))
    except (SchemaError, RecursionError) as exc:
        said = exc.message if isinstance(exc, SchemaError) else "it is too deep"
        raise Unprocessable(f"response_schema is no JSON Schema: {said[:300]}") from exc
    for node in found:
        if isinstance(pattern := node.get("pattern"), str):
            _matcher(pattern)


def problems_of(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What is wrong with a value, in sentences; none: it satisfies the schema."""
    left = [MAX_REFERENCES]

    def reference(validator: Any, target: str, instance: Any, _: Any) -> Iterator[ValidationError]:
        left[0] -= 1
        if left[0] < 0:
            raise _TooManyReferencesError
        yield from validator._validate_reference(ref=target, instance=instance)  # noqa: SLF001 - as its own $ref does

    checked: Any = extend(Draft202012Validator, {"$ref": reference, "pattern": _pattern})  # type: ignore[no-untyped-call]  # the library's are not typed
    validator = checked(dict(schema), registry=Registry())
    problems: list[str] = []
    try:
        for error in validator.iter_errors(value):
            problems.append(f"{error.json_path}: {error.message[:300]}")
            if len(problems) >= MAX_PROBLEMS:
                break
    except (Unresolvable, _TooManyReferencesError, RecursionError):
        problems.append("$: the schema's references cannot be followed to their end")
    return problems


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str):
        try:
            _matcher(pattern).validate_python(instance)
        except pydantic.ValidationError:
            yield ValidationError(f"{instance[:100]!r} does not match {pattern[:100]!r}")


@cache
def _matcher(pattern: str) -> pydantic.TypeAdapter[str]:
    """Matches by an engine without backtracking.

    Raises:
        Unprocessable: it knows no such pattern.
    """
    try:
        return pydantic.TypeAdapter(pydantic.constr(pattern=pattern))
    except PatternError as exc:
        raise Unprocessable(f"response_schema has a pattern that is not supported: {pattern[:100]!r}") from exc


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a JSON value, whatever it means there."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
