"""Command `up`: turns this process into the server, if the server's code is here."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_output import fail

SERVER_PACKAGE = "serve_app"
HOW_TO_GET_IT = (
    "the server is not installed here: get the lorebank repository, run `make install` in it, "
    "then `.venv/bin/lorebank up`"
)


def up(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.  [default: 8080]")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Directory of the memories; made if absent.  [default: ./lorebank-data]")
    ] = None,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Do not serve the web pages.")] = False,
) -> None:
    """Start the server in the foreground; it prints `ready URL`, and Ctrl-C stops it. Other flags go to the server."""
    if importlib.util.find_spec(SERVER_PACKAGE) is None:
        raise fail(HOW_TO_GET_IT)
    arguments = ["-m", f"{SERVER_PACKAGE}.main"]
    # What is not given here the server reads from LOREBANK_* or lorebank.toml.
    for flag, value in (("--port", port), ("--host", host), ("--data", data.absolute() if data else None)):
        if value is not None:
            arguments += [flag, str(value)]
    if no_ui:
        arguments.append("--no-ui")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments, *context.args])  # noqa: S606 - no shell, and fixed arguments
