"""Verify: audit every invariant of the store, and repair what can be; exits non-zero on a breach.

    python -m jobs.verify --data DIR          a directory that no server has open
    python -m jobs.verify                     the server that runs on this machine, or at RAY_ADDRESS
    python -m jobs.verify --marks FILE        banks that were written to since the last run with this file
    ray job submit --working-dir . -- python -m jobs.verify

Exit codes: 0 everything was checked and is right (with --repair: is right now); 1 breaches are left, or a bank could
not be checked because it was written to all the time; 2 nothing could be checked, the line on stderr says what to do.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from actors.offline import OfflineStore
from actors.settings import load_settings
from jobs.attaching import run_attached
from jobs.auditing import Outcome, Source, Task, verify
from jobs.bulk import deployment_of
from jobs.options import positive_count
from jobs.progress_bar import bar
from jobs.report import tell
from jobs.verify_marks import read_marks, write_marks
from jobs.verify_report import as_json, show
from memory.errors import LorebankError
from memory.ids import DEFAULT_TENANT
from memory.spaces import Spaces

if TYPE_CHECKING:
    from actors.client import BankClient

EXIT_BREACH = 1
EXIT_OPERATOR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    try:
        outcome = _of_directory(options) if options.data else _of_deployment(options)
    except LorebankError as exc:
        print(f"verify: {exc}", file=sys.stderr)
        return EXIT_OPERATOR
    said = partial(show, outcome, Console(highlight=False))
    tell(as_json(outcome), said, as_json=options.json, file=options.report)
    return 0 if outcome.left.clean else EXIT_BREACH


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lorebank verify",
        description="Audit every invariant of the store. Exit code 0: all is right, 1: breaches, 2: nothing checked.",
    )
    parser.add_argument("--data", type=Path, help="a data directory no server runs on; left out: the running server")
    parser.add_argument("--bank", help="only this bank")
    parser.add_argument("--tenant", help=f"only this tenant's banks (with --bank: {DEFAULT_TENANT})")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended, then audit again")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument(
        "--vectors",
        choices=("all", "sample", "none"),
        default="sample",
        help="which sentence vectors to read; a sample is one in sixteen (default: %(default)s)",
    )
    parser.add_argument(
        "--marks", type=Path, help="file of banks that were right: those not written to since are left out, then noted"
    )
    parser.add_argument("--all", action="store_true", help="look at every bank, whatever --marks says of it")
    parser.add_argument("--report", type=Path, help="write the report to this file too, as JSON")
    parser.add_argument(
        "--concurrency", type=positive_count, default=4, help="banks looked at once (default: %(default)s)"
    )
    return parser


def _of_directory(options: argparse.Namespace) -> Outcome:
    """Holds the directory as a server would; one in use is refused."""
    with OfflineStore(load_settings(data=options.data)) as store:
        task = _task(options, str(options.data.absolute()), store.spaces(), live=False, dim=store.dim)
        return asyncio.run(_verified(store, task, options, str(options.data.absolute())))


def _of_deployment(options: argparse.Namespace) -> Outcome:
    async def run(client: "BankClient") -> Outcome:
        deployment = deployment_of(client.settings)
        spaces = await client.reembedding.spaces()
        task = _task(options, deployment, spaces, live=True, dim=client.settings.embedding_dim)
        return await _verified(client, task, options, deployment)

    return run_attached(run)


def _task(options: argparse.Namespace, deployment: str, spaces: Spaces, *, live: bool, dim: int | None) -> Task:
    """`dim`: of the model that is asked, unless another was taken since."""
    tenant = options.tenant if options.bank is None else options.tenant or DEFAULT_TENANT
    known = read_marks(options.marks, deployment, options.vectors) if options.marks and not options.all else {}
    asked = spaces.model(spaces.active)
    length = asked.dim if asked else dim
    return Task(tenant, options.bank, options.vectors, length, spaces.active, live, options.concurrency, known)


async def _verified(source: Source, task: Task, options: argparse.Namespace, deployment: str) -> Outcome:
    with bar("verify", None, "banks") as shown:
        outcome = await verify(source, task, repair=options.repair, advance=shown.at)
    if options.marks:
        others = {scope: mark for scope, mark in task.known.items() if not task.covers(scope)}
        write_marks(options.marks, deployment, options.vectors, {**others, **outcome.found.marks, **outcome.left.marks})
    return outcome


if __name__ == "__main__":
    sys.exit(main())
