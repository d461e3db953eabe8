"""Our neutral filter tree -> qdrant_client's models."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from qdrant_client import models

from memory import filters as neutral
from memory.errors import Unprocessable
from memory.ids import Scope
from storage import schema


def scoped(scope: Scope, *parts: neutral.Filter) -> models.Filter:
    """Filter of one bank's points that also match every part."""
    return models.Filter(must=[_equals(schema.BANK_KEY, scope.key), *(condition(part) for part in parts)])


def unscoped(*parts: neutral.Filter) -> models.Filter:
    """Filter of every bank's points that match every part."""
    return models.Filter(must=[condition(part) for part in parts])


def condition(tree: neutral.Filter) -> models.Condition:
    """One condition for the whole tree."""
    match tree:
        case neutral.All(parts):
            return models.Filter(must=[condition(part) for part in parts])
        case neutral.Any_(parts):
            return models.Filter(should=[condition(part) for part in parts]) if parts else _nothing()
        case neutral.Not(part):
            return models.Filter(must_not=[condition(part)])
        case neutral.HasId(ids):
            return models.HasIdCondition(has_id=_points(ids))
        case neutral.Empty(field):
            return _empty(field)
        case neutral.Size(field, 0):  # the engine counts values of fields that are there only
            return _empty(field)
        case neutral.Size(field, count):
            return models.FieldCondition(key=field, values_count=models.ValuesCount(gte=count, lte=count))
        case neutral.AnyOf(field, values):
            return _equals(field, values[0]) if len(values) == 1 else _one_of(field, values)
        case neutral.Between(field, gte, lte):
            return _between(field, gte, lte)
        case neutral.Words(field, text):
            if not neutral.has_word(text):  # the engine matches nothing then
                return models.Filter(must_not=[_empty(field)])
            return models.FieldCondition(key=field, match=models.MatchText(text=text))


def point_ids(ids: Iterable[str]) -> list[str]:
    """The ids as given.

    Raises:
        Unprocessable: one of them is none that a point can have; the engine would refuse the whole request.
    """
    checked = list(ids)
    for one in checked:
        try:
            uuid.UUID(one)
        except ValueError as exc:
            raise Unprocessable(f"{one!r} is not the id of anything stored") from exc
    return checked


def _points(ids: Iterable[str]) -> list[models.ExtendedPointId]:
    return list[models.ExtendedPointId](point_ids(ids))


def _equals(field: str, value: str | int) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _empty(field: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=field))


def _one_of(field: str, values: tuple[str | int, ...]) -> models.Condition:
    words = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    parts: list[models.Condition] = []
    if words:
        parts.append(models.FieldCondition(key=field, match=models.MatchAny(any=words)))
    if numbers:
        parts.append(models.FieldCondition(key=field, match=models.MatchAny(any=numbers)))
    if not parts:
        return _nothing()
    return parts[0] if len(parts) == 1 else models.Filter(should=parts)


def _between(field: str, gte: float | datetime | None, lte: float | datetime | None) -> models.FieldCondition:
    if isinstance(gte, datetime) or isinstance(lte, datetime):
        low, high = (bound if isinstance(bound, datetime) else None for bound in (gte, lte))
        return models.FieldCondition(key=field, range=models.DatetimeRange(gte=low, lte=high))
    return models.FieldCondition(key=field, range=models.Range(gte=gte, lte=lte))


def _nothing() -> models.HasIdCondition:
    return models.HasIdCondition(has_id=[])
