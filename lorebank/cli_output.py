"""What all commands share: their common options, the consoles, JSON output and how errors end a command."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lorebank._client import DEFAULT_URL, Client
from lorebank._errors import LorebankError
from lorebank.wire import parse_instant, problem_of_validation
from lorebank.wire.fields import ResponseModel

EXIT_FAILED = 1
EXIT_USAGE = 2
DEADLINE_S = 300.0
"""A command waits this long for an answer; reflect with a slow model takes its time."""
UNREACHABLE_S = 2.0
"""A command waits this long for a server that takes no connection: most often there is none."""

UrlOption = Annotated[str, typer.Option("--url", envvar="LOREBANK_URL", help="Base URL of the server.")]
KeyOption = Annotated[
    str | None, typer.Option("--api-key", envvar="LOREBANK_API_KEY", help="API key, if the server asks for one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON instead of a table.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many rows at most.")]
OffsetOption = Annotated[int, typer.Option("--offset", min=0, help="How many rows to skip.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
BankArgument = Annotated[str, typer.Argument(help="Id of the bank.", show_default=False)]

DEFAULT = DEFAULT_URL


def console() -> Console:
    """Console on today's stdout; made anew, because tests and shells swap stdout."""
    return Console(highlight=False)


def error_console() -> Console:
    """Console on today's stderr."""
    return Console(stderr=True, highlight=False)


def print_json(value: ResponseModel | Any) -> None:
    """One indented JSON document on stdout."""
    plain = value.to_wire() if isinstance(value, ResponseModel) else value
    typer.echo(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode())


def say(sentence: str) -> None:
    """One line on stdout, as it is: names of callers may look like markup."""
    console().print(sentence, markup=False, soft_wrap=True)


def answer(value: ResponseModel, sentence: str, *, json: bool) -> None:
    """What came of a command: a sentence, or all of the answer as JSON."""
    if json:
        print_json(value)
    else:
        say(sentence)


def fail(message: str, code: int = EXIT_FAILED) -> typer.Exit:
    """Print one line to stderr; raise what this returns."""
    error_console().print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    return typer.Exit(code)


def confirm(yes: bool, question: str) -> None:
    """Go on with what cannot be undone only if the caller has said, or says now, that it is meant.

    Raises:
        typer.Abort: it is not.
    """
    if not yes:
        typer.confirm(question, abort=True)


@contextlib.contextmanager
def session(url: str, api_key: str | None, unreachable_s: float | None = None) -> Iterator[Client]:
    """A client whose errors end the command with one line.

    Raises:
        typer.Exit: code 1 if the server refused or did not answer, 2 if an argument is not valid.
    """
    wait_s = UNREACHABLE_S if unreachable_s is None else unreachable_s
    with Client(url, api_key=api_key, timeout_s=DEADLINE_S, deadline_s=DEADLINE_S, unreachable_s=wait_s) as client:
        try:
            yield client
        except LorebankError as error:
            raise fail(str(error)) from error
        except ValidationError as error:
            raise fail(problem_of_validation(error).detail, EXIT_USAGE) from error
        except ValueError as error:
            raise fail(str(error), EXIT_USAGE) from error


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str | Text]], title: str | None = None) -> Table:
    """A table whose cells are plain text, so that stored brackets are not read as markup; the last column folds."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for position, column in enumerate(columns):
        last = position == len(columns) - 1
        table.add_column(column, overflow="fold", ratio=1 if last else None, no_wrap=False)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def short_time(text: str | None) -> str:
    """An ISO time as `2025-03-08 18:30`; empty for none, unchanged if it is not one."""
    if not text:
        return ""
    try:
        moment = parse_instant(text)
    except ValueError:
        return text
    return moment.strftime("%Y-%m-%d %H:%M")


def one_line(text: str, max_chars: int = 400) -> str:
    """A text on one line, shortened for a table."""
    flat = " ".join(text.split())
    return flat if len(flat) <= max_chars else f"{flat[: max_chars - 1]}…"
