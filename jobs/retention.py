"""Retention: let go of what banks' rules are past, now and not when each bank's owner comes to it.

    python -m jobs.retention --dry-run                 how much is past its time
    python -m jobs.retention --tenant acme
    python -m jobs.retention --bank ana --archive old/ written to Parquet files first

What is past its time is hidden from every reader already. A run that was killed is finished by running it again.
Exit codes: 0 all of it is gone; 1 some stays, for its bank wants it archived and there is no --archive; 2 nothing more
could be done, the line on stderr says what to do.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.attaching import run_attached
from jobs.bulk import guarded
from jobs.options import patience, positive_number
from jobs.pace import Pace
from jobs.progress_bar import bar
from jobs.report import counted, tell
from jobs.retaining import Run
from memory.ids import DEFAULT_TENANT

if TYPE_CHECKING:
    from actors.client import BankClient

NAME = "retention"
EXIT_LEFT = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank retention", description="Let go of what is past its time.")
    parser.add_argument("--bank", help="only this bank (default: all banks of the tenant)")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="tenant of the banks (default: %(default)s)")
    parser.add_argument("--archive", type=Path, help="directory to write what goes to, as Parquet files")
    parser.add_argument("--max-items-per-s", type=positive_number, help="most memories a second, beside live traffic")
    parser.add_argument(
        "--patience-s", type=patience, default=300.0, help="how long nothing may be taken (default: 300)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what is past its time, let go of nothing")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _main(options: argparse.Namespace) -> int:
    async def attached(client: "BankClient") -> dict[str, Any]:
        return await run(client, options)

    report = run_attached(attached)
    tell(report, "\n".join(sentences(report)), as_json=options.json)
    left = not options.dry_run and any(bank["left_for_archive"] for bank in report["banks"])
    return EXIT_LEFT if left else 0


async def run(client: "BankClient", options: argparse.Namespace) -> dict[str, Any]:
    """Do it; the report."""
    pace = Pace(options.max_items_per_s)
    work = Run(client, options.tenant, pace, options.patience_s, options.archive, options.dry_run)
    total = 1 if options.bank else (await client.list_banks(options.tenant, 1, 0)).total
    with bar(NAME, total, "banks") as shown:
        await work.all(options.bank, shown.move)
    return {
        "job": NAME, "dry_run": options.dry_run, "tenant": options.tenant, "banks_looked_at": work.looked_at,
        "banks": [asdict(bank) for bank in work.banks],
    }  # fmt: skip


def sentences(report: dict[str, Any]) -> list[str]:
    """The report in words."""
    banks = report["banks"]
    said = [
        f"looked at {counted(report['banks_looked_at'], 'bank')}, {len(banks)} of them with something past its time"
    ]
    for bank in banks:
        found = ", ".join(counted(count, kind) for kind, count in sorted(bank["found"].items()))
        if report["dry_run"]:
            said.append(f"  {bank['bank']}: would let go of {found}")
        elif bank["left_for_archive"]:
            said.append(f"  {bank['bank']}: {found} wait to be archived: give --archive DIR")
        else:
            went = f"{counted(bank['chunks'], 'chunk')} and {bank['derived']} derived, with them"
            went = f"{went} {counted(bank['documents'], 'document')} as a whole"
            archived = f", written to {bank['archive']}" if bank["archive"] else ""
            said.append(f"  {bank['bank']}: let go of {went}{archived}")
    return said


if __name__ == "__main__":
    sys.exit(main())
