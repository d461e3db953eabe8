"""The progress file of a bulk job: which batches are done, and what became of them; survives kill -9 at any moment.

NDJSON: a first line that says what the run is, then one line for each finished batch, made durable before the next is
told of. A line that was cut off is no line. The file only spares work: what it has lost is recognised by the banks.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from jobs.parts import Origin, Reject
from memory.errors import BadSettings

VERSION = 1


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a batch."""

    operation_id: str
    documents: int
    turns: int
    added: int = 0
    """New chunks."""
    tokens: int = 0
    """Tokens embedded."""
    there: int = 0
    """Documents that the bank had already, as they are."""
    rejects: tuple[Reject, ...] = ()
    """Rows that the bank refused."""


class ProgressFile:
    """Open for one run. Not for several processes: the second is refused by the lock."""

    def __init__(self, path: Path, run: Mapping[str, Any], *, again: bool = False) -> None:
        """Continue the run that the file tells of, or begin one.

        Raises:
            BadSettings: it tells of another run, is in use, or cannot be written.
        """
        self.path = path
        self._known: dict[bytes, int] = {}
        try:
            if again:
                path.unlink(missing_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise BadSettings(f"progress file {path}: {exc.strerror}; name another with --progress") from exc
        self._lock()
        self._begin(run)

    def find(self, operation_id: str) -> Done | None:
        """What became of a batch that is done."""
        row = self.find_row(operation_id)
        if row is None:
            return None
        rejects = tuple(Reject(Origin(*r["origin"].values()), r["reason"], r["document_id"]) for r in row["rejects"])
        return Done(
            operation_id=row["operation_id"],
            documents=row["documents"],
            turns=row["turns"],
            added=row["added"],
            tokens=row["tokens"],
            there=row["there"],
            rejects=rejects,
        )

    def find_row(self, operation_id: str) -> dict[str, Any] | None:
        """What was written of an operation."""
        at = self._known.get(_key(operation_id))
        row: dict[str, Any] | None = None if at is None else orjson.loads(self._line_at(at))
        return row

    def rows(self) -> Iterator[dict[str, Any]]:
        """What was written of all operations, in the order in which they were done."""
        for at in sorted(self._known.values()):
            yield orjson.loads(self._line_at(at))

    @property
    def batches(self) -> int:
        """How many are done."""
        return len(self._known)

    def add(self, done: Done) -> None:
        """A batch is done; when this returns that is on disk."""
        self.add_row(asdict(done))

    def add_row(self, row: Mapping[str, Any]) -> None:
        """As `add`, of anything that has an `operation_id`. From one thread at a time."""
        at = os.lseek(self._file, 0, os.SEEK_END)
        self._write(row)
        self._known[_key(row["operation_id"])] = at

    def close(self) -> None:
        """Let another run have it."""
        os.close(self._file)

    def _lock(self) -> None:
        import fcntl  # noqa: PLC0415 - not on every platform that imports this package

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise BadSettings(f"progress file {self.path} is in use: the same job runs already") from None

    def _begin(self, run: Mapping[str, Any]) -> None:
        with os.fdopen(os.dup(self._file), "rb") as lines:
            lines.seek(0)
            end = 0
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                if end == 0:
                    self._check(line, run)
                else:
                    self._known[_key(orjson.loads(line)["operation_id"])] = end
                end += len(line)
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)
        if end == 0:
            self._write({"version": VERSION, "run": run})

    def _check(self, line: bytes, run: Mapping[str, Any]) -> None:
        try:
            before = orjson.loads(line)
        except orjson.JSONDecodeError:
            before = None
        if not isinstance(before, dict) or before.get("version") != VERSION:
            raise BadSettings(f"{self.path} is no progress file of this version; name another with --progress")
        other = {key: value for key, value in before["run"].items() if run.get(key) != value}
        if other:
            said = ", ".join(f"{key} {value!r} (now {run.get(key)!r})" for key, value in other.items())
            raise BadSettings(
                f"progress file {self.path} is of another run: {said}; give --again to begin anew, or name another file"
                " with --progress"
            )

    def _write(self, row: Mapping[str, Any]) -> None:
        left = orjson.dumps(row) + b"\n"
        while left:
            left = left[os.write(self._file, left) :]
        os.fdatasync(self._file)

    def _line_at(self, at: int) -> bytes:
        with os.fdopen(os.dup(self._file), "rb") as lines:
            lines.seek(at)
            return lines.readline()


def _key(operation_id: str) -> bytes:
    return bytes.fromhex(operation_id.replace("-", ""))
