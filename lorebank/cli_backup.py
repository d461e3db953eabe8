"""Commands `backup` and `restore`: copies of a data directory, made by the server's own code."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_output import fail
from lorebank.cli_server import HOW_TO_GET_IT

JOBS_PACKAGE = "jobs"


def backup(
    data: Annotated[Path, typer.Argument(help="Data directory; a server may be using it.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="Empty or new directory for the copy.", show_default=False)],
) -> None:
    """Copy a data directory, also while a server uses it: reads go on, writes wait for the copy."""
    _become("create", data, to)


def restore(
    source: Annotated[Path, typer.Argument(help="Directory that `backup` made.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="Empty or new data directory.", show_default=False)],
) -> None:
    """Check every file of a backup and make a data directory of it."""
    _become("restore", source, to)


def _become(action: str, directory: Path, to: Path) -> None:
    if importlib.util.find_spec(JOBS_PACKAGE) is None:
        raise fail(HOW_TO_GET_IT)
    arguments = ["-m", f"{JOBS_PACKAGE}.backup", action, str(directory.absolute()), "--to", str(to.absolute())]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell, and fixed arguments
