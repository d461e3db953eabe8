"""Backup and restore of a data directory, with or without a server on it.

python -m jobs.backup create lorebank-data --to backups/monday
python -m jobs.backup restore backups/monday --to lorebank-data
python -m jobs.backup inspect lorebank-data
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.data_directory import Copied, back_up, inspect, restore
from memory.errors import LorebankError, StoreLocked

EXIT_FAILED = 1
EXIT_LOCKED = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; 0 done, 1 something is wrong (one line on stderr says what), 3 a server has the directory."""
    options = _parser().parse_args(argv)
    try:
        if options.action == "inspect":
            print(json.dumps(inspect(options.directory.absolute())))
        elif options.action == "create":
            done = back_up(options.directory.absolute(), options.to.absolute(), _say)
            print(f"{_told(done)} copied to {options.to}")
        else:
            done = restore(options.directory.absolute(), options.to.absolute(), _say)
            print(f"{_told(done)} restored to {options.to}")
    except StoreLocked as exc:
        print(f"lorebank: {exc}", file=sys.stderr)
        return EXIT_LOCKED
    except LorebankError as exc:
        print(f"lorebank: {exc}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jobs.backup", description="Back up or restore a data directory.")
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="copy a data directory, also while a server uses it")
    create.add_argument("directory", type=Path, help="the data directory")
    create.add_argument("--to", type=Path, required=True, help="a directory that is empty or not there yet")
    back = actions.add_parser("restore", help="make a data directory from a backup")
    back.add_argument("directory", type=Path, help="the backup")
    back.add_argument("--to", type=Path, required=True, help="a directory that is empty or not there yet")
    look = actions.add_parser("inspect", help="say what is wrong with a data directory that no server uses, as JSON")
    look.add_argument("directory", type=Path, help="the data directory")
    return parser


def _told(done: Copied) -> str:
    points = sum(sum(counts.values()) for counts in done.points.values())
    return f"{done.files} files with {points} points of {done.id}, as of {done.created_at},"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
