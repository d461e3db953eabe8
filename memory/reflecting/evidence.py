"""What was shown of the memory in a reflection: pieces under short labels, within a budget of tokens."""

from collections.abc import Iterable, Mapping
from typing import Any

from memory.reflecting.port import MENTAL_MODEL, Piece

ROW_TOKENS = 25
"""What a piece takes in a prompt beside its text."""
_DAY = 10


class Evidence:
    """Pieces in the order in which they were shown. Labels say nothing of ids, so that none can be made up."""

    def __init__(self, max_tokens: int) -> None:
        self._left = max_tokens
        self._labels: dict[str, str] = {}
        self._pieces: dict[str, Piece] = {}

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All that were shown."""
        return tuple(self._pieces.values())

    def find(self, label: str) -> Piece | None:
        """The piece of a label."""
        return self._pieces.get(label)

    def named(self, labels: Iterable[str]) -> tuple[Piece, ...]:
        """Pieces of labels, in order, each once; labels that nobody gave are left out."""
        known = dict.fromkeys(label.strip().strip("[]") for label in labels)
        return tuple(self._pieces[label] for label in known if label in self._pieces)

    def show(self, pieces: Iterable[Piece]) -> tuple[list[dict[str, Any]], int]:
        """Rows of pieces as the model sees them, and how many were left out for want of room.

        A piece that was shown before is named by its label alone.
        """
        rows: list[dict[str, Any]] = []
        left_out = 0
        for piece in pieces:
            if known := self._labels.get(piece.id):
                rows.append({"label": known, "shown": "above"})
            elif piece.tokens + ROW_TOKENS > self._left:
                left_out += 1
            else:
                self._left -= piece.tokens + ROW_TOKENS
                rows.append(self._row(piece))
        return rows, left_out

    def _row(self, piece: Piece) -> dict[str, Any]:
        letter = "k" if piece.kind == MENTAL_MODEL else "m"
        label = f"{letter}{len(self._pieces) + 1}"
        self._labels[piece.id] = label
        self._pieces[label] = piece
        return {"label": label, **described(piece)}


def described(piece: Piece) -> dict[str, Any]:
    """What is told of a piece."""
    if piece.kind == MENTAL_MODEL:
        return {"mental_model": piece.payload.get("name", ""), "as_of": piece.payload.get("as_of"), "text": piece.text}
    get = piece.payload.get
    told: Mapping[str, Any] = {
        "kind": get("kind"),
        "who": get("speaker"),
        "when": str(get("occurred_start") or "")[:_DAY],
        "told": str(get("mentioned_at") or "")[:_DAY],
        "until": str(get("valid_to") or "")[:_DAY],
        "text": piece.text,
    }
    return {name: value for name, value in told.items() if value}
