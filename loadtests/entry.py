"""Runs a command of this package; what can go wrong outside of it is told in one line, with exit code 1."""

import sys
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from loadtests.timed_connection import LoadError
from lorebank import LorebankError
from lorebank.own_server import ended_by_sigterm
from memory.errors import LorebankError as ProductError

TOLD = (LoadError, LorebankError, ProductError, OSError, ValueError)
"""Failures of the server, the files or the model; any other is a bug here and keeps its traceback."""


def start(main: Callable[..., Any]) -> None:
    """Parse the command line and call `main`; servers that it started end with it, by SIGTERM, too."""
    try:
        with ended_by_sigterm():
            typer.run(main)
    except TOLD as error:
        Console(stderr=True).print(f"{type(error).__name__}: {error}", style="red", markup=False)
        sys.exit(1)
