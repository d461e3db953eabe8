"""Builds a cell index out of raw columns, in a process of its own: `python -m storage.cell_builder FROM TO`.

It runs at the lowest priority, on one core, and ends when its standard input is closed: with its parent.
"""

import math
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from storage.cell_index import Card, create_column, seal

_ROUNDS: Final = 8
_SAMPLED: Final = 64
"""Units of each cell that its centre is found by."""
_ROWS: Final = 8192
"""Units looked at in one piece."""
_SEED: Final = 1
_STDIN: Final = 0


class RawColumns:
    """The units of a bank in any order, appended to files as they are read.

    vectors.raw: float32, (units, dim); ids.raw: uint8, (units, 16); tokens.raw and weights.raw: uint32 and float32, the
    words of all units one after the other; counts.raw: uint32, (units,), how many words each has.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, BinaryIO] = {}
        self.units = 0

    def append(
        self, ids: bytes, vectors: NDArray[np.float32], words: list[tuple[NDArray[np.uint32], NDArray[np.float32]]]
    ) -> None:
        """Add units: 16 bytes of `ids` and a row of `vectors` for each, and its words with their weights."""
        self.units += len(words)
        self._write("ids", np.frombuffer(ids, dtype=np.uint8))
        self._write("vectors", vectors)
        self._write("counts", np.array([len(tokens) for tokens, _ in words], dtype=np.uint32))
        for tokens, weights in words:
            self._write("tokens", tokens)
            self._write("weights", weights)

    def close(self) -> None:
        """Write what is left and close the files."""
        for file in self._files.values():
            file.close()

    def finish(self, card: Card) -> None:
        """Say what the closed files hold."""
        (self._directory / "card.json").write_bytes(orjson.dumps(asdict(card)))

    def _write(self, name: str, column: NDArray[Any]) -> None:
        if name not in self._files:
            self._files[name] = (self._directory / f"{name}.raw").open("wb")
        self._files[name].write(np.ascontiguousarray(column).data)


def build(source: Path, target: Path) -> None:
    """Make an index of raw columns in the directory `target`, which is there and empty. The same input gives the same.

    Raises:
        OSError: files cannot be read or written.
    """
    card = Card(**orjson.loads((source / "card.json").read_bytes()))
    vectors: NDArray[np.float32] = _raw(source, "vectors", np.float32).reshape(card.units, -1)
    centres = find_centres(vectors, cells_of(card.units))
    cell = _assign(vectors, centres)
    order = np.argsort(cell, kind="stable")
    columns: dict[str, NDArray[Any]] = {
        "centres": centres,
        "cell_ends": np.cumsum(np.bincount(cell, minlength=len(centres))),
        "ids": _raw(source, "ids", np.uint8).reshape(card.units, 16)[order],
        **_postings(source, order),
    }
    for name, column in columns.items():
        create_column(target, name, column.dtype, column.shape)[...] = column
    sorted_vectors = create_column(target, "vectors", np.float32, vectors.shape)
    for start in range(0, card.units, _ROWS):
        sorted_vectors[start : start + _ROWS] = vectors[order[start : start + _ROWS]]
    seal(target, card)


def cells_of(units: int) -> int:
    """How many cells a bank of so many units is divided into: centres and cells then cost a search much the same."""
    return max(1, round(2 * math.sqrt(units)))


def find_centres(vectors: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Centres by a few rounds of spherical k-means over a sample: float32, (cells, dim), rows L2-normalised."""
    chance = np.random.default_rng(_SEED)
    drawn = chance.choice(len(vectors), min(len(vectors), cells * _SAMPLED), replace=False)
    sample = np.asarray(vectors[np.sort(drawn)])
    centres = sample[chance.choice(len(sample), cells, replace=False)].copy()
    for _ in range(_ROUNDS):
        cell = _assign(sample, centres)
        order = np.argsort(cell, kind="stable")
        counts = np.bincount(cell, minlength=cells)
        filled = np.flatnonzero(counts)
        centres[filled] = np.add.reduceat(sample[order], (np.cumsum(counts) - counts)[filled], axis=0)
        empty = np.flatnonzero(counts == 0)
        centres[empty] = sample[chance.choice(len(sample), len(empty))]
        lengths = np.linalg.norm(centres, axis=1, keepdims=True)
        centres /= np.where(lengths > 0, lengths, 1)
    return centres


def _assign(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    parts = [np.argmax(vectors[start : start + _ROWS] @ centres.T, axis=1) for start in range(0, len(vectors), _ROWS)]
    return np.concatenate(parts)


def _postings(source: Path, order: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Columns of words, for units numbered by `order`."""
    counts = _raw(source, "counts", np.uint32).astype(np.int64)
    tokens, weights = _raw(source, "tokens", np.uint32), _raw(source, "weights", np.float32)
    number = np.empty(len(order), dtype=np.uint32)
    number[order] = np.arange(len(order), dtype=np.uint32)
    holders = np.repeat(number, counts)
    by_word = np.lexsort((holders, tokens))
    words, held = np.unique(tokens, return_counts=True)
    return {
        "words": words,
        "word_ends": np.cumsum(held),
        "holders": holders[by_word],
        "weights": weights[by_word],
    }


def _raw(source: Path, name: str, dtype: Any) -> NDArray[Any]:
    path = source / f"{name}.raw"
    if not path.exists() or not path.stat().st_size:
        return np.zeros(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")


def _end_with_parent() -> None:
    while os.read(_STDIN, 1):  # not sys.stdin, whose lock the interpreter waits for at its end
        pass
    os._exit(1)


def _main(source: Path, target: Path) -> None:
    os.nice(19)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    build(source, target)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]))
