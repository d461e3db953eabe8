"""Tenant: delete a tenant with all its banks, or look for what is left of one, or of a bank.

    python -m jobs.tenant delete NAME --yes
    python -m jobs.tenant scan NAME
    python -m jobs.tenant scan NAME --bank ana
    python -m jobs.tenant scan NAME --data DIR       a directory that no server has open

A delete that was killed is finished by running it again. Exit codes: 0 nothing is left of what was held; 1 something
is; 2 nothing could be done, the line on stderr says what to do.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.offline import OfflineStore
from actors.settings import load_settings
from jobs.attaching import run_attached
from jobs.bulk import guarded
from jobs.deleting import Deleted, delete_tenant
from jobs.leftovers import Scan, scan
from jobs.options import patience
from jobs.progress_bar import bar
from jobs.report import counted, tell
from memory.errors import BadSettings

if TYPE_CHECKING:
    from actors.client import BankClient

NAME = "tenant"
EXIT_LEFT = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank tenant", description="Delete a tenant, or look for what is left.")
    parser.add_argument("what", choices=("delete", "scan"))
    parser.add_argument("tenant", help="name of the tenant")
    parser.add_argument("--bank", help="only this bank (scan)")
    parser.add_argument("--data", type=Path, help="a data directory no server runs on (scan)")
    parser.add_argument("--yes", action="store_true", help="delete without being asked again")
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted")
    parser.add_argument(
        "--patience-s", type=patience, default=300.0, help="how long nothing may be taken (default: 300)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _main(options: argparse.Namespace) -> int:
    if options.what == "scan":
        found = _scanned(options)
        return _told({"job": NAME, "scan": found.as_json()}, [], found, options)
    if options.data or options.bank:
        raise BadSettings("a tenant is deleted whole, by the server that runs: leave --bank and --data out")
    if options.dry_run:
        return run_attached(lambda client: _dry_run(client, options))
    if not options.yes:
        raise BadSettings(f"this deletes every bank of tenant {options.tenant!r} for good: say --yes")

    async def attached(client: "BankClient") -> tuple[Deleted, Scan]:
        total = (await client.list_banks(options.tenant, 1, 0)).total
        with bar(NAME, total, "banks") as shown:
            deleted = await delete_tenant(client, options.tenant, options.patience_s, shown.move)
        return deleted, await scan(client, options.tenant)

    deleted, found = run_attached(attached)
    report = {
        "job": NAME, "tenant": options.tenant,
        "deleted": {"banks": deleted.banks, "documents": deleted.documents, "units": deleted.units},
        "scan": found.as_json(),
    }  # fmt: skip
    said = (
        f"deleted {counted(deleted.banks, 'bank')} of tenant {options.tenant}:"
        f" {counted(deleted.documents, 'document')}, {counted(deleted.units, 'memory')}"
    )
    return _told(report, [said], found, options)


def _scanned(options: argparse.Namespace) -> Scan:
    if options.data is None:
        return run_attached(lambda client: scan(client, options.tenant, options.bank))
    with OfflineStore(load_settings(data=options.data)) as store:
        return asyncio.run(scan(store, options.tenant, options.bank))


async def _dry_run(client: "BankClient", options: argparse.Namespace) -> int:
    page = await client.list_banks(options.tenant, 1000, 0)
    units = sum(head.counters.get("units", 0) for _, head in page.banks)
    print(
        f"would delete {counted(page.total, 'bank')} of tenant {options.tenant}, {counted(units, 'memory')}", flush=True
    )
    return 0


def _told(report: dict[str, Any], said: list[str], found: Scan, options: argparse.Namespace) -> int:
    tell(report, "\n".join([*said, *found.sentences()]), as_json=options.json)
    return 0 if found.clean else EXIT_LEFT


if __name__ == "__main__":
    sys.exit(main())
