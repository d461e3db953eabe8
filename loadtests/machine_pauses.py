"""How long the machine itself keeps a process waiting: what a pause that was measured has to be compared with."""

import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Self

_SAMPLE_S = 0.001
_SHORTEST_S = 0.005
_END_TIMEOUT_S = 5.0


class MachinePauses:
    """Context manager around a process that does nothing but sleep, and tells when it slept too long."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self._process: subprocess.Popen[str] | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        """Start the process."""
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_END_TIMEOUT_S)
        self._listener.join()

    def longest_ms(self, began_s: float, ended_s: float) -> float:
        """Longest pause that overlapped with the given time of `time.perf_counter`."""
        return max(
            ((end - begun) * 1000 for begun, end in list(self._seen) if end >= began_s and begun <= ended_s),
            default=0.0,
        )

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            begun, end = line.split()
            self._seen.append((float(begun), float(end)))


def watch() -> None:
    """Print every pause of this process; the clock is the same for all processes of the machine."""
    last_s = time.perf_counter()
    while True:
        time.sleep(_SAMPLE_S)
        now_s = time.perf_counter()
        if now_s - last_s - _SAMPLE_S > _SHORTEST_S:
            sys.stdout.write(f"{last_s + _SAMPLE_S!r} {now_s!r}\n")
            sys.stdout.flush()
        last_s = now_s


if __name__ == "__main__":
    watch()
