"""What stands beside a unit in its document, told by positions; they are sparse, one stride apart where all is new."""

from collections.abc import Iterable

from memory.filters import All, Any_, AnyOf, Between, Filter
from memory.placing import STRIDE

Place = tuple[str, int]
"""Document and position."""


def around(places: Iterable[Place], reach: int) -> tuple[Filter, int] | None:
    """Filter of the units up to `reach` strides beside the places, and how many to bring at most; None for no place.

    The bound leaves room for chunks put between others later.
    """
    documents: dict[str, list[int]] = {}
    for document, position in places:
        documents.setdefault(document, []).append(position)
    if not documents or reach <= 0:
        return None
    parts: list[Filter] = []
    strides = 0
    for document, positions in documents.items():
        spans = _spans(positions, reach * STRIDE)
        strides += sum((high - low) // STRIDE + 1 for low, high in spans)
        ranges: tuple[Filter, ...] = tuple(Between("position", low, high) for low, high in spans)
        parts.append(All((AnyOf("document_id", (document,)), ranges[0] if len(ranges) == 1 else Any_(ranges))))
    return parts[0] if len(parts) == 1 else Any_(tuple(parts)), 2 * strides


def _spans(positions: list[int], width: int) -> list[tuple[int, int]]:
    """Ranges around the positions, those that overlap made one."""
    spans: list[tuple[int, int]] = []
    for position in sorted(positions):
        low, high = position - width, position + width
        if spans and low <= spans[-1][1] + STRIDE:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    return spans
