"""One server per data directory: a lock file that dies with its process and names it."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # it has no types

from memory.errors import BadSettings, StoreLocked

LOCK_FILE = ".lock"
PATIENCE_S = 10.0
"""How long a holder may take to go: the children of a killed server need a moment."""
_POLL_S = 0.1
_SHOWN_CHARACTERS = 120


class DataLock:
    """Context manager that holds a data directory for this process."""

    def __init__(self, data: Path, patience_s: float = PATIENCE_S) -> None:
        self._path = data / LOCK_FILE
        self._patience_s = patience_s
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            StoreLocked: another process holds the directory and keeps it.
            BadSettings: the directory cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._lock(self._file)
            os.ftruncate(self._file, 0)
            os.write(self._file, str(os.getpid()).encode())
        except OSError as exc:
            self._close()
            raise BadSettings(f"the data directory {self._path.parent} cannot be used: {exc.strerror}") from exc
        except StoreLocked:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _lock(self, file: int) -> None:
        deadline_s = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                if time.monotonic() < deadline_s:
                    time.sleep(_POLL_S)
                    continue
                holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise StoreLocked(
                    f"the data directory {self._path.parent} is in use by another server ({_named(holder)}):"
                    " stop it, or use another --data"
                ) from exc
            return

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _named(holder: str) -> str:
    """A process by its number and, where it can be seen, its command line."""
    try:
        command = " ".join(psutil.Process(int(holder)).cmdline())
    except (ValueError, psutil.Error):
        return f"process {holder}"
    return f"process {holder}: {command[:_SHOWN_CHARACTERS]}" if command else f"process {holder}"
