"""Command `reflect-bulk`: many questions to many banks, and stale mental models, as a job."""

from pathlib import Path
from typing import Annotated

import typer

from lorebank.cli_jobs import (
    AgainOption,
    ConcurrencyOption,
    PatienceOption,
    ProgressOption,
    RejectsOption,
    ReportOption,
    TenantOption,
    become,
    flags,
)
from lorebank.cli_output import JsonOption
from lorebank.wire import Budget


def reflect_bulk(
    sources: Annotated[
        list[Path] | None, typer.Argument(help="Files of questions: NDJSON, Parquet, CSV, JSON; directories.")
    ] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Refresh mental models whose evidence has moved.")] = False,
    bank: Annotated[
        str | None, typer.Option("--bank", "-b", help="Bank of questions that name none; with --stale: only it.")
    ] = None,
    tenant: TenantOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="NDJSON file of the answers.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="A name: under another one the same questions are asked anew.")
    ] = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Do not keep answers in their banks.")] = False,
    budget: Annotated[Budget | None, typer.Option(help="Of questions that say none.  [default: low]")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Tag of questions that have none; repeat.")] = None,
    concurrency: ConcurrencyOption = None,
    questions_per_s: Annotated[
        float | None, typer.Option("--max-questions-per-s", help="Most questions and refreshes begun in a second.")
    ] = None,
    tokens_per_min: Annotated[
        float | None, typer.Option("--max-tokens-per-min", help="Most tokens of the language model in a minute.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="Begin nothing more once so many are spent.")
    ] = None,
    patience_s: PatienceOption = None,
    progress: ProgressOption = None,
    again: AgainOption = False,
    rejects: RejectsOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, ask nothing.")] = False,
) -> None:
    """Ask many questions of many banks, or refresh stale mental models; run again after a kill, it goes on.

    Exit code 0: all is done. 1: some is not, the report says what and why. 2: nothing more could be done.
    """
    given = flags(
        [
            ("--stale", stale), ("--bank", bank), ("--tenant", tenant), ("--out", out), ("--run", run),
            ("--no-store", no_store), ("--budget", budget), ("--tag", tag), ("--concurrency", concurrency),
            ("--max-questions-per-s", questions_per_s), ("--max-tokens-per-min", tokens_per_min),
            ("--max-tokens", max_tokens), ("--patience-s", patience_s), ("--progress", progress), ("--again", again),
            ("--rejects", rejects), ("--report", report), ("--json", json), ("--dry-run", dry_run),
        ]
    )  # fmt: skip
    become("reflect_bulk", [*given, "--", *map(str, sources or ())])
