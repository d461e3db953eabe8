"""Which banks were right at the last verification, and under which head: those need no other look until it moves.

A file of its own beside the report, so that a nightly run over many banks costs what was written since the last one.
What goes wrong without a write (a damaged disk) is found by a run without it, or by the store when it reads.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from jobs.whole_files import write_whole
from memory.errors import BadSettings
from memory.ids import Scope
from memory.records import Head

FORMAT = "lorebank-verified"
Mark = tuple[int, int, int, int]
"""Epoch, commit, settled commit and seq of a head."""


def mark_of(head: Head) -> Mark:
    """What tells a head from one after any write of the bank."""
    return head.epoch, head.commit, head.settled, head.seq


def read_marks(path: Path, deployment: str, vectors: str) -> dict[Scope, Mark]:
    """Banks by scope; none where the file is not there, or is of a look that read fewer vectors.

    Raises:
        BadSettings: it is no such file, or of another deployment.
    """
    if not path.is_file():
        return {}
    try:
        body = orjson.loads(path.read_bytes())
        if body["format"] != FORMAT:
            raise BadSettings(f"{path} is no file of a verification: name another with --marks")
        if body["deployment"] != deployment:
            raise BadSettings(f"{path} is of another deployment ({body['deployment']}): name another with --marks")
        if _DEPTH[vectors] > _DEPTH[body["vectors"]]:
            return {}
        return {Scope(tenant, bank): _mark(numbers) for tenant, bank, *numbers in body["banks"]}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise BadSettings(f"{path} is no file of a verification: {exc!r}; name another with --marks") from exc


def write_marks(path: Path, deployment: str, vectors: str, marks: Mapping[Scope, Mark]) -> None:
    """File which banks are right."""
    rows: list[list[Any]] = [[scope.tenant, scope.bank, *mark] for scope, mark in sorted(marks.items(), key=_key)]
    write_whole(path, {"format": FORMAT, "deployment": deployment, "vectors": vectors, "banks": rows})


_DEPTH = {"none": 0, "sample": 1, "all": 2}


def _mark(numbers: list[Any]) -> Mark:
    epoch, commit, settled, seq = map(int, numbers)
    return epoch, commit, settled, seq


def _key(item: tuple[Scope, Mark]) -> tuple[str, str]:
    return item[0].tenant, item[0].bank
