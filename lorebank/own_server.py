"""A server of one's own: `lorebank up` as a child process on a free port, stopped for certain at the end."""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from lorebank._errors import LorebankError

READY_PREFIX = "ready "
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 60.0
GROUP_TIMEOUT_S = 10.0
_POLL_S = 0.05
_KEPT_LINES = 30


class ServerNotStartedError(LorebankError):
    """The child process ended, or was not ready in time; the message holds its last lines."""


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def up_command(port: int, data: Path) -> list[str]:
    """The command line of `lorebank up`."""
    program = [sys.executable, "-m", "lorebank.cli"]
    return [*program, "up", "--port", str(port), "--data", str(data), "--no-ui"]


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exit that runs the cleanup, as Ctrl-C does, so that no server is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class OwnServer:
    """Context manager around the child process; entering waits until it is ready, `url` is then set.

    `environment` is what it sees beside this process's own.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_line: Callable[[str], None],
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        stop_timeout_s: float = STOP_TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.url = ""
        self._environment = {**os.environ, **(environment or {})}
        self._command = list(command)
        self._on_line = on_line
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start the process and wait for its line `ready URL`.

        Raises:
            ServerNotStartedError: it ended first, or took longer than the timeout; it is stopped then.
        """
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True, env=self._environment,
        )  # fmt: skip
        threading.Thread(target=self._read_lines, args=(self._process,), daemon=True).start()
        try:
            self.url = self._wait_until_ready(time.monotonic() + self._start_timeout_s)
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            ServerNotStartedError: it does not run.
        """
        if self._process is None:
            raise ServerNotStartedError("the server does not run")
        return self._process.pid

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read_lines(self, process: subprocess.Popen[str]) -> None:
        """Keep reading as long as the process writes, or it would block on a full pipe."""
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._last_lines.append(line.rstrip())
                    self._lines.put(line.rstrip())
        self._lines.put(None)

    def _wait_until_ready(self, deadline_s: float) -> str:
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left_s)
            except queue.Empty:
                break
            if line is None:
                raise ServerNotStartedError(self._explain("the server ended before it was ready"))
            if line.startswith(READY_PREFIX):
                return line.removeprefix(READY_PREFIX).strip()
            self._on_line(line)
        raise ServerNotStartedError(self._explain(f"the server was not ready after {self._start_timeout_s:.0f} s"))

    def _explain(self, reason: str) -> str:
        return "\n".join([f"{reason}; its last lines:", *self._last_lines])

    def stop(self) -> None:
        """SIGTERM, wait, and only then SIGKILL; returns when no process of the group is left."""
        process = self._process
        if process is None:
            return
        self._process = None
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._stop_timeout_s)
        _end_group(process.pid)
        process.wait()


def _end_group(group: int) -> None:
    """Wait for what is left of a process group that we started, then kill it."""
    deadline_s = time.monotonic() + GROUP_TIMEOUT_S
    while group_lives(group):
        if time.monotonic() > deadline_s:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            return
        time.sleep(_POLL_S)


def group_lives(group: int) -> bool:
    """Whether a process group has a process that still runs; dead ones that nobody has reaped do not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    states = [state for state, number in _states_and_groups() if number == group]
    return not states or any(state != "Z" for state in states)


def _states_and_groups() -> Iterator[tuple[str, int]]:
    """State letter and group of every process, from /proc; nothing on systems without it."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, group = path.read_text(errors="replace").rpartition(")")[2].split()[:3]
            yield state, int(group)
