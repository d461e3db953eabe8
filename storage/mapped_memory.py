"""Let go of the memory of mapped files: the engine maps all it has, and seldom looks at most of it again."""

import ctypes
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_PAGEOUT: Final = 21
"""MADV_PAGEOUT of Linux 5.4: write what is dirty, drop what is clean. Whatever is mapped there keeps what it holds."""
_DONTNEED: Final = 4
"""MADV_DONTNEED: out of this process's memory; of a shared mapping the file's pages keep what was written to them."""
_MAPPINGS: Final = Path("/proc/self/maps")


def let_go(directory: Path) -> int:
    """Have the system take back pages of the files below `directory` that this process has mapped.

    What is read of them again comes from the file. Where the system knows no such request nothing happens.
    Bytes of the mappings that it was asked for.
    """
    return _advise((directory,), _PAGEOUT)


def put_down(directories: Iterable[Path]) -> int:
    """As let_go, of pages that will be read again: they stay in the system's cache while it has room for them.

    Until this process reads them they are no memory of its own, and reading them takes no look at the disk then.
    Nobody may unmap one of the files meanwhile, for what is mapped at its place next would lose what it holds.
    """
    return _advise(directories, _DONTNEED)


def _advise(directories: Iterable[Path], advice: int) -> int:
    if sys.platform != "linux":
        return 0
    madvise = ctypes.CDLL(None).madvise  # mappings of the engine's are no objects of Python's
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    mappings = _shared([f"{directory.resolve()}/" for directory in directories])
    return sum(length for start, length in mappings if madvise(start, length, advice) == 0)


def _shared(prefixes: list[str]) -> Iterator[tuple[int, int]]:
    """Start and length of the shared mappings of files below the directories; a private one alone knows its changes."""
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        place, rights, _ = line.split(" ", 2)
        if rights.endswith("s") and any(prefix in line for prefix in prefixes):
            start, _, end = place.partition("-")
            yield int(start, 16), int(end, 16) - int(start, 16)
