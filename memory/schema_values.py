"""Values for the leaves of a JSON Schema, found in remembered texts: candidates, best first, still to be checked."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from memory.schema_checking import number_of

NOTHING_REMEMBERED = "Nothing about this is remembered."
"""Stands where a text is required and there is no evidence."""

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,9})?(?![\w.]*\w)")
_FORMATS = {
    "date-time": re.compile(r"\b\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)"),
    "date": re.compile(r"\b\d{4}-\d\d-\d\d\b"),
    "time": re.compile(r"\b\d\d:\d\d:\d\d(?:[Zz]|[+-]\d\d:\d\d)"),
    "email": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b"),
    "uri": re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s<>\"]{1,1000}"),
    "uuid": re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
}


def best_text(texts: Sequence[str], hint: str) -> str:
    """The text that shares most words with a name and its description; the first where none does."""
    if not texts:
        return NOTHING_REMEMBERED
    wanted = _content_words(hint)
    return max(texts, key=lambda text: len(wanted & _content_words(text)))


def _prefers_null(texts: Sequence[str], hint: str) -> bool:
    """Whether nothing in the texts speaks of what the part is called."""
    return _content_words(hint).isdisjoint(_content_words(" ".join(texts)))


def _strings(schema: Mapping[str, Any], texts: Sequence[str], hint: str) -> Iterator[str]:
    best = best_text(texts, hint)
    form = _FORMATS.get(str(schema.get("format", "")))
    if form is not None:
        yield from (match[0] for text in (best, *texts) for match in form.finditer(text))
        return
    longest = int(min(number_of(schema, "maxLength", 10_000), 10_000))
    whole = " ".join(dict.fromkeys((best, *texts)))
    yield _cut(best, longest)
    yield _cut(whole, longest)
    yield whole[:longest]


def _numbers(kind: str, schema: Mapping[str, Any], texts: Sequence[str], hint: str) -> Iterator[float]:
    found = (match[0] for text in (best_text(texts, hint), *texts) for match in _NUMBER.finditer(text))
    bounds = [schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")]
    step = cast("float", schema.get("multipleOf", 1))
    near = [
        value
        for bound in bounds
        if bound is not None and abs(bound) < 2**53
        for value in (bound, bound + 1, bound - 1, (bound // step) * step, (bound // step + 1) * step)
    ]
    low, high = bounds[0] if bounds[0] is not None else bounds[1], bounds[2] if bounds[2] is not None else bounds[3]
    middle = [] if low is None or high is None else [(low + high) / 2]
    for value in chain((float(text) for text in found), (0.0,), near, middle):
        if float(value).is_integer():
            yield int(value)
        elif kind == "number":
            yield float(value)


def _cut(text: str, longest: int) -> str:
    """The text, or what of it fits, up to a word border where there is one."""
    if len(text) <= longest:
        return text
    head = text[:longest]
    return head[: head.rfind(" ")] if " " in head.strip() else head


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def _content_words(text: str) -> set[str]:
    return {word for word in _words(text) if len(word) > 3}
