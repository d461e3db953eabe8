"""What the reference engine keeps of a unit beside its payload: vectors by space, and word weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.errors import Unprocessable
from memory.records import Embedding
from memory.store_calls import NewUnit
from memory.upkeep_calls import DroppedPage, DropVectors, UnembeddedPage
from storage import codec, schema
from storage.bm25 import document_weights


@dataclass(frozen=True, slots=True)
class Kept:
    """dense: by space, float64, (dim,), L2-normalised or zero; lexical: BM25 weight by token."""

    dense: Mapping[str, NDArray[np.float64]]
    lexical: Mapping[int, float]

    def is_of(self, text: str) -> bool:
        """Whether the keyword vector is that of a text."""
        words = document_weights(text)
        return dict(self.lexical) == dict(zip(words.indices, words.values, strict=True))

    def without(self, space: str) -> "Kept":
        """The same without the vector of a space."""
        return Kept({own: vector for own, vector in self.dense.items() if own != space}, self.lexical)

    @property
    def named(self) -> dict[str, NDArray[np.float64]]:
        """Vectors by the names they have in other engines."""
        return {schema.dense_name(space): vector for space, vector in self.dense.items()}


class Spaces:
    """Dimensions of the spaces that units have vectors of."""

    def __init__(self, dim: int) -> None:
        self._dims = {"": dim}

    @property
    def all(self) -> frozenset[str]:
        """Every space that vectors were stored of."""
        return frozenset(self._dims)

    def drop(self, space: str) -> None:
        """Forget how long the vectors of a space are."""
        self._dims.pop(space, None)

    def kept(self, new: NewUnit) -> Kept:
        """What is kept of a unit to insert.

        Raises:
            Unprocessable: it has no vectors, or not finite ones, or of another length.
        """
        if new.vectors is None:
            raise Unprocessable(f"unit {new.unit.id} has no vectors")
        words = document_weights(new.vectors.lexical)
        lexical = dict(zip(words.indices, words.values, strict=True))
        return Kept(self.of(new.vectors.embeddings), lexical)

    def of(self, embeddings: Sequence[Embedding]) -> dict[str, NDArray[np.float64]]:
        """Normalised vectors by space."""
        return {made.space: self.normalised(made.dense, made.space) for made in embeddings}

    def normalised(self, dense: NDArray[np.float32], space: str) -> NDArray[np.float64]:
        """A vector of a space, of unit length; the first of a space says how long its vectors are.

        Raises:
            Unprocessable: it is not finite, or of another length.
        """
        vector = np.asarray(dense, dtype=np.float64)
        dim = self._dims.setdefault(space, len(vector))
        if vector.shape != (dim,) or not np.isfinite(vector).all():
            raise Unprocessable(f"expected {dim} finite numbers, got {vector.shape}")
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector


def unembedded(
    points: Sequence[tuple[str, Mapping[str, Any]]], vectors: Mapping[str, Kept], space: str, limit: int, start: str
) -> UnembeddedPage:
    """A page of a bank's points in order of their ids."""
    left = sorted((point, payload) for point, payload in points if point >= start)
    page = left[:limit]
    units = tuple(codec.unit_of(point, payload) for point, payload in page if space not in vectors[point].dense)
    return UnembeddedPage(units, len(page), left[limit][0] if len(left) > limit else None)


def drop_vectors(
    units: dict[str, dict[str, Any]],
    vectors: dict[str, Kept],
    points: Sequence[tuple[str, Mapping[str, Any]]],
    call: DropVectors,
) -> DroppedPage:
    """Take the vectors of a space from a page of a bank's points, in order of their ids."""
    left = sorted((point, payload) for point, payload in points if point >= (call.start or ""))
    key, dropped = schema.tokens_key(call.space), 0
    for point, payload in left[: call.limit]:
        dropped += call.space in vectors[point].dense or key in payload
        vectors[point] = vectors[point].without(call.space)
        units[point] = {name: value for name, value in payload.items() if name != key}
    following = left[call.limit][0] if len(left) > call.limit else None
    return DroppedPage(dropped, min(len(left), call.limit), following)
