"""Commands `export` and `import`: banks to Parquet files and back, and from other memory servers, as jobs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_jobs import (
    AgainOption,
    ConcurrencyOption,
    DryRunOption,
    PatienceOption,
    ProgressOption,
    RateOption,
    RejectsOption,
    ReportOption,
    TenantOption,
    become,
    flags,
)
from lorebank.cli_output import JsonOption


class Elsewhere(StrEnum):
    """What a source of an import is."""

    LOREBANK = "lorebank"
    HINDSIGHT = "hindsight"
    MEM0 = "mem0"


def export(
    to: Annotated[Path, typer.Argument(help="Empty or new directory.", show_default=False)],
    bank: Annotated[str | None, typer.Option("--bank", "-b", help="Only this bank.  [default: all]")] = None,
    tenant: TenantOption = None,
    json: JsonOption = False,
) -> None:
    """Write a bank, or all of a tenant, to Parquet files with a manifest and checksums, while the server goes on."""
    options = flags([("--bank", bank), ("--tenant", tenant), ("--json", json)])
    become("export", [*options, "--", str(to.absolute())])


def import_(
    source: Annotated[
        str, typer.Argument(help="Directory of an export, URL of a server, or file.", show_default=False)
    ],
    kind: Annotated[Elsewhere, typer.Option("--from", help="What the source is.")] = Elsewhere.LOREBANK,
    bank: Annotated[
        str | None, typer.Option("--bank", "-b", help="Bank to write to.  [default: of the same name]")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only this bank of the source.  [default: all]")] = None,
    tenant: TenantOption = None,
    source_key: Annotated[
        str | None,
        typer.Option("--api-key", envvar="LOREBANK_IMPORT_API_KEY", help="API key of the other server."),
    ] = None,
    concurrency: ConcurrencyOption = None,
    max_items_per_s: RateOption = None,
    patience_s: PatienceOption = None,
    progress: ProgressOption = None,
    again: AgainOption = False,
    rejects: RejectsOption = None,
    report: ReportOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Take over an export, or what a Hindsight or Mem0 server holds; run it again to go on after a stop."""
    options = flags(
        [
            ("--from", kind.value), ("--bank", bank), ("--only", only), ("--tenant", tenant),
            ("--api-key", source_key), ("--concurrency", concurrency), ("--max-items-per-s", max_items_per_s),
            ("--patience-s", patience_s), ("--progress", progress), ("--again", again), ("--rejects", rejects),
            ("--report", report), ("--dry-run", dry_run), ("--json", json),
        ]
    )  # fmt: skip
    become("imports", [*options, "--", source])
