"""Fit ranked units into a token budget and a count."""

from collections.abc import Sequence


def pack(text_tokens: Sequence[int], max_tokens: int, limit: int | None) -> list[int]:
    """Indexes of the ranked units to return, in rank order: each one that still fits, until `limit` or the budget."""
    chosen: list[int] = []
    left = max_tokens
    for index, tokens in enumerate(text_tokens):
        if limit is not None and len(chosen) >= limit:
            break
        if tokens <= left:
            chosen.append(index)
            left -= tokens
        if left <= 0:
            break
    return chosen
