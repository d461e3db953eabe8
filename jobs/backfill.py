"""Backfill: bulk retain of NDJSON transcripts into a bank, through its owner, resumable by running it again.

    ray job submit --working-dir . -- python -m jobs.backfill transcripts.ndjson --bank my-bank

Without Ray's job server, on the machine of a running server, `python -m jobs.backfill …` finds that by itself.
Every batch has an operation id made from its content, so that a second run does again only what the first one did not.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.attaching import run_attached
from jobs.transcripts import read_transcripts
from memory.commands import Item, Retain
from memory.errors import LorebankError
from memory.ids import Scope, point_id

if TYPE_CHECKING:
    from actors.client import BankClient

LOG_EVERY = 10
"""Batches between two lines of progress where the output is no terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 0 when everything is retained, 1 when something could not be, 2 on bad usage."""
    options = _parser().parse_args(argv)
    try:
        batches = list(read_transcripts(options.file, options.batch_documents))
        documents, chunks = run_attached(lambda client: _backfill(client, batches, options))
    except LorebankError as exc:
        print(f"backfill: {exc}", file=sys.stderr)
        return 1
    print(f"retained {documents} documents, {chunks} new chunks, in bank {options.bank}", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobs.backfill", description="Retain NDJSON transcripts in a bank.")
    parser.add_argument("file", type=Path, help="one JSON object a line: document_id and content or messages")
    parser.add_argument("--bank", required=True, help="the bank to fill; made if it does not exist")
    parser.add_argument("--tenant", default="default", help="tenant of the bank (default: %(default)s)")
    parser.add_argument("--batch-documents", type=int, default=16, help="documents a request (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=4, help="requests under way at once (default: %(default)s)")
    return parser


async def _backfill(
    client: "BankClient", batches: Sequence[list[Item]], options: argparse.Namespace
) -> tuple[int, int]:
    scope = Scope(options.tenant, options.bank)
    gate = asyncio.Semaphore(options.concurrency)
    documents = chunks = 0
    with _progress() as progress:
        task = progress.add_task("documents", total=sum(map(len, batches)))
        done = 0
        for finished in asyncio.as_completed([_retain(client, scope, batch, gate) for batch in batches]):
            size, added = await finished
            documents, chunks, done = documents + size, chunks + added, done + 1
            progress.advance(task, size)
            if not progress.console.is_terminal and done % LOG_EVERY == 0:
                print(f"{documents} documents retained", flush=True)
    return documents, chunks


async def _retain(client: "BankClient", scope: Scope, items: list[Item], gate: asyncio.Semaphore) -> tuple[int, int]:
    operation_id = point_id(scope, "backfill", repr(items))
    async with gate:
        receipt = await client.retain(scope, Retain(operation_id, tuple(items)))
    return len(items), 0 if receipt.replayed else sum(document.added for document in receipt.documents)


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


if __name__ == "__main__":
    sys.exit(main())
