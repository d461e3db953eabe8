"""Reading a collection's files once, so that what is asked of it later is in memory.

The engine maps its files and keeps the interpreter's lock while a page of them comes from the disk, one page at a time:
a first page of documents was 1,200 such reads, in which nothing else of its process ran. A plain read of the same
bytes waits for the disk without that lock, in big pieces.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # it has no types

from storage.extents import extents

PIECE_BYTES: Final = 1 << 20
SHARE: Final = 0.5
"""Of the memory that is available, at most so much is filled."""
_LAST: Final = "vector_storage"
"""The vectors are read last, and the dense ones, of which there are most bytes, at the very end."""
_DENSE: Final = "vector_storage-dense"


def read_ahead(directory: Path, most_bytes: int, stopped: Callable[[], bool] = lambda: False) -> int:
    """Read the files below `directory`, at most `most_bytes` of them and SHARE of the available memory.

    Other threads run on meanwhile. It ends early once `stopped` says so. Bytes that were read.
    """
    left = most_bytes = min(most_bytes, int(psutil.virtual_memory().available * SHARE))
    piece = memoryview(bytearray(PIECE_BYTES))
    for path in sorted((path for path in directory.rglob("*") if path.is_file()), key=_order):
        with contextlib.suppress(FileNotFoundError):  # the engine starts a new log and deletes the old one
            left -= _read(path, left, piece, stopped)
        if left <= 0 or stopped():
            break
    return most_bytes - left


def _order(path: Path) -> tuple[bool, bool, str]:
    name = path.as_posix()
    return _DENSE in name, _LAST in name, name


def _read(path: Path, most_bytes: int, piece: memoryview, stopped: Callable[[], bool]) -> int:
    done = 0
    with path.open("rb", buffering=0) as file:
        for start, end in extents(file.fileno(), os.fstat(file.fileno()).st_size):
            at = start
            while at < end and done < most_bytes and not stopped():
                read = os.preadv(file.fileno(), [piece[: min(end - at, most_bytes - done)]], at)
                if not read:  # it became shorter
                    return done
                at, done = at + read, done + read
    return done
