"""Commands `forget`, `tenant`, `retention` and `compact`: what goes for good, as jobs."""

from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_jobs import DryRunOption, PatienceOption, RateOption, TenantOption, become, flags
from lorebank.cli_output import JsonOption

tenant_app = typer.Typer(no_args_is_help=True, help="Delete a tenant with all its banks; look for what is left.")
SureOption = Annotated[bool, typer.Option("--yes", "-y", help="Delete without being asked again.")]
TenantArgument = Annotated[str, typer.Argument(help="Name of the tenant.", show_default=False)]


def forget(
    to: Annotated[Path, typer.Argument(help="Empty or new directory for what is exported.", show_default=False)],
    bank: Annotated[str | None, typer.Option("--bank", "-b", help="This bank, or documents of it.")] = None,
    user: Annotated[str | None, typer.Option(help="Every bank whose scope names this user.")] = None,
    document: Annotated[list[str] | None, typer.Option(help="A document of the bank; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Documents with this tag; may be repeated.")] = None,
    tenant: TenantOption = None,
    yes: SureOption = False,
    patience_s: PatienceOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Write what a person asks for to Parquet files, check them, then delete it. Run it again to go on after a stop."""
    options = flags(
        [
            ("--bank", bank), ("--user", user), ("--document", document), ("--tag", tag), ("--tenant", tenant),
            ("--yes", yes), ("--patience-s", patience_s), ("--dry-run", dry_run), ("--json", json),
        ]
    )  # fmt: skip
    become("forget", [*options, "--", str(to.absolute())])


@tenant_app.command("delete")
def delete_tenant(
    name: TenantArgument,
    yes: SureOption = False,
    patience_s: PatienceOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Delete a tenant with all its banks, then look at every collection for what is left."""
    options = [("--yes", yes), ("--patience-s", patience_s), ("--dry-run", dry_run), ("--json", json)]
    become("tenant", [*flags(options), "--", "delete", name])


@tenant_app.command("scan")
def scan_tenant(
    name: TenantArgument,
    bank: Annotated[str | None, typer.Option("--bank", "-b", help="Only this bank.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data directory that no server runs on.")] = None,
    json: JsonOption = False,
) -> None:
    """Look at every collection for what is left of a tenant, or of a bank."""
    options = [("--bank", bank), ("--data", data.absolute() if data else None), ("--json", json)]
    become("tenant", [*flags(options), "--", "scan", name])


def compact(
    data: Annotated[Path, typer.Option(help="Data directory that no server runs on.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Write a data directory's files anew, so that what was deleted is in none of them any more."""
    become("compact", flags([("--data", data.absolute()), ("--json", json)]))


def retention(
    bank: Annotated[
        str | None, typer.Option("--bank", "-b", help="Only this bank.  [default: all of the tenant]")
    ] = None,
    tenant: TenantOption = None,
    archive: Annotated[Path | None, typer.Option(help="Directory to write what goes to, as Parquet files.")] = None,
    max_items_per_s: RateOption = None,
    patience_s: PatienceOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Let go of what banks' rules of retention are past; readers do not see it any more as it is."""
    options = flags(
        [
            ("--bank", bank), ("--tenant", tenant), ("--archive", archive.absolute() if archive else None),
            ("--max-items-per-s", max_items_per_s), ("--patience-s", patience_s), ("--dry-run", dry_run),
            ("--json", json),
        ]
    )  # fmt: skip
    become("retention", options)
