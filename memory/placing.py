"""Sparse positions of a document's chunks: kept ones stay, new ones go between, few are rewritten."""

from bisect import bisect_left
from collections.abc import Sequence

STRIDE = 1 << 20
"""Distance between neighbours when nothing forces them closer: room for twenty insertions at one place."""


def place(current: Sequence[int | None]) -> tuple[list[int], list[int]]:
    """Strictly increasing positions for chunks in order, given the stored position of each (None: new).

    Answers with the positions and the indexes of stored chunks whose position had to change.
    """
    stable = _longest_increasing(current)
    positions: list[int | None] = [at if index in stable else None for index, at in enumerate(current)]
    if not _fill(positions):
        positions = [STRIDE * (index + 1) for index in range(len(current))]
    placed = [at for at in positions if at is not None]
    moved = [
        index for index, (new, old) in enumerate(zip(placed, current, strict=True)) if old is not None and old != new
    ]
    return placed, moved


def _fill(positions: list[int | None]) -> bool:
    """Give every None a place between its placed neighbours; False where a gap is too small."""
    index = 0
    while index < len(positions):
        if positions[index] is not None:
            index += 1
            continue
        end = index
        while end < len(positions) and positions[end] is None:
            end += 1
        low = positions[index - 1] if index else None
        high = positions[end] if end < len(positions) else None
        count = end - index
        if low is None:
            low = (high if high is not None else STRIDE * (count + 1)) - STRIDE * (count + 1)
        step = STRIDE if high is None else (high - low) // (count + 1)
        if step < 1:
            return False
        for offset in range(count):
            positions[index + offset] = low + step * (offset + 1)
        index = end
    return True


def _longest_increasing(values: Sequence[int | None]) -> set[int]:
    """Indexes of a longest strictly increasing subsequence of the values that are set (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for index, value in enumerate(values):
        if value is None:
            continue
        at = bisect_left(tails, value)
        before[index] = ends[at - 1] if at else None
        if at == len(tails):
            tails.append(value)
            ends.append(index)
        else:
            tails[at] = value
            ends[at] = index
    chain: set[int] = set()
    cursor: int | None = ends[-1] if ends else None
    while cursor is not None:
        chain.add(cursor)
        cursor = before[cursor]
    return chain
