"""Who holds a lock on files of a directory, from what Linux tells; elsewhere it cannot be seen."""

import contextlib
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types

_LOCKS = Path("/proc/locks")
_SHOWN_CHARACTERS = 120


def name_holders(directory: Path) -> str:
    """The processes that hold a lock below the directory, with their command lines."""
    holders = find_holders(directory)
    return ", ".join(name_process(pid) for pid in sorted(holders)) or "a process that cannot be seen from here"


def find_holders(directory: Path) -> set[int]:
    """Process ids of those that hold a lock on a file below the directory."""
    if not _LOCKS.exists():
        return set()
    files = {_lock_id(path) for path in directory.rglob("*")}  # the engine locks the directory of its log
    lines = [line.split() for line in _LOCKS.read_text(encoding="ascii").splitlines()]
    return {int(parts[4]) for parts in lines if len(parts) > 5 and "->" not in parts and parts[5] in files}


def name_process(pid: int) -> str:
    """A process by its number and command line."""
    command = ""
    with contextlib.suppress(psutil.Error):
        command = " ".join(psutil.Process(pid).cmdline())[:_SHOWN_CHARACTERS]
    return f"process {pid} ({command})" if command else f"process {pid}"


def _lock_id(path: Path) -> str:
    """A file as /proc/locks writes it: major and minor device in hexadecimal, inode in decimal."""
    stat = path.stat()
    return f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
