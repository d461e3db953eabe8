"""Measures a LoCoMo file with a server of its own and files a report: `make bench LOCOMO=path/to/locomo.ndjson`."""

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests.arguments import ConversationsArgument
from loadtests.dialogue import read_conversations
from loadtests.entry import start
from loadtests.floors import core_count
from loadtests.locomo import LocomoOptions, measure
from loadtests.locomo_report import (
    LocomoReport,
    print_report,
    quality_rows,
    report_console,
    speed_rows,
    verdicts,
)
from loadtests.own_server import own_server
from loadtests.report import markdown_table
from loadtests.scoring import METRICS

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "docs" / "reports"


def commit_name() -> str:
    """The short commit id, with `+changes` if the tree differs from it; `uncommitted` without one."""
    found = _git("rev-parse", "--short", "HEAD")
    if found is None:
        return "uncommitted"
    return f"{found}+changes" if _git("status", "--porcelain", "--untracked-files=no") else found


def cpu_model() -> str:
    """What the processor calls itself, on Linux; elsewhere its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def to_markdown(report: LocomoReport, *, at: datetime, commit: str, machine: str) -> str:
    """The report as Markdown."""
    lines = [
        f"# {report.file}, {at:%Y-%m-%d}",
        "",
        f"{at:%Y-%m-%d %H:%M} UTC, commit {commit}, {machine}.",
        f"{report.conversations} conversations, {report.items} items retained, {report.questions['all']} questions.",
        "R@k: share of a question's evidence turns in the first k places. T@n: the same within n tokens of text. In %.",
    ]
    for heading, rows in quality_rows(report):
        cells = [[method, *figures] for method, figures in rows]
        lines += ["", f"## {heading.capitalize()}", "", *markdown_table(("method", *METRICS), cells)]
    speed = [list(row) for row in speed_rows(report)]
    lines += ["", "## Speed", "", *markdown_table(("", "figures"), speed)]
    ratios = [list(one.cells()) for one in verdicts(report)]
    lines += ["", "## Ratios", "", *markdown_table(("ratio", "measured", "target", "verdict"), ratios)]
    if report.failures:
        lines += ["", "## Failures", "", f"{len(report.failures)} requests failed; the first: {report.failures[0]}"]
    return "\n".join(lines) + "\n"


def _git(*arguments: str) -> str | None:
    """What git prints; None where it fails, e.g. outside a checkout."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def main(
    file: ConversationsArgument,
    *,
    with_captions: Annotated[bool, typer.Option("--with-captions", help="captions of images in the texts")] = False,
    reports: Annotated[Path, typer.Option(help="folder of the report")] = REPORTS,
) -> None:
    """Measure and write the report."""
    conversations = read_conversations(file, captions=with_captions)
    report = measure(file.name, conversations, own_server(), LocomoOptions())
    print_report(report, report_console())
    at, commit = datetime.now(UTC), commit_name()
    machine = f"{cpu_model()}, {core_count()} cores, Python {platform.python_version()}"
    reports.mkdir(parents=True, exist_ok=True)
    target = reports / f"{file.stem}-{at:%Y-%m-%d}-{commit}.md"
    target.write_text(to_markdown(report, at=at, commit=commit, machine=machine), encoding="utf-8")
    Console(stderr=True).print(f"report: {target}")
    if report.failures or report.recall is None:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
