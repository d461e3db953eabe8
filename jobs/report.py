"""What came of a job: told on stdout, in words or as JSON, and filed where that is wanted."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from jobs.whole_files import write_whole


def tell(report: Mapping[str, Any], said: str | Callable[[], None], *, as_json: bool, file: Path | None = None) -> None:
    """Print the report as JSON, or what is said in words (or prints them); write it to a file too."""
    if file is not None:
        write_whole(file, report)
    if as_json:
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode(), flush=True)
    elif callable(said):
        said()
    else:
        print(said, flush=True)


def counted(number: int, noun: str) -> str:
    """`1 bank`, `2 banks`, `2 memories`."""
    several = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else several}"
