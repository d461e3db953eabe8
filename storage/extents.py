"""Where a sparse file holds data: the engine's files are large on paper and small on disk."""

import errno
import os
from collections.abc import Iterator


def extents(file: int, length: int) -> Iterator[tuple[int, int]]:
    """Where an open file of `length` bytes has data, as (start, end)."""
    at = 0
    while at < length:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        at = os.lseek(file, start, os.SEEK_HOLE)
        yield start, at
