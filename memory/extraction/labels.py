"""A bank's own vocabulary of labels, as its setting `entity_labels` says it."""

from collections.abc import Iterator, Mapping
from typing import Any

from memory.extraction.port import EntityLabel, LabelKind

ENTITY_LABELS = "entity_labels"
MAX_VALUES = 100
"""Values of one label."""


def read_labels(stored: Any) -> tuple[EntityLabel, ...]:
    """Labels of a setting: a list of objects {key, description, type, values}, or {"attributes": such a list}.

    `type` is value, multi-values, text or map; `values` are texts or objects {value, description}. What is none of
    this is left out.
    """
    return tuple(label for line in _lines(stored) if (label := _label(line)) is not None)


def unreadable_label(stored: Any) -> str | None:
    """The first line of a setting that is no label; None if all are."""
    if stored is not None and not isinstance(stored, (list, Mapping)):
        return repr(stored)[:100]
    return next((repr(line)[:100] for line in _lines(stored) if _label(line) is None), None)


def _lines(stored: Any) -> Iterator[Any]:
    lines = stored.get("attributes") if isinstance(stored, Mapping) else stored
    yield from lines if isinstance(lines, list) else ()


def _label(line: Any) -> EntityLabel | None:
    if not isinstance(line, Mapping):
        return None
    name, kind, values = (
        line.get("key") or line.get("name"),
        line.get("type", LabelKind.VALUE),
        line.get("values") or (),
    )
    if (
        not isinstance(name, str)
        or not name.strip()
        or kind not in set(LabelKind)
        or not isinstance(values, (list, tuple))
    ):
        return None
    pairs = [_value(value) for value in values[:MAX_VALUES]]
    needs_values = kind in {LabelKind.VALUE, LabelKind.VALUES}
    if None in pairs or (needs_values and not pairs):
        return None
    return EntityLabel(
        name.strip(),
        str(line.get("description") or ""),
        LabelKind(kind),
        tuple(pair for pair in pairs if pair is not None),
    )


def _value(given: Any) -> tuple[str, str] | None:
    value, description = (given.get("value"), given.get("description")) if isinstance(given, Mapping) else (given, "")
    return (value, str(description or "")) if isinstance(value, str) and value else None
