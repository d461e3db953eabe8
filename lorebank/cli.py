"""The command line `lorebank`: puts the commands together. Every command talks HTTP; none imports the server."""

from typing import Annotated

import typer

from lorebank._version import __version__
from lorebank.cli_backfill import backfill
from lorebank.cli_backup import backup, restore
from lorebank.cli_banks import bank_app, document_app
from lorebank.cli_consolidate import consolidate
from lorebank.cli_demo import demo
from lorebank.cli_doctor import doctor
from lorebank.cli_forgetting import compact, forget, retention, tenant_app
from lorebank.cli_memory import recall, reflect, retain
from lorebank.cli_operations import operation_app
from lorebank.cli_pages import pages_app
from lorebank.cli_reembed import reembed
from lorebank.cli_reflect import directive_app, model_app
from lorebank.cli_reflect_bulk import reflect_bulk
from lorebank.cli_reflections import reflection_app
from lorebank.cli_server import up
from lorebank.cli_sessions import session_app
from lorebank.cli_transfer import export, import_
from lorebank.cli_verify import verify

app = typer.Typer(
    name="lorebank",
    help="Long-term memory for AI agents: retain, recall, reflect.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"lorebank {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Long-term memory for AI agents: retain, recall, reflect."""


app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(up)
for _command in (demo, retain, recall, reflect, consolidate, backfill, backup, restore, doctor, verify):
    app.command()(_command)
app.command()(export)
app.command("import")(import_)
app.command()(forget)
app.command()(compact)
app.command()(retention)
app.command("reflect-bulk")(reflect_bulk)
app.command()(reembed)
app.add_typer(bank_app, name="bank")
app.add_typer(document_app, name="document")
app.add_typer(directive_app, name="directive")
app.add_typer(model_app, name="model")
app.add_typer(pages_app, name="pages")
app.add_typer(reflection_app, name="reflection")
app.add_typer(session_app, name="session")
app.add_typer(operation_app, name="operation")
app.add_typer(tenant_app, name="tenant")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
