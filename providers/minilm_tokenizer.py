"""Loads the MiniLM tokenizer and counts tokens with it."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as WordPiece

from memory.errors import ModelUnusable
from providers.texts import well_formed


def load_wordpiece(path: Path) -> WordPiece:
    """A tokenizer of its own, without the padding to 128 and the truncation at 128 that tokenizer.json turns on.

    Raises:
        ModelUnusable: the file cannot be read or parsed.
    """
    try:
        wordpiece = WordPiece.from_file(str(path))
    except Exception as exc:  # tokenizers raises plain Exception
        raise ModelUnusable(f"{path}: not a readable tokenizer ({exc})") from exc
    wordpiece.no_padding()
    wordpiece.no_truncation()
    return wordpiece


class MiniLmTokenizer:
    """Counts MiniLM's word pieces. Implements memory.ports.Tokenizer; safe to share between threads.

    Raises:
        ModelUnusable: the tokenizer file cannot be read or parsed.
    """

    def __init__(self, path: Path) -> None:
        self._wordpiece = load_wordpiece(path)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without special tokens, untruncated."""
        encode = self._wordpiece.encode
        return [len(encode(text, add_special_tokens=False).ids) for text in well_formed(texts)]
