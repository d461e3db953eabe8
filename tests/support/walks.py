"""The walks of docs/ARCHITECTURE.md: tables of stops, as they are written there."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
WALKS = ("One retain, and its facts", "One recall")
_ROW = re.compile(r"^\| (?P<number>\d+) \| `(?P<file>[\w/.]+)` \| `(?P<function>[\w.]+)` \| (?P<rest>.+) \|$")


class Stop(NamedTuple):
    """One row: where a request passes. `function` is qualified by its class."""

    number: int
    file: str
    function: str


def walk(name: str) -> list[Stop]:
    """The stops of a walk, in order."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    chapter = text.split(f"## {name}\n")[1].split("\n## ")[0]
    rows = (_ROW.match(line) for line in chapter.splitlines())
    return [Stop(int(row["number"]), row["file"], row["function"]) for row in rows if row]
