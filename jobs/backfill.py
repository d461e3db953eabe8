"""Backfill: bulk retain of files into banks, through their owners; run again after a kill, it does what is left.

    python -m jobs.backfill transcripts/ --bank ana
    python -m jobs.backfill 'logs/*.parquet' --map text=body --map bank=user_id --map document=conversation
    ray job submit --working-dir . -- python -m jobs.backfill /data/chats.ndjson --progress /data/chats.progress

Exit codes: 0 everything is stored; 1 some rows are not, the rejects file says which and why; 2 nothing more could be
done, the line on stderr says what to do.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from jobs.batching import Batch, cut_batches
from jobs.bulk import Files, Work, add_options, files_of, finish, guarded, rejected, run_bulk, sentence
from jobs.columns import columns_of, read_mapping
from jobs.formats import Format
from jobs.gathering import Found, gathered, survey
from jobs.options import positive_count
from jobs.parts import Part, Reject
from jobs.progress_bar import bar
from jobs.reading import Reading
from jobs.report import counted
from jobs.sending import RejectsFile
from memory.errors import Unprocessable
from memory.ids import DEFAULT_TENANT

NAME = "backfill"
SAMPLES = 3
"""Documents that a dry run shows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _main(options: argparse.Namespace) -> int:
    reading, tenant = reading_of(options)
    if options.dry_run:
        return _dry_run(reading, tenant, options)
    found = _surveyed(reading)
    report = run_bulk(work_of(reading, tenant, options, found), options)
    where = (
        f"in bank {reading.bank}" if reading.bank and report["banks"] <= 1 else f"in {counted(report['banks'], 'bank')}"
    )
    return finish({**report, "tenant": tenant, "found": as_json(found)}, options, sentence(report, where))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank backfill", description="Retain files in banks, in bulk.")
    parser.add_argument("sources", nargs="+", help="files, directories and globs")
    parser.add_argument("--bank", help="bank of rows that name none; made if it does not exist")
    parser.add_argument("--tenant", help="tenant of the banks (default: default)")
    parser.add_argument(
        "--format", choices=[format_.value for format_ in Format], help="what rows mean (default: auto)"
    )
    parser.add_argument("--map", action="append", default=[], metavar="WHAT=COLUMN", help="column that says what")
    parser.add_argument("--mapping", type=Path, help="TOML file with format, bank, tenant and [columns]")
    parser.add_argument("--tag", action="append", default=[], help="tag of everything that is retained")
    parser.add_argument(
        "--batch-documents", type=positive_count, default=64, help="most documents a call (default: %(default)s)"
    )
    add_options(parser)
    return parser


def reading_of(options: argparse.Namespace) -> tuple[Reading, str]:
    """What is to be read, and the tenant.

    Raises:
        Unprocessable: sources, mapping or flags cannot be used.
    """
    mapping = read_mapping(options.mapping) if options.mapping else {}
    try:
        format_ = Format(options.format or mapping.get("format", Format.AUTO))
    except ValueError as exc:
        raise Unprocessable(f"{options.mapping}: {exc}; known are {', '.join(Format)}") from exc
    reading = Reading(
        sources=tuple(options.sources),
        bank=options.bank or mapping.get("bank"),
        format=format_,
        columns=columns_of(mapping.get("columns", {}), options.map),
        tags=tuple(options.tag),
    )
    reading.plan()
    return reading, options.tenant or mapping.get("tenant", DEFAULT_TENANT)


def work_of(reading: Reading, tenant: str, options: argparse.Namespace, found: Found) -> Work:
    """What is to be sent."""

    def batches(files: Files) -> Generator[Batch | Reject, None, None]:
        whole = gathered(reading.parts(), together=found.together, size_bytes=found.size_bytes, spill=files.spill)
        return cut_batches(whole, tenant, options.batch_documents)

    run = {
        "sources": [str(Path(source).absolute()) for source in reading.sources],
        "tenant": tenant,
        "bank": reading.bank,
        "format": reading.format.value,
        "columns": {what: list(names) for what, names in sorted(reading.columns.given.items())},
        "tags": list(reading.tags),
        "batch_documents": options.batch_documents,
    }
    return Work(NAME, run, batches, found.turns)


def _surveyed(reading: Reading) -> Found:
    """A first pass over everything: what there is, and in which order."""
    with bar("looking through", None, "rows") as shown:
        return survey(reading.parts(), shown.move)


def _dry_run(reading: Reading, tenant: str, options: argparse.Namespace) -> int:
    work = work_of(reading, tenant, options, Found())
    rejects = RejectsFile(files_of(work, options).rejects)
    banks: Counter[str] = Counter()
    samples: list[dict[str, Any]] = []

    def watched() -> Iterator[Part | Reject]:
        for part in reading.parts():
            if isinstance(part, Reject):
                rejects.add(part)
            else:
                banks[part.bank] += 1
                if len(samples) < SAMPLES and all(sample["document_id"] != part.document_id for sample in samples):
                    samples.append(_sample(part))
            yield part

    found = survey(watched())
    rejects.close()
    path = str(rejects.path) if rejects.rows else None
    report = {
        "job": NAME, "dry_run": True, "tenant": tenant, "found": as_json(found), "banks": len(banks),
        "rejects": found.rejects, "rejects_file": path,
        "first_rejects": rejects.first, "samples": samples,
    }  # fmt: skip
    order = "documents stand together" if found.together else "documents are scattered: they will be gathered on disk"
    lines = [f"would retain {found.turns} turns in {counted(len(banks), 'bank')} ({order})"]
    lines += [
        f"  {s['bank']} / {s['document_id']}: {s['speaker'] or ''} {s['time'] or ''} {s['text']!r}" for s in samples
    ]
    lines += rejected(report)
    return finish(report, options, "\n".join(lines))


def _sample(part: Part) -> dict[str, Any]:
    item = part.item
    text, speaker, time = str(item.content), None, item.timestamp
    if isinstance(item.content, tuple):
        first = item.content[0]
        text, speaker, time = first.content, first.name or first.role, first.timestamp or item.timestamp
    return {
        "bank": part.bank, "document_id": part.document_id, "speaker": speaker,
        "time": time.isoformat() if time else None, "text": text[:80], "tags": list(item.tags),
    }  # fmt: skip


def as_json(found: Found) -> dict[str, Any]:
    """What the first pass saw."""
    return {
        "parts": found.parts, "turns": found.turns, "bytes": found.size_bytes, "rejected_rows": found.rejects,
        "documents_together": found.together,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
