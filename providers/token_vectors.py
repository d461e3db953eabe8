"""Packs MiniLM's token vectors for late interaction: those that carry content, in the 128 directions that matter most.

The projection is the model's own: the principal directions of its token vectors over pseudo sentences of its own
vocabulary, so that it knows no text of anybody's. It is shipped, not derived at a start: two machines whose directions
differed by a rotation could not compare their vectors. `python -m providers.token_vectors` makes it anew.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory.late import TOKEN_DIM, pack_tokens
from memory.query import FUNCTION_WORDS

PROJECTION = Path(__file__).with_name("minilm_projection.npy")
"""float16, (384, TOKEN_DIM), orthonormal columns."""
MOST_TOKENS = 64
"""Token vectors kept of one text: the rarest, where it holds more that carry content."""
FIRST_WORD = 1996
"""Id of "the": words follow by frequency; before it stand special tokens, punctuation and single letters."""
_LETTERS = range(1014, FIRST_WORD)
"""Ids of single letters and signs; those of other scripts than ASCII's are words of their own."""
_PARTS = frozenset(("s", "t", "m", "re", "ve", "ll"))
"""What is left of "it's", "don't", "I'm" and the like."""
_SENTENCES, _SENTENCE_WORDS = 600, 12


class TokenPacker:
    """Chooses, projects and packs the token vectors of one model's texts."""

    def __init__(self, vocabulary: Mapping[str, int], projection: NDArray[np.float32]) -> None:
        """projection: float32, (model's dim, TOKEN_DIM)."""
        self._projection = projection
        self._kept = np.zeros(max(vocabulary.values()) + 1, dtype=bool)
        for piece, token in vocabulary.items():
            self._kept[token] = _carries_content(piece, token)

    def pack(self, ids: Sequence[int], vectors: NDArray[np.float32]) -> bytes:
        """Packed vectors of a text's tokens, given those of all of them, float32, (at least n_tokens, dim)."""
        tokens = np.asarray(ids)
        kept = np.flatnonzero(self._kept[tokens])
        if len(kept) > MOST_TOKENS:
            kept = np.sort(kept[np.argsort(-tokens[kept], kind="stable")[:MOST_TOKENS]])
        rows = vectors[kept] @ self._projection
        return pack_tokens(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


def load_projection() -> NDArray[np.float32]:
    """The shipped projection, float32, (384, TOKEN_DIM)."""
    loaded: NDArray[np.float32] = np.load(PROJECTION).astype(np.float32)
    return loaded


def principal_directions(vectors: NDArray[np.float32], count: int = TOKEN_DIM) -> NDArray[np.float64]:
    """Orthonormal columns, (dim, count), that keep most of the rows' length; each one's largest part is positive."""
    rows = vectors.astype(np.float64)
    _, directions = np.linalg.eigh(rows.T @ rows)
    first = directions[:, ::-1][:, :count]
    signs: NDArray[np.float64] = np.sign(first[np.abs(first).argmax(axis=0), np.arange(count)])
    return first * signs


def pseudo_sentences(vocabulary: Mapping[str, int]) -> list[str]:
    """Texts of words of the vocabulary, drawn alike and always the same."""
    known = [piece for piece, token in sorted(vocabulary.items(), key=lambda pair: pair[1]) if token >= FIRST_WORD]
    known = [piece for piece in known if piece.isalpha()]
    drawn = np.random.default_rng(0).integers(0, len(known), (_SENTENCES, _SENTENCE_WORDS))
    return [" ".join(known[place] for place in row) for row in drawn.tolist()]


def _carries_content(piece: str, token: int) -> bool:
    if token < FIRST_WORD and token not in _LETTERS:
        return False
    if re.fullmatch(r"\[.*\]", piece) or not re.search(r"\w", piece):
        return False
    return piece not in FUNCTION_WORDS and piece not in _PARTS and not re.fullmatch(r"[a-z]", piece)


def main() -> None:
    """Make the projection anew."""
    # Only here: whoever packs has a session and a tokenizer already.
    from providers.factory import default_cache_dir  # noqa: PLC0415 - only where it is used
    from providers.minilm import load_minilm  # noqa: PLC0415 - only where it is used

    embedder = load_minilm(default_cache_dir(Path.home(), None), "int8", tokens=True)
    # The special tokens at both ends are in every text.
    rows = [vectors[1:-1] for vectors in embedder.token_vectors(pseudo_sentences(embedder.vocabulary))]
    np.save(PROJECTION, principal_directions(np.concatenate(rows)).astype(np.float16))


if __name__ == "__main__":
    main()
