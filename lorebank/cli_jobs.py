"""Commands that are jobs: this process becomes the job, if the server's code is here."""

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_output import fail
from lorebank.cli_server import HOW_TO_GET_IT

JOBS_PACKAGE = "jobs"

TenantOption = Annotated[str | None, typer.Option(help="Tenant of the banks.  [default: default]", show_default=False)]
ProgressOption = Annotated[
    Path | None, typer.Option("--progress", help="Progress file, by which a run goes on after a kill.")
]
AgainOption = Annotated[bool, typer.Option("--again", help="Forget the progress file and begin anew.")]
RejectsOption = Annotated[Path | None, typer.Option("--rejects", help="NDJSON file of what is not stored, and why.")]
ReportOption = Annotated[Path | None, typer.Option("--report", help="Write the report to this file too, as JSON.")]
RateOption = Annotated[
    float | None, typer.Option("--max-items-per-s", help="Most turns a second, for work beside live traffic.")
]
ConcurrencyOption = Annotated[int | None, typer.Option(min=1, help="Calls under way at once.  [default: 4]")]
PatienceOption = Annotated[
    float | None,
    typer.Option("--patience-s", min=0, help="Seconds to wait for a part that takes nothing.  [default: 300]"),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, store nothing.")]


def become(job: str, arguments: Iterable[str]) -> None:
    """Go on as `python -m jobs.JOB`, whose exit code is then the command's.

    Raises:
        typer.Exit: the server's code is not installed here.
    """
    if importlib.util.find_spec(JOBS_PACKAGE) is None:
        raise fail(HOW_TO_GET_IT)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"{JOBS_PACKAGE}.{job}", *arguments])  # noqa: S606 - no shell, and fixed arguments


def flags(options: Sequence[tuple[str, object]]) -> list[str]:
    """Options as a job reads them: what is not given is left out; a value may begin with a dash."""
    given: list[str] = []
    for flag, value in options:
        if value is True:
            given.append(flag)
        elif isinstance(value, list | tuple):
            given += [f"{flag}={one}" for one in value]
        elif value is not None and value is not False:
            given.append(f"{flag}={value}")
    return given
