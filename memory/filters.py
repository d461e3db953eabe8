"""Filter expressions over unit payloads, and their reference evaluation on a Unit's payload mapping.

One small tree that each store back end compiles to its engine's types. Fields are payload keys (storage.schema); a
field that holds a list matches where any element does, as in Qdrant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from memory.errors import Unprocessable

TagsMatch = Literal["any", "all", "any_strict", "all_strict", "exact"]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field holds one of the values (keywords or integers; never booleans, which the edge engine cannot match)."""

    field: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """The field is absent, null or an empty list."""

    field: str


@dataclass(frozen=True, slots=True)
class Size:
    """The field's list has exactly `count` values."""

    field: str
    count: int


@dataclass(frozen=True, slots=True)
class Between:
    """The field lies in [gte, lte]; a None bound is open. Integers, floats or instants."""

    field: str
    gte: float | datetime | None = None
    lte: float | datetime | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """Every word of `text` occurs in the field's text."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class HasId:
    """The point's id is one of `ids`."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; no part: true."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 - `Any` is typing's
    """At least one part holds; no part: false."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Filter"


Filter: TypeAlias = AnyOf | Empty | Size | Between | Words | HasId | All | Any_ | Not

TRUE = All(())
EVIDENCE: Filter = Not(AnyOf("kind", ("fact", "reflection")))
"""Units that were told. Facts and stored reflections repeat their words, so that these alone say how rare a word is
in the bank."""
REFLECTED: Filter = Not(AnyOf("kind", ("fact",)))
"""These and stored reflections, for those who ask for them."""
REMEMBERED: Filter = Not(AnyOf("kind", ("reflection",)))
"""All units but stored reflections."""


def every(*parts: Filter | None) -> Filter:
    """All of the given parts, leaving out None and flattening one level."""
    flat: list[Filter] = []
    for part in parts:
        if isinstance(part, All):
            flat.extend(part.parts)
        elif part is not None:
            flat.append(part)
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def tags_filter(tags: Sequence[str] | None, match: TagsMatch) -> Filter | None:
    """Filter of the request's tags; None where it lets everything through.

    any: overlap or untagged; all: superset or untagged; the strict forms drop the untagged; exact: equal sets.
    """
    wanted = tuple(dict.fromkeys(tags or ()))
    untagged = Empty("tags")
    if match == "exact":
        return every(*(AnyOf("tags", (tag,)) for tag in wanted), Size("tags", len(wanted))) if wanted else untagged
    if not wanted:
        return None
    overlap: Filter = AnyOf("tags", wanted)
    superset: Filter = every(*(AnyOf("tags", (tag,)) for tag in wanted))
    if match == "any_strict":
        return overlap
    if match == "all_strict":
        return superset
    if match == "any":
        return Any_((overlap, untagged))
    if match == "all":
        return Any_((superset, untagged))
    raise Unprocessable(f"tags_match is one of any, all, any_strict, all_strict, exact; not {match!r}")


def holds(tree: Filter, point_id: str, payload: Mapping[str, Any]) -> bool:
    """Reference evaluation on one point's payload (instants as datetime or ISO strings)."""
    match tree:
        case All(parts):
            return all(holds(part, point_id, payload) for part in parts)
        case Any_(parts):
            return any(holds(part, point_id, payload) for part in parts)
        case Not(part):
            return not holds(part, point_id, payload)
        case HasId(ids):
            return point_id in ids
        case Empty(field):
            return not _values(payload, field)
        case Size(field, count):
            return len(_values(payload, field)) == count
        case AnyOf(field, wanted):
            return any(value in wanted for value in _values(payload, field) if not isinstance(value, bool))
        case Between(field, gte, lte):
            return any(_within(value, gte, lte) for value in _values(payload, field))
        case Words(field, text):
            return any(_has_words(str(value), text) for value in _values(payload, field))


def has_word(text: str) -> bool:
    """Whether a text has a word that Words could look for; without one it lets everything through."""
    return bool(_words(text))


def _values(payload: Mapping[str, Any], field: str) -> list[Any]:
    value: Any = payload
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _within(value: Any, gte: float | datetime | None, lte: float | datetime | None) -> bool:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return (gte is None or value >= gte) and (lte is None or value <= lte)


def _has_words(text: str, wanted: str) -> bool:
    have = set(_words(text))
    return all(word in have for word in _words(wanted))


def _words(text: str) -> list[str]:
    return "".join(char.lower() if char.isalnum() else " " for char in text).split()
