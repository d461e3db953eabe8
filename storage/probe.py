"""Loading a directory in a process that may die: a damaged list of points makes the engine abort its process.

`python -m storage.probe DIRECTORY DIM LOCK_TIMEOUT_S` is that process. It says which collection it loads next.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from memory.errors import LorebankError, StoreDamaged
from storage import schema
from storage.directory import CLEAN_FILE
from storage.edge_errors import RESTORE
from storage.edge_shard import open_records, open_units
from storage.edge_store import EdgeStore

ATTEMPTS_FILE: Final = "opening"
"""How often the directory was opened since the last time that did not end the process."""
MOST_ATTEMPTS: Final = 2
_ROOT: Final = Path(__file__).resolve().parent.parent
_TIMEOUT_S: Final = 900.0


def open_store(
    directory: Path, dim: int, lock_timeout_s: float, *, again: bool, index_units: int | None = None
) -> EdgeStore:
    """Open a directory; one that was not closed is loaded by a process of its own before.

    again: this process takes the place of one that ended without closing the directory; index_units: as of EdgeStore.

    Raises:
        StoreDamaged: the engine ended the process that loaded it, just now or the last times; or as EdgeStore.
        StoreLocked: another process holds it.
    """
    attempts = directory / ATTEMPTS_FILE
    before = _read_attempts(attempts) if again else 0
    if before >= MOST_ATTEMPTS:
        raise StoreDamaged(
            f"{directory}: its process ended {before} times while opening it, and it is not tried again: {RESTORE},"
            " or look at it with `lorebank doctor` and start the server anew"
        )
    if needs_probe(directory):
        probe(directory, dim, lock_timeout_s)
    directory.mkdir(parents=True, exist_ok=True)
    attempts.write_text(str(before + 1), encoding="ascii")
    try:
        return EdgeStore(directory, dim, lock_timeout_s, index_units)
    finally:
        attempts.unlink()


def needs_probe(directory: Path) -> bool:
    """Whether the directory holds something and was not closed."""
    return directory.exists() and any(directory.iterdir()) and not (directory / CLEAN_FILE).exists()


def probe(directory: Path, dim: int, lock_timeout_s: float) -> str:
    """Load the directory in a process of its own; what the engine told that one as an error, else empty.

    Raises:
        StoreDamaged: that process was ended by a signal.
    """
    command = [sys.executable, "-m", "storage.probe", str(directory), str(dim), str(lock_timeout_s)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        collection = (done.stdout.split() or [schema.UNITS])[-1]
        said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "nothing")
        raise StoreDamaged(
            f"{directory / collection}: the engine ends its process with {name} while loading it (it said: {said});"
            f" its files are damaged: {RESTORE}"
        )
    return done.stderr.strip() if done.returncode else ""


def _read_attempts(path: Path) -> int:
    text = path.read_text(encoding="ascii") if path.exists() else ""
    return int(text) if text.isdigit() else 0


def _main(directory: Path, dim: int, lock_timeout_s: float) -> None:
    """Load both collections and end at once, without a flush."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sys.stdout.write(f"{schema.UNITS}\n")
        sys.stdout.flush()
        loaded = [open_units(directory / schema.UNITS, dim, lock_timeout_s)]
        sys.stdout.write(f"{schema.RECORDS}\n")
        sys.stdout.flush()
        loaded.append(open_records(directory / schema.RECORDS, lock_timeout_s))
    except LorebankError as exc:
        sys.stderr.write(f"{exc}\n")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
