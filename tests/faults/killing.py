"""Kill a server's whole process tree at once, and see that nothing of it is left."""

import contextlib
import time

import psutil


def tree_of(pid: int) -> list[psutil.Process]:
    """The process and everything below it, at this moment."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def kill_all(processes: list[psutil.Process]) -> None:
    """kill -9, parents first, so that nobody starts anyone again."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_gone(processes)


def wait_gone(processes: list[psutil.Process], timeout_s: float = 30.0) -> None:
    """Wait until every one of them has ended.

    Raises:
        AssertionError: some live on; it names them.
    """
    deadline = time.monotonic() + timeout_s
    while left := [process for process in processes if _lives(process)]:
        if time.monotonic() > deadline:
            names = ", ".join(f"{process.pid} {process.name()}" for process in left)
            raise AssertionError(f"still running after {timeout_s:.0f} s: {names}")
        time.sleep(0.05)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
