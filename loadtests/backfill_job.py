"""The backfill job as a process of its own, for load tests: started, watched, killed, its report read."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from loadtests.server_memory import memory_by_role, pss_bytes
from loadtests.timed_connection import LoadError

SAMPLE_S = 1.0
JOB = "job"


@dataclass(frozen=True, slots=True)
class BackfillRun:
    """Where a backfill reads, keeps its progress, and which deployment's data directory it belongs to."""

    source: Path
    data: Path
    home: Path
    """Directory of progress, rejects and report."""
    options: tuple[str, ...] = ()

    @property
    def rejects(self) -> Path:
        """NDJSON of rows not stored."""
        return self.home / "chats.rejects.ndjson"

    def start(self) -> "subprocess.Popen[bytes]":
        """Begin it, or go on with it."""
        self.home.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "jobs.backfill", str(self.source)]
        command += ["--progress", str(self.home / "chats.progress.ndjson"), "--report", str(self.home / "report.json")]
        environment = {**os.environ, "LOREBANK_DATA": str(self.data)}
        return subprocess.Popen(
            [*command, *self.options], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def finish(self, job: "subprocess.Popen[bytes]") -> Mapping[str, Any]:
        """Wait for its end; the report.

        Raises:
            LoadError: it ended for another reason than that all was stored but the rejects.
        """
        said = job.communicate()[1].decode(errors="replace")
        if job.returncode not in (0, 1):
            raise LoadError(f"the backfill ended with exit code {job.returncode}: {said[-2000:]}")
        report: Mapping[str, Any] = orjson.loads((self.home / "report.json").read_bytes())
        return report


def kill(job: "subprocess.Popen[bytes]") -> None:
    """Kill -9 of the job's own processes; those of its session, which it was started with."""
    if job.poll() is None:
        os.killpg(job.pid, signal.SIGKILL)
    job.communicate()


@dataclass(slots=True)
class Peaks:
    """Samples what a server and a job take until it is left: peak of both together and of each part; PSS in bytes."""

    server: int
    job: int
    measure: Callable[[int], int] = pss_bytes
    total: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            found = memory_by_role(self.server, self.measure)
            try:
                found[JOB] = self.measure(self.job)
            except OSError:
                continue  # it has ended: what is left belongs to the next sample's job
            self.total = max(self.total, sum(found.values()))
            self.parts |= found
