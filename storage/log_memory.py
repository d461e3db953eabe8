"""Let go of the memory of log files: the engine keeps them mapped, and nobody reads what was written to them."""

import ctypes
import sys
from pathlib import Path
from typing import Final

_PAGEOUT: Final = 21
"""MADV_PAGEOUT of Linux 5.4: write what is dirty, drop what is clean. Whatever is mapped there keeps what it holds."""
_MAPPINGS: Final = Path("/proc/self/maps")


def let_go(directory: Path) -> int:
    """Have the system take back pages of the files below `directory` that this process has mapped.

    What is read of them again comes from the file. Where the system knows no such request nothing happens.
    Bytes of the mappings that it was asked for.
    """
    if sys.platform != "linux":
        return 0
    madvise = ctypes.CDLL(None).madvise  # mappings of the engine's are no objects of Python's
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    below, asked = f"{directory.resolve()}/", 0
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        at = line.find(below)
        if at >= 0:
            start, _, end = line.split(" ", 1)[0].partition("-")
            length = int(end, 16) - int(start, 16)
            if madvise(int(start, 16), length, _PAGEOUT) == 0:
                asked += length
    return asked
