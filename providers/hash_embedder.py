"""Embeds texts by hashing their words and letters: no model, no meaning. For load tests only."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from memory.records import Embedding
from providers.texts import well_formed

_WORD = re.compile(r"\w+")
_TRIGRAM_WEIGHT = 0.5
_CACHED_WORD_CHARS = 64  # longer ones are rare, and would make the cache's size unbounded


class HashEmbedder:
    """Signed feature hashing of words and letter trigrams. Implements memory.ports.Embedder; safe between threads.

    Equal texts give equal vectors on every machine and in every process; texts that share words are near each other.

    Raises:
        ValueError: `dim` is below 1.
    """

    def __init__(self, dim: int = 384) -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, is {dim}")
        self._dim = dim

    @property
    def name(self) -> str:
        """E.g. "hash/384"."""
        return f"hash/{self._dim}"

    @property
    def dim(self) -> int:
        """Length of each vector."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32, (n_texts, dim), in the order given; a text without a word has one too."""
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        for index, text in enumerate(well_formed(texts)):
            vectors[index] = _vector(text, self._dim)
        return vectors

    def embed_with_tokens(self, texts: Sequence[str]) -> list[Embedding]:
        """As embed; words have no vectors of their own."""
        return [Embedding(vector) for vector in self.embed(texts)]


def _vector(text: str, dim: int) -> NDArray[np.float64]:
    """Unit vector, (dim,)."""
    vector = np.zeros(dim)
    words = _WORD.findall(text.casefold())
    if words:
        parts = [_word_features(word, dim) for word in words]
        buckets = np.concatenate([part[0] for part in parts])
        weights = np.concatenate([part[1] for part in parts])
        vector += np.bincount(buckets, weights, minlength=dim)
    if not vector.any():  # no word, or features that cancel each other out
        bucket, sign = _bucket(text, dim)
        vector[bucket] = sign
    vector /= np.linalg.norm(vector)
    return vector


def _word_features(word: str, dim: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Buckets and signed weights of a word and its trigrams, both (n_features,)."""
    return _cached_features(word, dim) if len(word) <= _CACHED_WORD_CHARS else _features(word, dim)


def _features(word: str, dim: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    hashed = [(*_bucket(feature, dim), weight) for feature, weight in _weighted(word)]
    buckets = np.array([bucket for bucket, _, _ in hashed], dtype=np.int64)
    return buckets, np.array([sign * weight for _, sign, weight in hashed], dtype=np.float64)


_cached_features = lru_cache(maxsize=1 << 16)(_features)


def _weighted(word: str) -> Iterator[tuple[str, float]]:
    yield word, 1.0
    framed = f"<{word}>"  # so that beginnings and ends of words have trigrams of their own
    for start in range(len(framed) - 2):
        yield framed[start : start + 3], _TRIGRAM_WEIGHT


def _bucket(feature: str, dim: int) -> tuple[int, float]:
    value = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "big")
    return (value >> 1) % dim, 1.0 if value & 1 else -1.0
