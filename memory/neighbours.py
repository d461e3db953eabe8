"""What stands beside a unit in its document, told by positions; they are sparse, one stride apart where all is new."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memory.filters import All, Any_, AnyOf, Between, Filter, every
from memory.placing import STRIDE

Place = tuple[str, int]
"""Document and position."""
Span = tuple[int, int]
"""First and last position."""
Spans = Mapping[str, tuple[Span, ...]]
"""Stretches of documents, those of one document apart and in order."""


@dataclass(frozen=True, slots=True)
class Near:
    """Live units to bring beside those found: those in `spans` that match, at most `limit`, the nearest to the query.

    with_words: whether they may share words with the query; if not, their keyword score is 0.
    """

    spans: Spans
    where: Filter
    limit: int
    with_words: bool = True

    @property
    def matching(self) -> Filter:
        """Where they stand, and what they must match."""
        return every(self.where, _standing_in(self.spans))


def around(places: Iterable[Place], reach: int) -> Spans:
    """The stretches up to `reach` strides beside the places; none for no place or no reach."""
    documents: dict[str, list[int]] = {}
    for document, position in places if reach > 0 else ():
        documents.setdefault(document, []).append(position)
    return {document: _merged(positions, reach * STRIDE) for document, positions in documents.items()}


def _standing_in(spans: Spans) -> Filter:
    """What stands in the stretches, of which there is at least one."""
    parts: list[Filter] = []
    for document, stretches in spans.items():
        ranges: tuple[Filter, ...] = tuple(Between("position", low, high) for low, high in stretches)
        parts.append(All((AnyOf("document_id", (document,)), ranges[0] if len(ranges) == 1 else Any_(ranges))))
    return parts[0] if len(parts) == 1 else Any_(tuple(parts))


def most_in(spans: Spans) -> int:
    """How many units of the stretches to bring at most; leaves room for chunks put between others later."""
    return 2 * sum((high - low) // STRIDE + 1 for stretches in spans.values() for low, high in stretches)


def _merged(positions: list[int], width: int) -> tuple[Span, ...]:
    """Stretches around the positions, those that overlap made one."""
    merged: list[Span] = []
    for position in sorted(positions):
        low, high = position - width, position + width
        if merged and low <= merged[-1][1] + STRIDE:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)
