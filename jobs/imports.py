"""Import: an export into this or another bank or tenant, or what a Hindsight or a Mem0 server holds.

    python -m jobs.imports out/                                     an export of lorebank
    python -m jobs.imports out/ --tenant other --bank copy
    python -m jobs.imports --from hindsight http://old:8888 --bank ana
    python -m jobs.imports --from hindsight transfer.zip
    python -m jobs.imports --from mem0 memories.json
    python -m jobs.imports --from mem0 https://api.mem0.ai --api-key KEY

Run again after a kill, it does what is left; what a bank has already is not written again.
Exit codes: 0 everything is stored; 1 some documents are not, the rejects file says which and why; 2 nothing more could
be done, the line on stderr says what to do.
"""

import argparse
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.batching import Batch, cut_batches
from jobs.bulk import Files, Work, add_options, finish, guarded, run_bulk, sentence
from jobs.foreign import ForeignApi
from jobs.hindsight import HindsightServer, read_archive
from jobs.importing import import_profile, is_same, read_documents
from jobs.mem0 import read_export, read_server
from jobs.parts import Gathered, Reject
from jobs.report import counted
from jobs.restoring import BankRestorer, Sending
from jobs.tables import BankExport, check, read_manifest
from memory.errors import Unprocessable
from memory.ids import DEFAULT_TENANT, Scope

if TYPE_CHECKING:
    from actors.client import BankClient

NAME = "import"
LOREBANK, HINDSIGHT, MEM0 = "lorebank", "hindsight", "mem0"
BATCH_DOCUMENTS = 64
Read = Callable[[], Generator[Gathered | Reject, None, None]]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _main(options: argparse.Namespace) -> int:
    with ExitStack() as held:
        work = work_of(options, held)
        if options.dry_run:
            return _dry_run(work, options)
        report = run_bulk(work, options)
    where = f"in {counted(report['banks'], 'bank')}"
    return finish({**report, "from": options.kind, "tenant": work.run["tenant"]}, options, sentence(report, where))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank import", description="Take over banks from elsewhere.")
    parser.add_argument("source", help="directory of an export, URL of a server, or file")
    parser.add_argument(
        "--from", dest="kind", choices=(LOREBANK, HINDSIGHT, MEM0), default=LOREBANK, help="what the source is"
    )
    parser.add_argument("--bank", help="bank to write to (default: of the same name)")
    parser.add_argument("--only", help="only this bank of the source (default: all)")
    parser.add_argument("--tenant", help="tenant to write to (default: that of the export, else default)")
    parser.add_argument("--api-key", default=os.environ.get("LOREBANK_IMPORT_API_KEY"), help="key of the other server")
    add_options(parser)
    return parser


def work_of(options: argparse.Namespace, held: ExitStack) -> Work:
    """What is to be sent; connections are closed with `held`.

    Raises:
        LorebankError: the source cannot be used.
    """
    if options.kind == LOREBANK:
        return _of_export(Path(options.source), options)
    if options.kind == HINDSIGHT:
        return _of_hindsight(options, held)
    return _of_mem0(options, held)


def _of_export(directory: Path, options: argparse.Namespace) -> Work:
    manifest = read_manifest(directory)
    banks = [bank for bank in manifest.banks if options.only in {None, bank.bank}]
    if not banks:
        raise Unprocessable(f"{directory} has no bank {options.only!r}; it has: {_names(manifest.banks)}")
    if options.bank and len(banks) > 1:
        raise Unprocessable(f"{directory} has {len(banks)} banks ({_names(banks)}): choose one with --only")
    tenant = options.tenant or manifest.tenant
    for bank in banks:
        check(directory / "banks", bank)

    def read() -> Generator[Gathered | Reject, None, None]:
        for bank in banks:
            yield from read_documents(directory / "banks", bank, options.bank or bank.bank)

    async def prepare(client: "BankClient") -> None:
        for bank in banks:
            await import_profile(client, Scope(tenant, options.bank or bank.bank), bank.profile)

    async def restore(sending: Sending) -> None:
        for bank in banks:
            source, target = Scope(manifest.tenant, bank.bank), Scope(tenant, options.bank or bank.bank)
            await BankRestorer(sending, directory / "banks", bank, source, target).restore()

    total = sum(bank.counts.get("chunks", 0) for bank in banks)
    work = _work(options, str(directory.absolute()), tenant, read, total=total, prepare=prepare)
    texts_alone = any(bank.highest_seq is None for bank in banks)
    return work if texts_alone else replace(work, prepare=None, restore=restore)


def _of_hindsight(options: argparse.Namespace, held: ExitStack) -> Work:
    tenant = options.tenant or DEFAULT_TENANT
    if not _is_url(options.source):
        path = Path(options.source)
        return _work(options, str(path.absolute()), tenant, lambda: read_archive(path, options.bank))
    headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    server = HindsightServer(held.enter_context(ForeignApi(options.source, headers, options.patience_s)))
    banks = [options.only] if options.only else server.list_banks()
    if options.bank and len(banks) > 1:
        raise Unprocessable(f"{options.source} has {len(banks)} banks: choose one with --only")
    profiles = {bank: server.read_profile(bank) for bank in banks}

    def read() -> Generator[Gathered | Reject, None, None]:
        for bank in banks:
            yield from server.read_documents(bank, options.bank or bank)

    async def prepare(client: "BankClient") -> None:
        for bank, profile in profiles.items():
            await import_profile(client, Scope(tenant, options.bank or bank), profile)

    return _work(options, options.source, tenant, read, prepare=prepare)


def _of_mem0(options: argparse.Namespace, held: ExitStack) -> Work:
    tenant = options.tenant or DEFAULT_TENANT
    if not _is_url(options.source):
        path = Path(options.source)
        if not path.is_file():
            raise Unprocessable(f"{path}: no such file")
        return _work(options, str(path.absolute()), tenant, lambda: read_export(path, options.bank))
    key = options.api_key
    headers = {"Authorization": f"Token {key}", "X-API-Key": key} if key else {}
    api = held.enter_context(ForeignApi(options.source, headers, options.patience_s))
    return _work(options, options.source, tenant, lambda: read_server(api, options.bank))


def _work(
    options: argparse.Namespace,
    source: str,
    tenant: str,
    read: Read,
    *,
    total: int | None = None,
    prepare: "Callable[[BankClient], Any] | None" = None,
) -> Work:
    def batches(files: Files) -> Generator[Batch | Reject, None, None]:
        del files
        return cut_batches(read(), tenant, BATCH_DOCUMENTS)

    run = {"from": options.kind, "source": source, "only": options.only, "bank": options.bank, "tenant": tenant}
    return Work(NAME, run, batches, total, is_same, prepare)


def _dry_run(work: Work, options: argparse.Namespace) -> int:
    """Read everything, from the first to the last document."""
    documents = turns = rejects = 0
    banks: set[str] = set()
    for read in work.batches(Files(Path(), Path())):
        if isinstance(read, Reject):
            rejects += 1
            print(f"{read.origin.file} {read.origin.row}: {read.reason}", file=sys.stderr)
        else:
            documents, turns = documents + len(read.documents), turns + read.turns
            banks.add(read.scope.bank)
    report = {
        "job": NAME, "dry_run": True, "from": options.kind, "tenant": work.run["tenant"], "banks": len(banks),
        "documents": {"found": documents}, "turns": {"found": turns}, "rejects": rejects,
    }  # fmt: skip
    said = (
        f"would import {documents} documents, {turns} pieces, into {counted(len(banks), 'bank')};"
        f" {rejects} cannot be stored"
    )
    return finish(report, options, said)


def _names(banks: Sequence[BankExport]) -> str:
    return ", ".join(bank.bank for bank in banks)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


if __name__ == "__main__":
    sys.exit(main())
