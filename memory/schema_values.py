"""Values for the leaves of a JSON Schema, found in remembered texts: candidates, best first, still to be checked."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from memory.schema_checking import number_of, options_of

NOTHING_REMEMBERED = "Nothing about this is remembered."
"""Stands where a text is required and there is no evidence."""
MAX_TEXT_CHARS = 10_000
"""Characters of one value."""

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,9})?(?!\w)")
_FORMATS = {
    "date-time": re.compile(r"\b\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)"),
    "date": re.compile(r"\b\d{4}-\d\d-\d\d\b"),
    "time": re.compile(r"\b\d\d:\d\d:\d\d(?:[Zz]|[+-]\d\d:\d\d)"),
    "email": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b"),
    "uri": re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s<>\"]{1,1000}"),
    "uuid": re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
}
_READ_CHARS = 20_000
_EXACT = 2**53
"""Whole numbers below it are exact as floats."""


def best_text(texts: Sequence[str], hint: str) -> str:
    """The text that shares most words with a name and its description; the first where none does."""
    if not texts:
        return NOTHING_REMEMBERED
    wanted = _content_words(hint)
    return max(texts, key=lambda text: len(wanted & _content_words(text)))


def speak_of(texts: Sequence[str], hint: str) -> bool:
    """Whether any text shares a word with a name and its description."""
    return not _content_words(hint).isdisjoint(_content_words(" ".join(texts)))


def options(schema: Mapping[str, Any], texts: Sequence[str], hint: str) -> Iterator[Any]:
    """Options of an `enum`: those that the best texts name, then the others in order."""
    given = options_of(schema)
    said = f" {' '.join(_words(' '.join((best_text(texts, hint), *texts))))} "
    named = [option for option in given if isinstance(option, str) and f" {' '.join(_words(option))} " in said]
    yield from named
    yield from given


def strings(schema: Mapping[str, Any], texts: Sequence[str], hint: str) -> Iterator[str]:
    """Texts that may fit: of a format where one is asked for, else the best text or several, cut to length."""
    best = best_text(texts, hint)
    form = _FORMATS.get(str(schema.get("format", "")))
    if form is not None:
        yield from (match[0] for text in (best, *texts) for match in form.finditer(text))
        return
    longest = int(max(0, min(number_of(schema, "maxLength", MAX_TEXT_CHARS), MAX_TEXT_CHARS)))
    whole = " ".join(dict.fromkeys((best, *texts)))
    yield _cut(best, longest)
    yield _cut(whole, longest)
    yield whole[:longest]


def numbers(kind: str, schema: Mapping[str, Any], texts: Sequence[str], hint: str) -> Iterator[float]:
    """Numbers that may fit: those in texts that speak of it, then 0, then what the bounds leave; whole ones as int."""
    speaking = [text for text in (best_text(texts, hint), *texts) if speak_of((text,), hint)]
    found = (match[0] for text in speaking for match in _NUMBER.finditer(text))
    for value in chain(map(float, found), (0.0,), _near_bounds(schema)):
        if value.is_integer():
            yield int(value)
        elif kind == "number":
            yield value


def _near_bounds(schema: Mapping[str, Any]) -> Iterator[float]:
    names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    bounds = [float(bound) for name in names if abs(bound := number_of(schema, name, math.nan)) < _EXACT]
    step = number_of(schema, "multipleOf", 1)
    step = float(step) if 0 < step < _EXACT else 1.0
    for bound in bounds:
        below = math.floor(bound / step) * step
        yield from (bound, below, below + step, bound - 1, bound + 1)
    if bounds:
        yield (min(bounds) + max(bounds)) / 2


def _cut(text: str, longest: int) -> str:
    """The text, or what of it fits, up to a word border where there is one."""
    if len(text) <= longest:
        return text
    head = text[:longest]
    return head if text[longest] == " " or " " not in head.strip() else head[: head.rfind(" ")]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def _content_words(text: str) -> set[str]:
    return {word for word in _words(text[:_READ_CHARS]) if len(word) > 3}
