"""What one extraction sees: runs of whole turns of about 3,000 characters, each with a hash of what it holds.

Windows are filled from the front, so a growing document keeps all of its windows but the last. A change in the middle
re-cuts only up to the next turn that forces a border: one turn in about eight opens a window by its own content, where
the window before it is half full already, so that cuts behind a change soon fall where they fell before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memory.ids import digest

WINDOW_CHARS = 3000
"""About 750 tokens of English: enough for a few exchanges, small enough that one changed turn is cheap."""
_BORDER_SHARE = 8
"""One turn in so many may open a window early."""


@dataclass(frozen=True, slots=True)
class WindowTurn:
    """A turn as a window holds it: the unit it is stored as, the digest of its content, its length in characters."""

    unit_id: str
    content_hash: str
    chars: int


@dataclass(frozen=True, slots=True)
class Window:
    """Turns `first` up to `last` (without) of a document. Two windows with one hash hold the same turns."""

    first: int
    last: int
    hash: str
    chars: int


def cut_windows(turns: Sequence[WindowTurn], window_chars: int = WINDOW_CHARS) -> tuple[Window, ...]:
    """Windows over all turns in order. A turn longer than a window is one of its own.

    Raises:
        ValueError: `window_chars` is not positive.
    """
    if window_chars <= 0:
        raise ValueError(f"window_chars must be positive, not {window_chars}")
    windows: list[Window] = []
    first = chars = 0
    for index, turn in enumerate(turns):
        full = chars + turn.chars > window_chars
        early = 2 * chars >= window_chars and _is_border(turn)
        if index > first and (full or early):
            windows.append(_window(turns, first, index))
            first, chars = index, 0
        chars += turn.chars
    if first < len(turns):
        windows.append(_window(turns, first, len(turns)))
    return tuple(windows)


def _window(turns: Sequence[WindowTurn], first: int, last: int) -> Window:
    held = turns[first:last]
    parts = [part for turn in held for part in (turn.unit_id, turn.content_hash)]
    return Window(first, last, digest("window", *parts).hex(), sum(turn.chars for turn in held))


def _is_border(turn: WindowTurn) -> bool:
    return digest("border", turn.content_hash)[0] % _BORDER_SHARE == 0
