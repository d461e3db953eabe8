"""Which windows share a call: those of one bank that are read by the same instructions, as far as the budget goes."""

from collections.abc import Sequence

from memory.extraction.port import WindowRequest

ANSWER_SHARE = 1.0
"""Tokens of an answer for each token of text: facts repeat what they are about."""
ANSWER_TOKENS = 150
"""What a window's answer takes besides."""
_TURN_TOKENS = 20


def estimate_tokens(text: str) -> int:
    """About how many tokens a text takes: four characters of ASCII each, one of anything else."""
    ascii_chars = len(text.encode("ascii", "ignore"))
    return ascii_chars // 4 + (len(text) - ascii_chars) + 1


def window_tokens(request: WindowRequest) -> int:
    """Tokens of a window's turns in a prompt."""
    return sum(estimate_tokens(turn.text) + _TURN_TOKENS for turn in (*request.before, *request.turns))


def answer_tokens(requests: Sequence[WindowRequest]) -> int:
    """Tokens that the answer for some windows may take."""
    return sum(int(ANSWER_SHARE * window_tokens(request)) + ANSWER_TOKENS for request in requests)


def group_windows(requests: Sequence[WindowRequest], call_tokens: int, call_windows: int) -> list[list[WindowRequest]]:
    """Calls of at most so many tokens of text and windows, in order; a window that is larger has a call of its own."""
    groups: list[list[WindowRequest]] = []
    last: dict[object, tuple[list[WindowRequest], int]] = {}
    for request in requests:
        key = (request.tenant, request.bank, request.profile, request.context)
        tokens = window_tokens(request)
        group, held = last.get(key, ([], call_tokens))
        if not group or held + tokens > call_tokens or len(group) >= call_windows:
            group, held = [], 0
            groups.append(group)
        group.append(request)
        last[key] = group, held + tokens
    return groups
