"""Bulk reflection: many questions to many banks, and the refresh of stale mental models; goes on after a kill.

    python -m jobs.reflect_bulk questions.ndjson --bank ana --out answers.ndjson
    python -m jobs.reflect_bulk 'asked/*.parquet' --max-questions-per-s 2 --max-tokens 500000
    python -m jobs.reflect_bulk --stale --tenant acme
    ray job submit --working-dir . -- python -m jobs.reflect_bulk --stale

Answers are kept in their banks under ids made of what was asked: run again, what was answered is not asked again.

Exit codes: 0 all is done; 1 some questions or models are not, the report says which and why; 2 nothing more could be
done, the line on stderr says what to do.
"""

import argparse
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from jobs.asking import Asker, Caps, Tally
from jobs.attaching import run_attached
from jobs.bulk import deployment_of, finish, guarded, only_error
from jobs.options import patience, positive_count, positive_number
from jobs.parts import Reject
from jobs.progress_bar import Bar, bar
from jobs.progress_file import ProgressFile
from jobs.questions import Asked, Reading
from jobs.report import counted
from jobs.sending import RejectsFile
from jobs.stale_models import stale_models
from jobs.whole_files import written_whole
from memory.errors import Unprocessable
from memory.ids import DEFAULT_TENANT, Scope, digest
from memory.mental_models import MentalModel

if TYPE_CHECKING:
    from actors.client import BankClient

NAME = "reflect-bulk"
SAMPLES = 3
"""Questions that a dry run shows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lorebank reflect-bulk", description="Ask many questions, or refresh stale mental models."
    )
    parser.add_argument("sources", nargs="*", help="files of questions, directories and globs")
    parser.add_argument("--stale", action="store_true", help="refresh mental models whose evidence has moved")
    parser.add_argument("--bank", help="bank of questions that name none; with --stale: only this one")
    parser.add_argument("--tenant", default=DEFAULT_TENANT, help="tenant of the banks (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="NDJSON file of the answers, written when all is done")
    parser.add_argument("--run", default="", help="a name: under another one the same questions are asked anew")
    parser.add_argument("--no-store", action="store_true", help="keep answers in the progress file only")
    parser.add_argument("--budget", choices=("low", "mid", "high"), default="low", help="of questions that say none")
    parser.add_argument("--tag", action="append", default=[], help="tag of questions that have none; repeat for more")
    parser.add_argument(
        "--concurrency", type=positive_count, default=4, help="questions at once (default: %(default)s)"
    )
    parser.add_argument(
        "--max-questions-per-s", type=positive_number, help="most questions and refreshes begun in a second"
    )
    parser.add_argument(
        "--max-tokens-per-min", type=positive_number, help="most tokens of the language model in a minute"
    )
    parser.add_argument("--max-tokens", type=positive_count, help="begin nothing more once so many tokens are spent")
    parser.add_argument(
        "--patience-s", type=patience, default=300.0, help="how long to wait for one part (default: 300)"
    )
    parser.add_argument("--progress", type=Path, help="progress file; the default's name is made from what is asked")
    parser.add_argument("--again", action="store_true", help="forget the progress file and begin anew")
    parser.add_argument("--rejects", type=Path, help="NDJSON of rows that are no question")
    parser.add_argument("--report", type=Path, help="write the report to this file too, as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--dry-run", action="store_true", help="read and check everything, ask nothing")
    return parser


def _main(options: argparse.Namespace) -> int:
    if not options.sources and not options.stale:
        raise Unprocessable("give files of questions, or --stale")
    reading = _reading(options)
    samples: list[dict[str, str]] = []
    total, banks, rows = 0, set[str](), 0
    for asked in reading.questions() if options.sources else ():
        if isinstance(asked, Reject):
            rows += 1
            continue
        total += 1
        banks.add(asked.scope.bank)
        if len(samples) < SAMPLES:
            samples.append({"bank": asked.scope.bank, "id": asked.key, "question": asked.question.query[:120]})
    if options.dry_run:
        found = {"questions": total, "banks": len(banks), "rejects": rows, "samples": samples}
        return _dry_run(options, found)
    report = run_attached(lambda client: reflect_all(client, reading, options, total))
    return finish(report, options, sentence(report))


def _reading(options: argparse.Namespace) -> Reading:
    given: dict[str, Any] = {"budget": options.budget, **({"tags": options.tag} if options.tag else {})}
    return Reading(tuple(options.sources), options.tenant, options.bank, options.run, given)


def _dry_run(options: argparse.Namespace, found: Mapping[str, Any]) -> int:
    """What would be asked and refreshed; only the latter needs the deployment."""

    async def count(client: "BankClient") -> int:
        return sum([1 async for _ in stale_models(client, options.tenant, options.bank)])

    stale = run_attached(count) if options.stale else 0
    report = {"job": NAME, "dry_run": True, "tenant": options.tenant, **found, "stale_models": stale}
    lines = []
    if options.sources:
        lines.append(f"would ask {counted(found['questions'], 'question')} of {counted(found['banks'], 'bank')}")
    lines += [f"  {sample['bank']}: {sample['question']}" for sample in found["samples"]]
    if found["rejects"]:
        lines.append(f"{counted(found['rejects'], 'row')} would be rejected")
    if options.stale:
        lines.append(f"would refresh {counted(stale, 'mental model')}")
    return finish(report, options, "\n".join(lines))


async def reflect_all(
    client: "BankClient", reading: Reading, options: argparse.Namespace, total: int
) -> dict[str, Any]:
    """Ask and refresh everything through a deployment; the report.

    Raises:
        LorebankError: the deployment, or its language model, does not answer; what was done is kept.
    """
    run = _run_of(reading, options)
    stem = f"{NAME}-{digest(repr(sorted(run.items()))).hex()[:8]}"
    path = options.progress or Path(f"{stem}.progress.ndjson")
    started_s = time.monotonic()
    progress = ProgressFile(path, {**run, "deployment": deployment_of(client.settings)}, again=options.again)
    rejects = RejectsFile(options.rejects or path.with_name(f"{path.name.split('.')[0]}.rejects.ndjson"))
    caps = Caps(
        options.concurrency,
        options.max_questions_per_s,
        options.max_tokens_per_min,
        options.max_tokens,
        options.patience_s,
    )
    try:
        with bar(NAME, total, "done", "{tokens} tokens, {undone} not done", tokens=0, undone=0) as shown:
            asker = Asker(client, progress, caps, store=not options.no_store, advance=_moving(shown))
            if reading.sources:
                await asker.ask(_accepted(reading, rejects))
            if options.stale:
                await asker.refresh(_counting(client, reading, shown))
        if options.out:
            _write_answers(options.out, progress)
    except BaseExceptionGroup as exc:
        raise only_error(exc) from None
    finally:
        progress.close()
        rejects.close()
    tally, seconds = asker.tally, time.monotonic() - started_s
    undone = tally.unanswered + tally.refused + tally.left + tally.failed
    return {
        "job": NAME,
        "dry_run": False,
        "tenant": reading.tenant,
        **tally.as_json(),
        "rejected_rows": rejects.rows,
        "rejects": rejects.rows + undone,
        "rejects_file": str(rejects.path) if rejects.rows else None,
        "first_rejects": rejects.first,
        "progress_file": str(path),
        "out": str(options.out) if options.out else None,
        "stopped": "max_tokens" if tally.left else None,
        "seconds": round(seconds, 3),
    }


def _run_of(reading: Reading, options: argparse.Namespace) -> dict[str, Any]:
    """What tells this run from others."""
    return {
        "sources": [str(Path(source).absolute()) for source in reading.sources],
        "tenant": reading.tenant, "bank": reading.bank, "run": reading.run, "given": dict(reading.given or {}),
        "stale": options.stale, "store": not options.no_store,
    }  # fmt: skip


def _accepted(reading: Reading, rejects: RejectsFile) -> Iterator[Asked]:
    for asked in reading.questions():
        if isinstance(asked, Reject):
            rejects.add(asked)
        else:
            yield asked


def _moving(shown: Bar) -> Callable[[Tally], None]:
    def advance(tally: Tally) -> None:
        shown.at(tally.done, tokens=tally.tokens, undone=tally.unanswered + tally.refused + tally.failed)

    return advance


async def _counting(client: "BankClient", reading: Reading, shown: Bar) -> AsyncIterator[tuple[Scope, MentalModel]]:
    """Stale models, each known to the progress bar when it is found."""
    async for scope, model in stale_models(client, reading.tenant, reading.bank):
        shown.more()
        yield scope, model


def _write_answers(out: Path, progress: ProgressFile) -> None:
    with written_whole(out) as lines:
        for row in progress.rows():
            lines.write(orjson.dumps(row) + b"\n")


def sentence(report: Mapping[str, Any]) -> str:
    """The report in words."""
    questions, models = report["questions"], report["models"]
    lines = []
    asked = sum(questions.values())
    if questions["answered"]:
        lines.append(
            f"answered {counted(questions['answered'], 'question')} of {counted(report['banks'], 'bank')} with"
            f" {report['tokens']} tokens in {report['seconds']:.1f} s"
        )
    if questions["answered_before"]:
        lines.append(f"{counted(questions['answered_before'], 'question')} had an answer already")
    if questions["unanswered"]:
        lines.append(
            f"the language model did not answer {counted(questions['unanswered'], 'question')}; run the same command"
            " again to ask them once more"
        )
    if questions["left"]:
        lines.append(f"{counted(questions['left'], 'question')} left, the tokens of --max-tokens are spent")
    if not asked or models["refreshed"] or models["failed"]:
        lines.append(
            f"refreshed {counted(models['refreshed'], 'mental model')} ({models['unchanged']} say the same as before)"
        )
    lines += [f"  {problem}" for problem in report["problems"]]
    if report["rejected_rows"]:
        lines.append(f"{counted(report['rejected_rows'], 'row')} rejected, {report['rejects_file']} says why:")
        lines += [f"  {line}" for line in report["first_rejects"]]
    if report["out"]:
        lines.append(f"all answers are in {report['out']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
