"""Sketches of sentence vectors, one bit a dimension, and who is nearest to whom among those that are held.

Two texts differ in as many bits as the angle between their vectors is wide. Sketches are compared exactly: the same
facts have the same neighbours on every machine, whatever order they came in, which products of floats do not promise.
"""

from base64 import b64decode, b64encode
from bisect import insort
from collections import defaultdict
from datetime import datetime
from math import cos, pi

import numpy as np
from numpy.typing import NDArray

MAX_APART = 0.25
"""Share of bits that two neighbours differ in at most: a cosine of about 0.7."""
_WORD_BITS = 64
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_FIRST_ROWS = 64

Place = tuple[datetime, str]


def sketch_of(dense: NDArray[np.float32]) -> str:
    """Sketch of a sentence vector, float32, (dim,): the signs of its dimensions, in base64."""
    return b64encode(np.packbits(dense > 0).tobytes()).decode("ascii")


class Neighbours:
    """For each sketch of one length the nearest ones that stand before it, at most `most`, the nearest first.

    Kept up with every sketch that comes or goes; a look at all of them takes some 6 ns each: their words stand in
    columns, one for each sketch, for numpy adds long rows much faster than many short ones.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: dict[str, int] = {}
        self._places: list[Place] = []
        self._words = np.zeros((0, 0), np.uint64)
        self._at = np.zeros(0, np.int64)
        self._worst = np.zeros(0, np.int32)
        self._bits = 0
        self._near: dict[str, list[tuple[int, str]]] = {}
        self._nearest_of: defaultdict[str, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: Place, sketch: str) -> None:
        """Take a sketch in that is not held; all have one length."""
        words = _words_of(sketch)
        if not self._bits:
            self._bits = 8 * len(b64decode(sketch))
        apart = self._apart(words)
        identity = place[1]
        self._append(place, words)
        self._find(identity, apart)
        later = np.flatnonzero((apart <= self._worst[: len(apart)]) & (self._at[: len(apart)] >= _micros(place[0])))
        for row in later.tolist():
            if self._places[row] > place:
                self._offer(row, (int(apart[row]), identity))

    def remove(self, identity: str) -> None:
        """Let go of a sketch that is held."""
        row = self._rows[identity]
        self._forget_nearest(identity)
        self._cut(row)
        for other in self._nearest_of.pop(identity, set()):
            self._forget_nearest(other)
            self._find(other, self._apart(self._words[:, self._rows[other]]))

    def near(self, identity: str) -> list[tuple[str, float]]:
        """The nearest ones that stand before a sketch that is held, with their cosines, about."""
        return [(other, cos(pi * apart / self._bits)) for apart, other in self._near[identity]]

    def nearest_of(self, identity: str) -> frozenset[str]:
        """Those that a sketch is one of the nearest of."""
        return frozenset(self._nearest_of.get(identity, ()))

    @property
    def _most_apart(self) -> int:
        return int(MAX_APART * self._bits)

    def _apart(self, words: NDArray[np.uint64]) -> NDArray[np.int32]:
        """In how many bits each sketch that is held differs."""
        if not self._places:
            return np.zeros(0, np.int32)
        differing = self._words[:, : len(self._places)] ^ words[:, np.newaxis]
        apart: NDArray[np.int32] = np.bitwise_count(differing).sum(axis=0, dtype=np.int32)
        return apart

    def _append(self, place: Place, words: NDArray[np.uint64]) -> None:
        row = len(self._places)
        if row == len(self._at):
            more = max(_FIRST_ROWS, row)
            held = self._words if row else np.zeros((len(words), 0), np.uint64)
            self._words = np.concatenate([held, np.zeros((len(words), more), np.uint64)], axis=1)
            self._at = np.concatenate([self._at, np.zeros(more, np.int64)])
            self._worst = np.concatenate([self._worst, np.zeros(more, np.int32)])
        self._words[:, row], self._at[row] = words, _micros(place[0])
        self._rows[place[1]] = row
        self._places.append(place)

    def _cut(self, row: int) -> None:
        """The last row takes the place of one that goes."""
        last = len(self._places) - 1
        del self._rows[self._places[row][1]]
        if row != last:
            self._words[:, row] = self._words[:, last]
            self._at[row], self._worst[row] = self._at[last], self._worst[last]
            self._places[row] = self._places[last]
            self._rows[self._places[row][1]] = row
        self._places.pop()

    def _find(self, identity: str, apart: NDArray[np.int32]) -> None:
        """Look for the nearest ones before a sketch, given how far all that are held are."""
        place = self._places[self._rows[identity]]
        rows = np.flatnonzero((apart <= self._most_apart) & (self._at[: len(apart)] <= _micros(place[0])))
        found: list[tuple[int, str]] = []
        for distance in np.unique(apart[rows]).tolist():
            alike = (self._places[row] for row in rows[apart[rows] == distance].tolist())
            found += [(distance, other) for _, other in sorted(each for each in alike if each < place)]
            if len(found) >= self._most:
                break
        self._keep(identity, sorted(found)[: self._most])

    def _offer(self, row: int, found: tuple[int, str]) -> None:
        identity = self._places[row][1]
        near = [*self._near[identity]]
        insort(near, found)
        self._forget_nearest(identity)
        self._keep(identity, near[: self._most])

    def _keep(self, identity: str, near: list[tuple[int, str]]) -> None:
        self._near[identity] = near
        for _, other in near:
            self._nearest_of[other].add(identity)
        row = self._rows[identity]
        self._worst[row] = near[-1][0] if len(near) == self._most else self._most_apart

    def _forget_nearest(self, identity: str) -> None:
        for _, other in self._near.pop(identity, ()):
            self._nearest_of[other].discard(identity)
            if not self._nearest_of[other]:
                del self._nearest_of[other]


def _words_of(sketch: str) -> NDArray[np.uint64]:
    held = b64decode(sketch)
    return np.frombuffer(held + bytes(-len(held) % (_WORD_BITS // 8)), np.uint64)


def _micros(at: datetime) -> int:
    return round((at - _EPOCH).total_seconds() * 1_000_000)
