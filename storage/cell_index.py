"""A cell index: what finds the best units of one big bank without looking at all of them. Disposable, read-only.

Vectors lie sorted into cells, each around a centre; a search looks into the cells nearest to the query. Words lie as
postings: which units hold each word, and with what weight. A directory of plain arrays, read where they lie on disk, so
that opening one takes no memory and holds nobody up; the card with their checksums is written last.
"""

import os
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from storage import schema

CARD_FILE: Final = "card.json"
FORMAT: Final = 1
SCANNED_UNITS: Final = 8192
"""A search looks into as many of the nearest cells as hold so many units: the price of scanning a bank of that size."""
_PIECE_BYTES: Final = 4 << 20
_ONLY_CONSTANT: Final = float(np.log(2))
"""What the engine makes the IDF of every word where no unit counts: ln(1 + 0.5 / 0.5)."""


class Unusable(Exception):
    """The directory holds no whole index of today's format."""


@dataclass(frozen=True, slots=True)
class Card:
    """What an index was built of: every live unit of the bank with a seq up to `seq`, under the owner of `epoch`.

    space: whose vectors it holds (memory.spaces).
    """

    bank_key: str
    seq: int
    epoch: int
    units: int
    space: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """The arrays of an index; units are numbered in the order of their cells.

    centres: float32, (cells, dim), rows L2-normalised; cell_ends: int64, (cells,), where each cell's units end;
    vectors: float32, (units, dim); ids: uint8, (units, 16); words: uint32, ascending; word_ends: int64, (words,), where
    each word's postings end; holders: uint32, (postings,), unit numbers, ascending within a word; weights: float32,
    (postings,).
    """

    centres: NDArray[np.float32]
    cell_ends: NDArray[np.int64]
    vectors: NDArray[np.float32]
    ids: NDArray[np.uint8]
    words: NDArray[np.uint32]
    word_ends: NDArray[np.int64]
    holders: NDArray[np.uint32]
    weights: NDArray[np.float32]


COLUMNS: Final = tuple(column.name for column in fields(Columns))


class CellIndex:
    """An open index. Safe for several threads; its directory may be removed meanwhile."""

    def __init__(self, card: Card, columns: Columns) -> None:
        self.card = card
        self._columns = columns
        sizes = np.diff(columns.cell_ends, prepend=0)
        self._starts = columns.cell_ends - sizes
        self._sizes = sizes

    def nearest(self, dense: NDArray[np.float32], limit: int) -> list[str]:
        """Ids of up to `limit` units, those nearest to the vector first; some may have gone, a few may be missed."""
        columns = self._columns
        order = np.argsort(-(columns.centres @ dense), kind="stable")
        held = np.cumsum(self._sizes[order])
        cells = order[: int(np.searchsorted(held, max(SCANNED_UNITS, 2 * limit))) + 1]
        spans = [(self._starts[cell], columns.cell_ends[cell]) for cell in cells.tolist() if self._sizes[cell]]
        scores = np.concatenate([columns.vectors[start:end] @ dense for start, end in spans])
        units = np.concatenate([np.arange(start, end) for start, end in spans])
        return self._best(units, scores, limit)

    def wordiest(self, tokens: Sequence[int], weights: Sequence[float], limit: int) -> list[str]:
        """Ids of up to `limit` units, those of the highest sum of weights first; some may have gone.

        Fewer than `limit`: no other unit of the index holds one of the words.
        """
        postings = [
            (self._columns.holders[start:end], weight * self._columns.weights[start:end])
            for (start, end), weight in zip(map(self._span, tokens), weights, strict=True)
            if end > start
        ]
        if not postings:
            return []
        holders = np.concatenate([held for held, _ in postings])
        sums = np.bincount(holders, np.concatenate([given for _, given in postings]), self.card.units)
        units = np.flatnonzero(sums)
        return self._best(units, sums[units], limit)

    def idf_over_constant(self, tokens: Sequence[int]) -> list[float]:
        """Inverse document frequency of each word when the index was built, by what the engine gives if nothing counts.

        A word's weight times this, for the engine to search with over an empty corpus, gives BM25 with the bank's IDF.
        """
        spans = [self._span(token) for token in tokens]
        held = np.array([end - start for start, end in spans], dtype=np.float64)
        return over_constant(self.card.units, held)

    def _span(self, token: int) -> tuple[int, int]:
        columns = self._columns
        place = int(np.searchsorted(columns.words, np.uint32(token)))
        if place == len(columns.words) or int(columns.words[place]) != token:
            return 0, 0
        return int(columns.word_ends[place - 1]) if place else 0, int(columns.word_ends[place])

    def _best(self, units: NDArray[Any], scores: NDArray[Any], limit: int) -> list[str]:
        if len(units) > limit:
            chosen = np.argpartition(-scores, limit)[:limit]
            units, scores = units[chosen], scores[chosen]
        order = np.lexsort((units, -scores))
        return [str(uuid.UUID(bytes=raw.tobytes())) for raw in self._columns.ids[units[order]]]


def over_constant(units: int, held: NDArray[np.float64]) -> list[float]:
    """IDF of words that so many of the units hold each, (n,), by what the engine gives if nothing counts."""
    idf = np.log1p((units - held + 0.5) / (held + 0.5))
    return [float(one) for one in idf / _ONLY_CONSTANT]


def open_index(directory: Path) -> CellIndex:
    """The index in a directory, every byte of it checked.

    Raises:
        Unusable: it is not whole, of another format, or damaged.
    """
    try:
        stored = orjson.loads((directory / CARD_FILE).read_bytes())
        if (stored["format"], stored["schema_version"]) != (FORMAT, schema.SCHEMA_VERSION):
            raise Unusable(f"{directory} is of another format")
        for name, crc in stored["files"].items():
            if _checksum(directory / name) != crc:
                raise Unusable(f"{directory / name} is damaged")
        arrays = {name: np.load(directory / _file(name), mmap_mode="r") for name in COLUMNS}
        return CellIndex(Card(**stored["card"]), Columns(**arrays))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise Unusable(f"{directory} cannot be read: {exc}") from exc


def read_card(directory: Path) -> Card:
    """What an index says it was built of; nothing else of it is looked at.

    Raises:
        Unusable: there is no card that can be read.
    """
    try:
        return Card(**orjson.loads((directory / CARD_FILE).read_bytes())["card"])
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise Unusable(f"{directory} cannot be read: {exc}") from exc


def create_column(directory: Path, name: str, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A new column to be filled where it lies on disk."""
    if 0 in shape:
        np.save(directory / _file(name), np.zeros(shape, dtype))
        return np.zeros(shape, dtype)
    made: NDArray[Any] = np.lib.format.open_memmap(directory / _file(name), mode="w+", dtype=dtype, shape=shape)
    return made


def seal(directory: Path, card: Card) -> None:
    """Write the card of an index whose columns are all there; it is whole when this returns, and on disk."""
    checksums = {}
    for name in map(_file, COLUMNS):
        with (directory / name).open("rb") as file:
            os.fsync(file.fileno())
        checksums[name] = _checksum(directory / name)
    content = {"format": FORMAT, "schema_version": schema.SCHEMA_VERSION, "card": asdict(card), "files": checksums}
    with (directory / CARD_FILE).open("wb") as file:
        file.write(orjson.dumps(content))
        file.flush()
        os.fsync(file.fileno())


def _file(column: str) -> str:
    return f"{column}.npy"


def _checksum(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            crc = zlib.crc32(piece, crc)
    return crc
