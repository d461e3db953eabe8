"""Guardian: a small process that outlives a killed server just long enough to end what the server started.

Most of Ray's processes end with the one that started them, but its agents can stay behind for good. The server tells
the guardian their ids while it starts; when the pipe between the two closes, the guardian kills those still running.
"""

import contextlib
import subprocess
import sys
import threading
from types import TracebackType
from typing import IO, Self

import psutil  # type: ignore[import-untyped]  # it has no types

_SAMPLE_S = 0.2
_END_TIMEOUT_S = 2.0


class Guardian:
    """Context manager around the process; while `learning`, every process below this one is made known to it."""

    def __init__(self) -> None:
        self._known: set[tuple[int, float]] = set()
        self._learned = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._learner = threading.Thread(target=self._learn, daemon=True)

    def __enter__(self) -> Self:
        """Start the process."""
        # A session of its own: Ctrl-C in the terminal must not reach it.
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        self._learner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it end: what is still running of what it knows is killed."""
        self.learned()
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
                self._process.stdin.close()
                self._process.wait(_END_TIMEOUT_S)

    @property
    def pid(self) -> int:
        """Id of the process; it must have been started."""
        assert self._process is not None
        return self._process.pid

    def learned(self) -> None:
        """Everything that lasts has been started."""
        self._learned.set()
        self._learner.join()

    def _learn(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        last = False
        # Without its guardian, if somebody killed it, the server goes on.
        with contextlib.suppress(BrokenPipeError):
            while not last:
                last = self._learned.wait(_SAMPLE_S)
                self._tell(self._process.stdin, self._process.pid)

    def _tell(self, pipe: IO[str], guardian: int) -> None:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                identity = (process.pid, process.create_time())
                if process.pid != guardian and identity not in self._known:
                    self._known.add(identity)
                    pipe.write(f"{identity[0]} {identity[1]!r}\n")
        pipe.flush()


def guard(pipe: IO[str]) -> None:
    """Read ids until the server is gone, then kill the processes that still have them."""
    told = [line.split() for line in pipe]
    for pid, created_s in told:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(pid))
            if process.create_time() == float(created_s):
                process.kill()


if __name__ == "__main__":
    guard(sys.stdin)
