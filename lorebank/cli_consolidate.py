"""Command `consolidate`: has a bank's observations made, or, as a job, those of all banks."""

import time
from typing import Annotated

import typer

from lorebank.cli_jobs import (
    AgainOption,
    ConcurrencyOption,
    ProgressOption,
    ReportOption,
    TenantOption,
    become,
    flags,
)
from lorebank.cli_output import DEFAULT, JsonOption, KeyOption, UrlOption, answer, fail, session

POLL_S = 0.5
ENDED = frozenset({"completed", "failed", "cancelled", "not_found"})


def consolidate(
    bank: Annotated[str | None, typer.Argument(help="The bank.", show_default=False)] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Only facts with this tag; repeat for more that they have to have."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All banks of a tenant, or of all: as a job.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", help="Seconds to wait for the end.", min=0)] = 60.0,
    tenant: TenantOption = None,
    concurrency: ConcurrencyOption = None,
    rate: Annotated[
        float | None, typer.Option("--max-banks-per-s", help="Most banks begun a second, with --all.")
    ] = None,
    facts_rate: Annotated[
        float | None, typer.Option("--max-facts-per-s", help="Most facts of banks begun a second, with --all.")
    ] = None,
    bank_seconds: Annotated[
        float | None,
        typer.Option(help="How long one bank may take before it is left, with --all.  [default: 3600]"),
    ] = None,
    priority: Annotated[
        str | None,
        typer.Option(
            help="Which banks first, with --all: lag (the most facts that wait), oldest, name.  [default: lag]"
        ),
    ] = None,
    progress: ProgressOption = None,
    again: AgainOption = False,
    report: ReportOption = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Make what several facts come to into observations: by the language model where there is one, else by rules."""
    if every:
        if bank is not None or tag:
            raise fail("give a bank, whose facts may be chosen by --tag, or --all")
        given = [
            ("--tenant", tenant),
            ("--concurrency", concurrency),
            ("--max-banks-per-s", rate),
            ("--max-facts-per-s", facts_rate),
            ("--bank-seconds", bank_seconds),
            ("--priority", priority),
            ("--progress", progress),
            ("--again", again),
            ("--report", report),
        ]
        become("consolidate", flags([*given, ("--json", json)]))
    if bank is None:
        raise fail("give a bank, or --all")
    with session(url, api_key) as client:
        operation = client.observations.consolidate(bank, [tag] if tag else None).operation_id
        until_s = time.monotonic() + wait_s
        found = client.get_operation(bank, operation)
        while found.status not in ENDED and time.monotonic() < until_s:
            time.sleep(min(POLL_S, max(until_s - time.monotonic(), 0)))
            found = client.get_operation(bank, operation)
        listed = client.observations.list(bank, limit=1)
    answer(found, f"{found.status}: {listed.total} observations (operation {operation})", json=json)
