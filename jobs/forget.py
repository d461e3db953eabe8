"""Forget: what a person asks for is written to Parquet files, checked, then deleted, by one command.

    python -m jobs.forget out/ --bank ana                     a bank with all it holds
    python -m jobs.forget out/ --user ana@example.org         every bank whose scope names the user
    python -m jobs.forget out/ --bank ana --document letter   documents, with all that was derived from them
    python -m jobs.forget out/ --bank ana --tag private

Run again after a kill, with the same directory, it goes on. What was written to after it was exported is not deleted.
Exit codes: 0 all of it is gone; 1 some changed meanwhile and stays: ask again with another directory; 2 nothing more
could be done, the line on stderr says what to do.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.attaching import run_attached
from jobs.bulk import guarded
from jobs.forgetting import Forgotten, Selection, begin, begun, forget, select
from jobs.leftovers import Scan, scan
from jobs.options import patience
from jobs.progress_bar import bar
from jobs.report import counted, tell
from memory.errors import BadSettings
from memory.ids import DEFAULT_TENANT

if TYPE_CHECKING:
    from actors.client import BankClient

NAME = "forget"
EXIT_CHANGED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank forget", description="Export on a person's request, then delete.")
    parser.add_argument("to", type=Path, help="empty or new directory for what is exported")
    parser.add_argument("--bank", help="this bank, or documents of it")
    parser.add_argument("--user", help="every bank whose scope names this user")
    parser.add_argument("--document", action="append", default=[], help="a document of the bank; may be repeated")
    parser.add_argument("--tag", action="append", default=[], help="documents with this tag; may be repeated")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="tenant of the banks (default: %(default)s)")
    parser.add_argument("--yes", action="store_true", help="delete without being asked again")
    parser.add_argument("--dry-run", action="store_true", help="say what would be exported and deleted")
    parser.add_argument(
        "--patience-s", type=patience, default=300.0, help="how long nothing may be taken (default: 300)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _main(options: argparse.Namespace) -> int:
    if options.user and (options.bank or options.document or options.tag):
        raise BadSettings("--user names banks by their scope: leave --bank, --document and --tag out")
    if not (options.yes or options.dry_run):
        raise BadSettings("what is exported is deleted for good then: say --yes, or --dry-run to see what")

    async def attached(client: "BankClient") -> dict[str, Any]:
        return await run(client, options)

    report = run_attached(attached)
    tell(report, "\n".join(sentences(report)), as_json=options.json)
    return EXIT_CHANGED if report.get("changed") else 0


async def run(client: "BankClient", options: argparse.Namespace) -> dict[str, Any]:
    """Do it; the report.

    Raises:
        LorebankError: nothing, or nothing more, could be done.
    """
    selection = begun(options.to)
    if selection is None:
        chosen = (options.bank, options.user, options.document, options.tag)
        selection = await select(client, options.tenant, *chosen)
    if options.dry_run:
        return {"job": NAME, "dry_run": True, **selection.as_json()}
    begin(options.to, selection)
    total = len(selection.banks if selection.documents is None else selection.documents)
    unit = "banks" if selection.documents is None else "documents"
    with bar(NAME, total, unit) as shown:
        done = await forget(client, selection, options.to, options.patience_s, shown.move)
    return as_json(selection, done, await _scans(client, selection), options.to)


async def _scans(client: "BankClient", selection: Selection) -> Scan | None:
    if selection.documents is not None:
        return None
    found = Scan()
    for bank in selection.banks:
        one = await scan(client, selection.tenant, bank)
        found.banks |= one.banks
        found.strays, found.addresses = found.strays + one.strays, found.addresses + one.addresses
        found.spent_today += one.spent_today
    return found


def as_json(selection: Selection, done: Forgotten, found: Scan | None, to: Path) -> dict[str, Any]:
    """The report."""
    deleted = done.deleted
    return {
        "job": NAME, "dry_run": False, **selection.as_json(), "to": str(to), "exported_bytes": done.exported,
        "deleted": {"banks": deleted.banks, "documents": deleted.documents, "units": deleted.units},
        "gone": done.gone, "changed": done.changed, "scan": found.as_json() if found else None,
        "said": found.sentences() if found else [],
    }  # fmt: skip


def sentences(report: dict[str, Any]) -> list[str]:
    """The report in words."""
    documents = report["documents"]
    names = documents if documents is not None else report["banks"]
    what = "document" if documents is not None else "bank"
    if report["dry_run"]:
        return [f"would export and delete {counted(len(names), what)}: {', '.join(names)}"]
    deleted = report["deleted"]
    said = [
        f"exported to {report['to']}: {report['exported_bytes']} bytes, checksums are right",
        f"deleted {counted(deleted['documents'], 'document')}, {counted(deleted['units'], 'memory')}",
        *(f"  gone: {what} {name}" for name in report["gone"]),
        *(f"  not deleted, for it changed meanwhile: {what} {name}" for name in report["changed"]),
    ]
    return [*said, *report["said"]]


if __name__ == "__main__":
    sys.exit(main())
