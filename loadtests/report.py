"""What a load run says: percentiles by route, answers by status, acknowledged writes that were not found."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console
from rich.table import Table

from loadtests.percentiles import Percentiles
from loadtests.recording import NO_ANSWER, Record
from loadtests.timed_connection import REFUSALS


@dataclass(frozen=True, slots=True)
class RouteReport:
    """One route: latencies of the requests it served, and all answers by status."""

    route: str
    served: Percentiles | None
    answers: dict[int, int]

    @property
    def refused(self) -> int:
        """Answers that asked to try again later."""
        return sum(number for status, number in self.answers.items() if status in REFUSALS)

    @property
    def failed(self) -> dict[int, int]:
        """Answers that are neither a success nor a refusal, by status."""
        return {status: number for status, number in self.answers.items() if is_failure(status)}


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One run of `seconds`; `missing` lists acknowledged writes that the reading back did not find."""

    seconds: float
    users: int
    routes: list[RouteReport]
    acknowledged: int
    read_back: int
    missing: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, record: Record, *, seconds: float, users: int, read_back: int, missing: list[str]) -> Self:
        """The report on a record."""
        names = sorted({row.route for row in record.requests})
        return cls(
            seconds, users, [_route(name, record) for name in names], len(record.acknowledged), read_back, missing
        )

    @property
    def ok(self) -> bool:
        """Whether something was served, nothing failed, and no acknowledged write is missing."""
        served = any(route.served for route in self.routes)
        return served and not self.missing and not any(route.failed for route in self.routes)


def is_failure(status: int) -> bool:
    """Whether a status is neither a success nor a refusal under load."""
    return not 200 <= status < 300 and status not in REFUSALS


def route_rows(report: LoadReport) -> list[list[str]]:
    """Cells by route: name, requests per second, p50, p95, p99, refused, failed."""
    rows = []
    for route in report.routes:
        served = route.served
        times = ["-"] * 3 if served is None else [f"{ms:.1f}" for ms in (served.p50_ms, served.p95_ms, served.p99_ms)]
        rate = 0.0 if served is None else served.count / report.seconds
        failed = ", ".join(f"{number} x {_status_name(status)}" for status, number in sorted(route.failed.items()))
        rows.append([route.route, f"{rate:.1f}", *times, str(route.refused), failed or "0"])
    return rows


HEADINGS = ("route", "served/s", "p50 ms", "p95 ms", "p99 ms", "refused", "failed")


def summary(report: LoadReport) -> str:
    """The last line of a report."""
    found = report.read_back - len(report.missing)
    return (
        f"{report.users} users, {report.seconds:.0f} s; {report.acknowledged} acknowledged retains, "
        f"{found} of {report.read_back} read back found: {'ok' if report.ok else 'FAILED'}"
    )


def print_load_report(report: LoadReport, console: Console) -> None:
    """The report as a table."""
    table = Table(*HEADINGS)
    for row in route_rows(report):
        table.add_row(*row)
    console.print(table)
    for line in report.missing[:10]:
        console.print(f"missing: {line}", style="red", markup=False)
    console.print(summary(report), style="green" if report.ok else "red")


def to_markdown(report: LoadReport) -> str:
    """The report as Markdown."""
    lines = ["# Load run", "", *markdown_table(HEADINGS, route_rows(report)), "", summary(report)]
    lines += ["", *(f"- missing: {line}" for line in report.missing)] if report.missing else []
    return "\n".join(lines) + "\n"


def markdown_table(headings: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table; the first column holds names, the others figures."""
    ruler = ["---", *["---:"] * (len(headings) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (headings, ruler, *rows)]


def _route(name: str, record: Record) -> RouteReport:
    rows = [row for row in record.requests if row.route == name]
    served = [row.latency_ms for row in rows if 200 <= row.status < 300]
    return RouteReport(name, Percentiles.find(served), dict(Counter(row.status for row in rows)))


def _status_name(status: int) -> str:
    return "no answer" if status == NO_ANSWER else str(status)
