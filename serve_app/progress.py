"""What the server says on its standard streams; it goes on, and stops as it should, where nobody can read that."""

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO


def write_line(stream: TextIO, line: str) -> None:
    """Write a line at once. Where its reader is gone, or the disk is full, this one and all later ones are lost.

    A server must not end half-way for that: parts of it would be left without whom they wait for.
    """
    try:
        stream.write(f"{line}\n")
        stream.flush()
    except OSError:
        # The line stays in the stream's buffer, and the interpreter writes that once more when it ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def progress() -> Callable[[str], None]:
    """Writes progress lines to stderr, each with the seconds since the start."""
    started_s = time.monotonic()

    def say(line: str) -> None:
        write_line(sys.stderr, f"[{time.monotonic() - started_s:5.1f} s] {line}")

    return say
