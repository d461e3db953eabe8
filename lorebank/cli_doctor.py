"""Command `doctor`: looks at this machine and says what is ready, what is not, and what to do."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lorebank._checks import Check, all_checks
from lorebank.cli_output import DEFAULT, EXIT_FAILED, JsonOption, KeyOption, UrlOption, console, print_json, table_of

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    data: Annotated[Path, typer.Option(help="Directory of the stored memories.")] = Path("lorebank-data"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port the server is to listen on.")] = 8080,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Check this machine for running lorebank; the exit code is 1 if something must be done first."""
    checks = all_checks(url, api_key, port, data)
    if json:
        print_json([{"name": one.name, "state": one.state, "found": one.found, "do": one.remedy} for one in checks])
    else:
        console().print(table_of(("", "check", "found"), [_row(check) for check in checks]))
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(EXIT_FAILED)


def _row(check: Check) -> tuple[Text, str, str]:
    found = f"{check.found}\n→ {check.remedy}" if check.remedy else check.found
    return Text(check.state, style=_STYLES[check.state]), check.name, found
