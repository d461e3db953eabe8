"""How far a job is, on stderr: a bar on a terminal, elsewhere (the log of a Ray job) a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOG_EVERY_S = 10.0
"""Between two lines of progress where stderr is no terminal."""


class Bar:
    """What a job tells of its progress. Counts given by name stand beside how much is done."""

    def __init__(self, progress: Progress, total: int | None, unit: str, beside: str, counts: dict[str, int]) -> None:
        self._progress = progress
        self._unit = unit
        self._beside = beside
        self._counts = counts
        self._done = 0
        self._total = total
        self._task = progress.add_task("", total=total, told=self._told())
        self._logged_s = time.monotonic()

    def move(self, by: int = 1, **counts: int) -> None:
        """So many more are done."""
        self.at(self._done + by, **counts)

    def at(self, done: int, total: int | None = None, **counts: int) -> None:
        """So many are done, of so many where that is known only now."""
        self._done = done
        self._total = total if total is not None else self._total
        self._counts.update(counts)
        self._progress.update(self._task, completed=done, total=self._total, told=self._told())
        if self._progress.disable and time.monotonic() - self._logged_s >= LOG_EVERY_S:
            self._logged_s = time.monotonic()
            of = f" of {self._total}" if self._total is not None else ""
            print(f"{self._done}{of} {self._told()}", file=sys.stderr, flush=True)

    def more(self) -> None:
        """There is one more to do."""
        self.at(self._done, (self._total or 0) + 1)

    def _told(self) -> str:
        beside = self._beside.format(**self._counts)
        return f"{self._unit}, {beside}" if beside else self._unit


@contextmanager
def bar(what: str, total: int | None, unit: str, beside: str = "", **counts: int) -> Iterator[Bar]:
    """A bar of `total` units; `beside` is a format of the counts that are told with them."""
    console = Console(stderr=True)
    columns = (
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Bar(progress, total, unit, beside, counts)
