"""Parts in order of reading -> whole documents, in bounded memory whatever the order.

A first pass looks whether each document's parts stand together. If so, documents are gathered as they come. If not,
parts are spilled to files by a hash of their document, small enough to be gathered one file after the other; within a
document they stay in order of reading either way. Whether a document comes back is seen by a fixed bitmap: it may think
so wrongly, which costs a spill, but never misses one.
"""

import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.parts import Gathered, Origin, Part, Reject, bytes_of, gather, turns_of
from memory.ids import digest

BITMAP_BYTES = 4 << 20
PROBES = 4
SPILL_BYTES = 16 << 20
"""A spilled file of this size is gathered at once; its parts take some ten times as much in memory."""
SPILL_FILES = 128
MAX_DOCUMENT_TURNS = 20_000
MAX_DOCUMENT_BYTES = 16 << 20
"""The largest document: one document is one plan of its bank."""


@dataclass(slots=True)
class Found:
    """What a first pass saw."""

    parts: int = 0
    turns: int = 0
    size_bytes: int = 0
    rejects: int = 0
    documents: int = 0
    """Runs of parts of one document: exact where `together`."""
    together: bool = True
    """Whether no document comes back after another one."""


class SeenBefore:
    """A set of names in memory of a fixed size, that may take a new name for an old one, never an old for a new."""

    def __init__(self, size_bytes: int = BITMAP_BYTES) -> None:
        self._bits = bytearray(size_bytes)

    def add(self, name: bytes) -> bool:
        """Whether the name (a digest of 32 bytes) was there, perhaps."""
        known = True
        for probe in range(PROBES):
            at = int.from_bytes(name[8 * probe : 8 * probe + 8], "big") % (8 * len(self._bits))
            mask = 1 << (at & 7)
            known = known and bool(self._bits[at >> 3] & mask)
            self._bits[at >> 3] |= mask
        return known


def survey(parts: Iterable[Part | Reject], advance: Callable[[int], None] = lambda _: None) -> Found:
    """What there is, and whether documents stand together; `advance` is told of rows."""
    found, seen = Found(), SeenBefore()
    current: tuple[str, str] | None = None
    for part in parts:
        advance(1)
        if isinstance(part, Reject):
            found.rejects += 1
            continue
        found.parts += 1
        found.turns += turns_of(part.item)
        found.size_bytes += bytes_of(part.item)
        key = (part.bank, part.document_id)
        if key != current:
            found.documents += 1
            found.together = not seen.add(digest(*key)) and found.together
            current = key
    return found


def gathered(
    parts: Iterable[Part | Reject], *, together: bool, size_bytes: int, spill: Path
) -> Iterator[Gathered | Reject]:
    """Whole documents, and rows that are none. `spill` is a directory of this run alone; it is removed at the end."""
    if together:
        yield from _as_they_come(parts)
        return
    shutil.rmtree(spill, ignore_errors=True)
    try:
        yield from _spilled(parts, size_bytes, spill, 0)
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _as_they_come(parts: Iterable[Part | Reject]) -> Iterator[Gathered | Reject]:
    document: _Document | None = None
    for part in parts:
        if isinstance(part, Reject):
            yield part
        elif document is not None and document.has(part):
            yield from document.add(part)
        else:
            if document is not None:
                yield from document.end()
            document = _Document(part)
    if document is not None:
        yield from document.end()


def _spilled(
    parts: Iterable[Part | Reject], size_bytes: int, directory: Path, level: int
) -> Iterator[Gathered | Reject]:
    """Level 0 spills what is read; a file that is still too large is spilled again by other bits of the hash."""
    directory.mkdir(parents=True)
    count = max(2, min(SPILL_FILES, -(-size_bytes // SPILL_BYTES)))
    paths = [directory / f"{number:03d}" for number in range(count)]
    files = [path.open("wb") for path in paths]
    sizes = [0] * count
    try:
        for part in parts:
            if isinstance(part, Reject):
                yield part
                continue
            name = digest(part.bank, part.document_id)
            number = int.from_bytes(name[8 * level : 8 * level + 8], "big") % count
            sizes[number] += bytes_of(part.item)
            pickle.dump(part, files[number], pickle.HIGHEST_PROTOCOL)
    finally:
        for file in files:
            file.close()
    for path, size in zip(paths, sizes, strict=True):
        if size > 4 * SPILL_BYTES and level < 3:
            yield from _spilled(_load(path), size, path.with_suffix(".d"), level + 1)
        else:
            yield from _grouped(_load(path))
        path.unlink()


def _grouped(parts: Iterable[Part]) -> Iterator[Gathered | Reject]:
    documents: dict[tuple[str, str], _Document] = {}
    for part in parts:
        document = documents.get((part.bank, part.document_id))
        if document is None:
            documents[part.bank, part.document_id] = _Document(part)
        else:
            yield from document.add(part)
    for document in documents.values():
        yield from document.end()


def _load(path: Path) -> Iterator[Part]:
    with path.open("rb") as file:
        while file.peek(1):
            part: Part = pickle.load(file)  # noqa: S301 - this process wrote it
            yield part


class _Document:
    """A document as far as it is read; one that grows too large is rejected row by row."""

    def __init__(self, first: Part) -> None:
        self._parts: list[Part] = []
        self._first = first
        self._turns = 0
        self._size_bytes = 0
        self._late = list(self.add(first))

    def has(self, part: Part) -> bool:
        return (part.bank, part.document_id) == (self._first.bank, self._first.document_id)

    def add(self, part: Part) -> Iterator[Reject]:
        """Take a part in; what is yielded are rows that are not stored."""
        self._turns += turns_of(part.item)
        self._size_bytes += bytes_of(part.item)
        if self._fits():
            self._parts.append(part)
            return
        yield from (self._reject(held.origin) for held in self._parts)
        self._parts = []
        yield self._reject(part.origin)

    def end(self) -> Iterator[Gathered | Reject]:
        yield from self._late
        if self._parts:
            yield gather(self._parts)

    def _fits(self) -> bool:
        return self._turns <= MAX_DOCUMENT_TURNS and self._size_bytes <= MAX_DOCUMENT_BYTES

    def _reject(self, origin: Origin) -> Reject:
        most = f"{MAX_DOCUMENT_TURNS} turns and {MAX_DOCUMENT_BYTES >> 20} MiB"
        reason = f"document {self._first.document_id!r} is larger than {most}; give its parts ids of their own"
        return Reject(origin, reason, self._first.document_id)
