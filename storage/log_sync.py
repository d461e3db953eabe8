"""Making the engine's logs survive a power loss without the engine, which would let no other thread run meanwhile."""

import os
from pathlib import Path
from typing import Final

_FILES: Final = ("open-", "closed-")
"""What the engine's log files are called: those it writes to or will write to next, and full ones."""


class LogSync:
    """Syncs the log directories of a store's collections; writers and readers go on, in other threads too."""

    def __init__(self, *logs: Path) -> None:
        self._logs = logs
        self._full: dict[Path, frozenset[str]] = {}
        """Per directory, full files that are on disk: nothing is written to them any more."""

    def sync(self) -> None:
        """What the logs held when this was called survives a power loss, the first log's before the next one's.

        Raises:
            OSError: the disk does not take it.
        """
        for log in self._logs:
            while not self._sync(log):
                pass

    def _sync(self, log: Path) -> bool:
        """Whether every file was there: the engine renames a full one, which is then looked for anew."""
        done = self._full.get(log, frozenset())
        names = [name for name in os.listdir(log) if name.startswith(_FILES)]  # noqa: PTH208 - names, often
        try:
            for name in names:
                if name not in done:
                    _sync_file(log / name)
        except FileNotFoundError:
            return False
        _sync_file(log)
        self._full[log] = frozenset(name for name in names if name.startswith("closed-"))
        return True


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
