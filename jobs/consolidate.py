"""Consolidate: have the observations of many banks made by their owners, and tell what came of it.

    python -m jobs.consolidate                      every bank of the server on this machine, or at RAY_ADDRESS
    python -m jobs.consolidate --tenant acme --priority oldest --max-facts-per-s 500
    ray job submit --working-dir . -- python -m jobs.consolidate

Banks do the work themselves, in batches, beside what else they do. A run that is ended at any moment is begun again and
goes on where they are: banks that it has done stand in its progress file, which goes when all are.

Exit codes: 0 all is consolidated; 1 some is not, the report says what; 2 nothing could be done.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.attaching import run_attached
from jobs.bulk import deployment_of
from jobs.consolidating import Deployment, Report, Task, consolidate
from jobs.options import positive_count, positive_number
from jobs.progress_bar import bar
from jobs.progress_file import ProgressFile
from jobs.report import counted, tell
from memory.errors import LorebankError
from memory.ids import digest

if TYPE_CHECKING:
    from actors.client import BankClient

EXIT_LEFT = 1
EXIT_OPERATOR = 2
NAME = "consolidate"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    task = Task(
        options.tenant,
        options.concurrency,
        options.max_banks_per_s,
        options.bank_seconds,
        options.priority,
        options.max_facts_per_s,
    )

    async def run(client: "BankClient") -> Report:
        with bar("consolidate", None, "banks") as shown, _done_before(client, task, options) as progress:
            report = await consolidate(Deployment(client), task, shown.at, progress)
            if not report.left:
                progress.path.unlink()  # the next run is a new one
            return report

    try:
        report = run_attached(run)
    except LorebankError as exc:
        print(f"consolidate: {exc}", file=sys.stderr)
        return EXIT_OPERATOR
    tell(asdict(report), sentences(report), as_json=options.json, file=options.report)
    return EXIT_LEFT if report.left else 0


def sentences(report: Report) -> str:
    """The report in words."""
    done = f"{report.consolidated} of {report.banks} banks consolidated in {report.seconds:g} s"
    said = [f"{done}: {report.observations} observations", *_beside(report)]
    return "\n".join([*said, *(f"  {bank}: {why}" for bank, why in sorted(report.left.items()))])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lorebank consolidate --all", description="Have the observations of many banks made by their owners."
    )
    parser.add_argument("--tenant", help="only this tenant's banks")
    parser.add_argument("--concurrency", type=positive_count, default=4, help="banks under way at once")
    parser.add_argument("--max-banks-per-s", type=positive_number, help="most banks begun a second")
    parser.add_argument("--bank-seconds", type=positive_number, default=3600.0, help="how long one bank may take")
    parser.add_argument(
        "--priority",
        choices=("lag", "oldest", "name"),
        default="lag",
        help="which banks first: with the most facts that wait, consolidated the longest ago, or by name",
    )
    parser.add_argument("--max-facts-per-s", type=positive_number, help="most facts of banks begun a second")
    parser.add_argument("--progress", type=Path, help="progress file; the default's name is made from the run")
    parser.add_argument("--again", action="store_true", help="forget the progress file and begin anew")
    parser.add_argument("--report", type=Path, help="write the report to this file too, as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


@contextmanager
def _done_before(client: "BankClient", task: Task, options: argparse.Namespace) -> Iterator[ProgressFile]:
    """The progress file; no two runs share one.

    Raises:
        BadSettings: another run uses it, or it is of another one.
    """
    run = {"job": NAME, "tenant": task.tenant or "", "deployment": deployment_of(client.settings)}
    path = options.progress or Path(f"{NAME}-{digest(repr(sorted(run.items()))).hex()[:8]}.progress.ndjson")
    progress = ProgressFile(path, run, again=options.again)
    try:
        yield progress
    finally:
        progress.close()


def _beside(report: Report) -> list[str]:
    """What else is said of the banks."""
    told = (
        (report.consolidated_before, "were consolidated before by the run that this one goes on with"),
        (report.nothing_to_do, "had nothing to consolidate"),
        (report.paused, "passed over: their consolidation is paused"),
    )
    return [f"{counted(count, 'bank')} {what}" for count, what in told if count]


if __name__ == "__main__":
    sys.exit(main())
