"""Export: a bank or a whole tenant as Parquet files with a manifest and checksums, while the server goes on.

    python -m jobs.export out/ --bank ana
    python -m jobs.export out/ --tenant acme

Run again after a kill, it keeps the banks that are done and have not been written to since.
Exit codes: 0 everything is exported; 2 it is not, the line on stderr says what to do.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.attaching import run_attached
from jobs.bulk import guarded
from jobs.exporting import PAGE, export_bank
from jobs.progress_bar import bar
from jobs.report import counted, tell
from jobs.tables import MANIFEST, BankExport, Manifest, bank_directory, write_manifest
from memory.encoding import instant_to_text
from memory.errors import BadSettings, NotFound
from memory.ids import DEFAULT_TENANT, Scope
from memory.records import Head

if TYPE_CHECKING:
    from actors.client import BankClient

NAME = "export"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _main(options: argparse.Namespace) -> int:
    to = options.to
    if (to / MANIFEST).exists():
        raise BadSettings(f"{to} holds a finished export: give an empty or new directory")
    if to.is_dir() and any(path.name != "banks" for path in to.iterdir()):
        raise BadSettings(f"{to} holds other files: give an empty or new directory")

    async def attached(client: "BankClient") -> Manifest:
        return await export(client, options.tenant, options.bank, to)

    manifest = run_attached(attached)
    report = as_json(manifest, to)
    tell(report, sentences(report), as_json=options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank export", description="Write banks to Parquet files.")
    parser.add_argument("to", type=Path, help="empty or new directory")
    parser.add_argument("--bank", help="only this bank (default: all banks of the tenant)")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="tenant of the banks (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


async def export(client: "BankClient", tenant: str, bank: str | None, to: Path) -> Manifest:
    """Write one bank, or all of a tenant; the manifest, which is written last.

    Raises:
        NotFound: there is no such bank.
    """
    heads = await _heads(client, tenant, bank)
    banks: list[BankExport] = []
    (to / "banks").mkdir(parents=True, exist_ok=True)
    with bar(NAME, sum(head.counters.get("documents", 0) for _, head in heads), "documents") as shown:
        for name, head in heads:
            exported = await export_bank(client, Scope(tenant, name), head, to / "banks", shown.move)
            banks.append(exported)
    manifest = Manifest(tenant, instant_to_text(datetime.now(UTC)), tuple(banks))
    write_manifest(to, manifest)
    return manifest


async def _heads(client: "BankClient", tenant: str, bank: str | None) -> list[tuple[str, Head]]:
    if bank is not None:
        head = await client.find_head(Scope(tenant, bank))
        if head is None:
            raise NotFound(f"tenant {tenant!r} has no bank {bank!r}")
        return [(bank, head)]
    heads: list[tuple[str, Head]] = []
    while True:
        page = await client.list_banks(tenant, PAGE, len(heads))
        heads.extend(page.banks)
        if not page.banks or len(heads) >= page.total:
            return heads


def as_json(manifest: Manifest, to: Path) -> dict[str, Any]:
    """The report."""
    files = [file for bank in manifest.banks for table in bank.tables.values() for file in table]
    counts: dict[str, int] = {}
    for bank in manifest.banks:
        for table, rows in bank.counts.items():
            counts[table] = counts.get(table, 0) + rows
    return {
        "job": NAME, "tenant": manifest.tenant, "to": str(to), "banks": len(manifest.banks), "counts": counts,
        "files": len(files), "bytes": sum(file.size_bytes for file in files),
        "moving": [bank.bank for bank in manifest.banks if bank.moving],
        "directories": {bank.bank: bank_directory(bank.bank) for bank in manifest.banks},
    }  # fmt: skip


def sentences(report: dict[str, Any]) -> str:
    """The report in words."""
    counts = report["counts"]
    rows = f"{counts.get('documents', 0)} documents, {counts.get('chunks', 0)} chunks"
    files = f"{report['bytes']} bytes in {report['files']} files"
    said = [f"exported {counted(report['banks'], 'bank')} to {report['to']}: {rows}, {files}"]
    moved = "was written to all the time: its documents may not be of one moment"
    return "\n".join([*said, *(f"bank {bank} {moved}" for bank in report["moving"])])


if __name__ == "__main__":
    sys.exit(main())
