"""Compact: write the files of a data directory anew, so that what was deleted is in none of them any more.

    python -m jobs.compact --data DIR          a directory that no server has open

The embedded engine marks what is removed and keeps its bytes until it has a use for the space. This lets go of what was
removed (ids too, whatever their age, for nobody else can be writing), copies what there is, and removes the old files.
Exit codes: 0 done; 2 nothing could be done, the line on stderr says what to do.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.offline import OfflineStore
from actors.settings import load_settings
from jobs.bulk import guarded
from jobs.report import counted, tell

NAME = "compact"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank compact", description="Take deleted bytes out of the files.")
    parser.add_argument("--data", type=Path, required=True, help="a data directory no server runs on")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _main(options: argparse.Namespace) -> int:
    before = _size_bytes(options.data)
    with OfflineStore(load_settings(data=options.data)) as store:
        swept = asyncio.run(store.sweep())
        store.compact()
    after = _size_bytes(options.data)
    report = {"job": NAME, "banks_swept": swept, "bytes_before": before, "bytes_after": after}
    said = f"swept {counted(swept, 'bank')}; {before} bytes on disk before, {after} now: nothing deleted is in them"
    tell(report, said, as_json=options.json)
    return 0


def _size_bytes(data: Path) -> int:
    """Of blocks on disk: the engine's files have holes."""
    return sum(path.stat().st_blocks * 512 for path in data.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
