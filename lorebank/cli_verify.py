"""Command `verify`: runs the server's own audit of a store, if the server's code is here."""

import importlib.util
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_output import JsonOption, fail
from lorebank.cli_server import HOW_TO_GET_IT

JOBS_PACKAGE = "jobs"


class Vectors(StrEnum):
    """Which sentence vectors an audit reads."""

    ALL = "all"
    SAMPLE = "sample"
    NONE = "none"


def verify(
    data: Annotated[
        Path | None,
        typer.Option(help="Data directory that no server runs on.  [default: ask the server running on this machine]"),
    ] = None,
    bank: Annotated[str | None, typer.Option("--bank", "-b", help="Only this bank.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant; with --bank `default`.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended, then audit again.")] = False,
    marks: Annotated[
        Path | None, typer.Option(help="File of banks that were right: only those written to since are looked at.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Look at every bank, whatever --marks says.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report to this file too, as JSON.")] = None,
    json: JsonOption = False,
    vectors: Annotated[
        Vectors, typer.Option(help="Which sentence vectors to read; a sample is one in sixteen.")
    ] = Vectors.SAMPLE,
) -> None:
    """Audit everything that is stored: ids, states, documents, counters, vectors.

    Exit code 0: all is right (with --repair: is right now). 1: breaches are left, or a bank was too busy to be checked.
    2: nothing could be checked; the line on stderr says what to do.
    """
    if importlib.util.find_spec(JOBS_PACKAGE) is None:
        raise fail(HOW_TO_GET_IT)
    arguments = ["-m", f"{JOBS_PACKAGE}.verify", "--vectors", vectors.value]
    files = (("--data", data), ("--marks", marks), ("--report", report))
    paths = [(flag, path.absolute() if path else None) for flag, path in files]
    for flag, value in (*paths, ("--bank", bank), ("--tenant", tenant)):
        if value is not None:
            arguments.append(f"{flag}={value}")  # a bank's name may begin with a dash
    arguments += [flag for flag, given in (("--repair", repair), ("--all", all_), ("--json", json)) if given]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - its exit code is ours
