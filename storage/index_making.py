"""Making a cell index: units are handed over in small pages, a process of its own builds, a rename ends it."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from qdrant_edge import EdgeShard, ScrollRequest

from memory.ids import Scope, first_id
from memory.records import Head, UnitKind, UnitState
from storage import schema
from storage.cell_builder import RawColumns
from storage.cell_index import Card
from storage.edge_spaces import EdgeSpaces

BUILDER: Final = (sys.executable, "-m", "storage.cell_builder")
MAKING: Final = ".making"
"""Suffix of what is not whole yet."""
_PAGE_UNITS: Final = 64
_REST: Final = 3.0
"""For so many times as long as a page kept the interpreter, it is left to others."""
_POLL_S: Final = 0.05
_ROOT: Final = Path(__file__).resolve().parent.parent


class Stopped(Exception):
    """The shard is closing, or the bank was deleted."""


class IndexMaker:
    """Makes indexes below a directory, one at a time."""

    def __init__(self, directory: Path, units: EdgeShard, spaces: EdgeSpaces) -> None:
        self._directory = directory
        self._units = units
        self._spaces = spaces
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def builder_pid(self) -> int | None:
        """Id of the process that builds now."""
        child = self._child
        return None if child is None else child.pid

    def make(self, scope: Scope, head: Head, is_going: Callable[[], bool]) -> Path:
        """The directory of a new index of all evidence of the bank; `head` was read before, and all of it is settled.

        Raises:
            Stopped: `is_going` says so, or the bank has no units any more.
            OSError: files cannot be written, or the process that builds failed.
        """

        def check() -> None:
            if is_going():
                raise Stopped

        name = f"{name_of(scope.key)}.{uuid.uuid4().hex}"
        making, made = self._directory / f"{name}{MAKING}", self._directory / name
        source, target = making / "raw", making / "index"
        space = self._spaces.indexed
        source.mkdir(parents=True)
        target.mkdir()
        try:
            with contextlib.closing(RawColumns(source)) as raw:
                self._read(scope, space, raw, check)
            if not raw.units:
                raise Stopped
            raw.finish(Card(scope.key, head.seq, head.epoch, raw.units, space))
            self._run_builder(source, target, check)
            target.rename(made)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return made

    def _read(self, scope: Scope, space: str, raw: RawColumns, check: Callable[[], None]) -> None:
        """Hand over the bank's live units, in pages small enough to hold nobody up, as a range of ids.

        A page by filter would cost what the bank costs (storage.edge_bank_scroll).
        """
        name = schema.dense_name(space)
        start, end = first_id(scope.bucket), first_id(scope.bucket + 1)
        while start < end:
            check()
            began_s = time.thread_time()
            request = ScrollRequest(
                offset=cast("Any", start),
                limit=_PAGE_UNITS,
                with_payload=[schema.BANK_KEY, schema.STATE, schema.KIND],
                with_vector=[name, schema.LEXICAL],
            )
            records, following = self._units.scroll(request)
            own = [record for record in records if str(record.id) < end and _belongs(scope, record.payload)]
            if own:
                vectors: list[Any] = [record.vector for record in own]
                dense = np.array([vector[name] for vector in vectors], dtype=np.float32)
                words = [_words(vector.get(schema.LEXICAL)) for vector in vectors]
                raw.append(b"".join(uuid.UUID(str(record.id)).bytes for record in own), dense, words)
            start = end if following is None else str(following)
            time.sleep(_REST * (time.thread_time() - began_s))

    def _run_builder(self, source: Path, target: Path, check: Callable[[], None]) -> None:
        """Wait for the process that builds; it ends with this one, for its standard input is closed then."""
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [*BUILDER, str(source), str(target)]
        with subprocess.Popen(command, cwd=_ROOT, env=os.environ | threads, stdin=subprocess.PIPE) as child:
            self._child = child
            try:
                while child.poll() is None:
                    check()
                    time.sleep(_POLL_S)
            finally:
                child.kill()
                self._child = None
        if child.returncode:
            raise OSError(f"the process that builds an index ended with {child.returncode}")


def name_of(bank_key: str) -> str:
    """What the names of a bank's indexes begin with."""
    return hashlib.sha256(bank_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _belongs(scope: Scope, payload: dict[str, Any] | None) -> bool:
    """Whether a unit is live evidence of the bank."""
    stored = payload or {}
    own = stored.get(schema.BANK_KEY) == scope.key and stored.get(schema.STATE) == UnitState.LIVE.value
    return bool(own and stored.get(schema.KIND) not in {UnitKind.FACT.value, UnitKind.REFLECTION.value})


def _words(lexical: Any) -> tuple[Any, Any]:
    """A stored sparse vector as tokens and weights: uint32 and float32, of equal length."""
    if lexical is None:
        return np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.float32)
    return np.array(lexical.indices, dtype=np.uint32), np.array(lexical.values, dtype=np.float32)
