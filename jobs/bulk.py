"""What bulk jobs have in common: their options, where they keep their progress, and the report."""

import argparse
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.attaching import run_attached
from jobs.batching import Batch
from jobs.options import patience, positive_count, positive_number
from jobs.pace import Pace
from jobs.parts import Reject
from jobs.progress_bar import Bar, bar
from jobs.progress_file import ProgressFile
from jobs.report import counted, tell
from jobs.restoring import Restored, Sending
from jobs.sending import RejectsFile, Same, Sender, Tally
from memory.errors import BadSettings, LorebankError, RetryLater
from memory.ids import digest

if TYPE_CHECKING:
    from actors.client import BankClient
    from actors.settings import Settings

EXIT_REJECTS = 1
EXIT_OPERATOR = 2
EXIT_INTERRUPTED = 130


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that every job which writes to banks has."""
    parser.add_argument(
        "--concurrency", type=positive_count, default=4, help="calls under way at once (default: %(default)s)"
    )
    parser.add_argument(
        "--max-items-per-s", type=positive_number, help="most turns a second, for work beside live traffic"
    )
    parser.add_argument("--progress", type=Path, help="progress file; the default's name is made from what is read")
    parser.add_argument("--again", action="store_true", help="forget the progress file and begin anew")
    parser.add_argument("--rejects", type=Path, help="NDJSON of rows not stored (default: beside the progress file)")
    parser.add_argument(
        "--patience-s", type=patience, default=300.0, help="how long a bank may take nothing (default: 300)"
    )
    parser.add_argument("--report", type=Path, help="write the report to this file too, as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--dry-run", action="store_true", help="read and check everything, store nothing")


@dataclass(frozen=True, slots=True)
class Work:
    """What a job is to send. `run` tells it from other runs; `total` are its turns, where they are known."""

    name: str
    run: Mapping[str, Any]
    batches: "Callable[[Files], Generator[Batch | Reject, None, None]]"
    total: int | None = None
    same: Same | None = None
    prepare: "Callable[[BankClient], Awaitable[None]] | None" = None
    """Done before anything is sent, on every run."""
    restore: "Callable[[Sending], Awaitable[None]] | None" = None
    """Sends everything in place of the batches."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run keeps what must outlive it, and what it spills."""

    progress: Path
    rejects: Path

    @property
    def spill(self) -> Path:
        """A directory of this run alone."""
        return self.progress.with_name(self.progress.name + ".spill")


def files_of(work: Work, options: argparse.Namespace) -> Files:
    """The files named by options, else names in the working directory made from what is read."""
    stem = f"{work.name}-{digest(repr(sorted(work.run.items()))).hex()[:8]}"
    progress = options.progress or Path(f"{stem}.progress.ndjson")
    return Files(progress, options.rejects or progress.with_name(_base(progress) + ".rejects.ndjson"))


def _base(progress: Path) -> str:
    return progress.name.removesuffix(".ndjson").removesuffix(".progress")


def run_bulk(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    """Send everything through the deployment that runs; the report.

    Raises:
        LorebankError: no server runs, or it took nothing any more; what was done is kept.
    """

    async def attached(client: "BankClient") -> dict[str, Any]:
        return await send_bulk(client, work, options, deployment_of(client.settings))

    return run_attached(attached)


def deployment_of(settings: "Settings") -> str:
    """What tells one deployment's store from another's."""
    return (settings.qdrant_url and f"{settings.qdrant_url} {settings.qdrant_prefix}") or str(settings.data.absolute())


async def send_bulk(client: "BankClient", work: Work, options: argparse.Namespace, deployment: str) -> dict[str, Any]:
    """As `run_bulk`, to a client that is there."""
    files, started_s = files_of(work, options), time.monotonic()
    progress = ProgressFile(files.progress, {**work.run, "deployment": deployment}, again=options.again)
    rejects = RejectsFile(files.rejects)
    tally: Tally | None = None
    restored: Restored | None = None
    try:
        beside = "{documents} documents, {rejects} rejects"
        with bar(work.name, work.total, "turns", beside, documents=0, rejects=0) as shown:
            advance = _moving(shown)
            sender = Sender(
                client,
                progress,
                rejects,
                concurrency=options.concurrency,
                items_per_s=options.max_items_per_s,
                patience_s=options.patience_s,
                same=work.same,
                advance=advance,
            )
            tally = sender.tally
            if work.prepare is not None:
                await work.prepare(client)
            if work.restore is not None:
                pace, concurrency = Pace(options.max_items_per_s), options.concurrency
                sending = Sending(client, progress, rejects, tally, pace, concurrency, options.patience_s, advance)
                restored = sending.restored
                await work.restore(sending)
            else:
                await sender.send(work.batches(files))
    except (LorebankError, OSError, BaseExceptionGroup) as exc:
        raise only_error(exc) from None
    finally:
        progress.close()
        rejects.close()
    seconds = time.monotonic() - started_s
    return {
        "job": work.name,
        "dry_run": False,
        **tally.as_json(),
        **({"restored": asdict(restored)} if restored is not None else {}),
        "progress_file": str(files.progress),
        "rejects_file": str(files.rejects) if rejects.rows else None,
        "first_rejects": rejects.first,
        "seconds": round(seconds, 3),
        "turns_per_s": round(tally.turns / seconds, 1) if seconds else None,
    }


def only_error(exc: BaseException) -> BaseException:
    """What a job says of an error: the first one of a group, unless something in it is nobody's fault but ours."""
    errors = list(_leaves(exc))
    if not all(isinstance(error, (LorebankError, OSError)) for error in errors):
        return exc
    if isinstance(errors[0], OSError):
        return BadSettings(f"a file cannot be written or read: {errors[0]}")
    return errors[0]


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for inner in exc.exceptions:
            yield from _leaves(inner)
    else:
        yield exc


def _moving(shown: Bar) -> Callable[[Tally, int], None]:
    def advance(tally: Tally, turns: int) -> None:
        shown.move(turns, documents=tally.documents_done, rejects=tally.rejects)

    return advance


def finish(report: Mapping[str, Any], options: argparse.Namespace, said: str) -> int:
    """Print and file the report; the exit code."""
    tell(report, said, as_json=options.json, file=options.report)
    return EXIT_REJECTS if report["rejects"] else 0


def rejected(report: Mapping[str, Any]) -> list[str]:
    """What is said of rows that are not stored."""
    if not report["rejects"]:
        return []
    said = f"{counted(report['rejects'], 'row')} not stored, {report['rejects_file']} says why:"
    return [said, *(f"  {line}" for line in report["first_rejects"])]


def sentence(report: Mapping[str, Any], where: str) -> str:
    """The report in words."""
    documents, turns = report["documents"], report["turns"]
    lines = [
        (
            f"retained {documents['retained']} documents, {report['chunks_added']} new chunks, {where}:"
            f" {turns['retained']} turns in {report['seconds']:.1f} s"
        )
    ]
    if documents["there_already"]:
        lines.append(f"{counted(documents['there_already'], 'document')} were there already")
    if documents["retained_before"]:
        lines.append(
            f"{documents['retained_before']} documents were retained before ({report['progress_file']});"
            " --again sends them once more"
        )
    if restored := report.get("restored"):
        lines.append(f"with {restored['derived']} facts and other derived memories, {restored['records']} records")
        if restored["replaced"]:
            said = f"{counted(restored['replaced'], 'document')} that the bank has otherwise became those of the export"
            lines.append(f"{said}; facts of them are found anew")
    lines += rejected(report)
    return "\n".join(lines)


def guarded(name: str, work: Callable[[], int]) -> int:
    """Exit code of a job: what goes wrong is one line on stderr that says what to do."""
    try:
        return work()
    except RetryLater as exc:
        print(f"{name}: {exc}; what is done is kept: run the same command again to go on", file=sys.stderr)
    except LorebankError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
    except OSError as exc:
        print(f"{name}: a file cannot be written or read: {exc}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{name}: stopped; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_OPERATOR
