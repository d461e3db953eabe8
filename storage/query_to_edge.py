"""Our neutral filter tree -> qdrant_edge's types."""

from datetime import datetime

from qdrant_edge import (
    FieldCondition,
    Filter,
    HasIdCondition,
    IsEmptyCondition,
    MatchAny,
    MatchText,
    MatchValue,
    RangeDateTime,
    RangeFloat,
    ValuesCount,
)

from memory import filters as neutral
from memory.encoding import instant_to_text
from memory.ids import Scope
from storage import schema

Condition = FieldCondition | Filter | HasIdCondition | IsEmptyCondition


def scoped(scope: Scope, *parts: neutral.Filter) -> Filter:
    """Filter of one bank's points that also match every part."""
    return Filter(must=[_equals(schema.BANK_KEY, scope.key), *(condition(part) for part in parts)])


def condition(tree: neutral.Filter) -> Condition:
    """One condition for the whole tree."""
    match tree:
        case neutral.All(parts):
            return Filter(must=[condition(part) for part in parts])
        case neutral.Any_(parts):
            return Filter(should=[condition(part) for part in parts]) if parts else _nothing()
        case neutral.Not(part):
            return Filter(must_not=[condition(part)])
        case neutral.HasId(ids):
            return HasIdCondition(set(ids))
        case neutral.Empty(field):
            return IsEmptyCondition(field)
        case neutral.Size(field, 0):  # the engine counts values of fields that are there only
            return IsEmptyCondition(field)
        case neutral.Size(field, count):
            return FieldCondition(key=field, values_count=ValuesCount(gte=count, lte=count))
        case neutral.AnyOf(field, values):
            return _equals(field, values[0]) if len(values) == 1 else _one_of(field, values)
        case neutral.Between(field, gte, lte):
            return _between(field, gte, lte)
        case neutral.Words(field, text):
            if not neutral.has_word(text):  # the engine matches nothing then
                return Filter(must_not=[IsEmptyCondition(field)])
            return FieldCondition(key=field, match=MatchText(text=text))


def _equals(field: str, value: str | int) -> FieldCondition:
    return FieldCondition(key=field, match=MatchValue(value=value))


def _one_of(field: str, values: tuple[str | int, ...]) -> Condition:
    if not values:
        return _nothing()
    words = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    parts = [FieldCondition(key=field, match=MatchAny(part)) for part in (words, numbers) if part]
    return parts[0] if len(parts) == 1 else Filter(should=list(parts))


def _between(field: str, gte: float | datetime | None, lte: float | datetime | None) -> FieldCondition:
    if isinstance(gte, datetime) or isinstance(lte, datetime):
        low, high = (instant_to_text(bound) if isinstance(bound, datetime) else None for bound in (gte, lte))
        return FieldCondition(key=field, range=RangeDateTime(gte=low, lte=high))
    return FieldCondition(key=field, range=RangeFloat(gte=gte, lte=lte))


def _nothing() -> HasIdCondition:
    return HasIdCondition(set())
