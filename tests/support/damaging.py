"""A small real directory whose process was killed, and ways to damage a copy of it."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memory.commands import Command, DeleteDocument, Item, Message, Retain
from memory.ids import Scope
from storage import schema
from storage.edge_store import EdgeStore
from tests.support.bank_process import perform_all
from tests.support.builders import DIM

SCOPE: Final = Scope("tenant", "bank")
OTHER: Final = Scope("tenant", "other")
_ENTRY_BYTES: Final = 21
"""Of a segment's list of points: a kind, an id, a place of four bytes."""


def _retain(op: str, document: str, *texts: str) -> Retain:
    return Retain(op, (Item(tuple(Message(text, role="user") for text in texts), document, timeless=True),))


FLUSHED: tuple[Command, ...] = tuple(_retain(f"f{n}", f"d{n}", f"text {n}", f"more of {n}") for n in range(8))
"""What is on disk when the process dies."""
WINDOW: tuple[Command, ...] = (
    _retain("w0", "d0", "text 0", "changed in 0"),
    DeleteDocument("w1", "d1"),
    *(_retain(f"w{n}", f"e{n}", f"late {n}", f"later {n}") for n in range(2, 8)),
    _retain("w8", "e2", "late 2", "last"),
)
"""What the log alone holds."""


def make_killed(directory: Path) -> None:
    """A directory with all of it, whose process was killed with SIGKILL before it flushed the window."""
    script = "import sys; from pathlib import Path; from tests.support.damaging import _work; _work(Path(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(directory)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=100, check=False)
    assert done.returncode == -signal.SIGKILL


def _work(directory: Path) -> None:
    import os

    store = EdgeStore(directory, DIM)
    perform(store, FLUSHED, "f")
    perform_all(store, OTHER, [_retain("o", "d0", "of another bank")], "o")
    while store.dirty_bytes:
        store.flush()
    perform(store, WINDOW, "w")
    os.kill(os.getpid(), signal.SIGKILL)


def perform(store: EdgeStore, commands: Sequence[Command], name: str) -> None:
    for number, command in enumerate(commands):
        perform_all(store, SCOPE, [command], f"{name}{number}")


def copy_of(directory: Path, target: Path) -> Path:
    subprocess.run(["cp", "-a", "--sparse=always", str(directory), str(target)], check=True)
    return target


# -- damages: each takes the directory of one collection


def segment(collection: Path) -> Path:
    (one,) = (collection / "segments").iterdir()
    return one


def cut(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def used_bytes(path: Path) -> int:
    return len(path.read_bytes().rstrip(b"\0"))


def log_of(collection: Path) -> Path:
    return collection / "wal" / "open-1"


def log_garbled_in_the_middle(collection: Path) -> None:
    log = log_of(collection)
    overwrite(log, used_bytes(log) * 9 // 10, b"\xa5" * 200)


def log_truncated(collection: Path) -> None:
    log = log_of(collection)
    cut(log, used_bytes(log) * 9 // 10)


def log_garbled_early(collection: Path) -> None:
    log = log_of(collection)
    overwrite(log, used_bytes(log) // 4, b"\xa5" * 200)


def last_record_garbled(collection: Path) -> None:
    log = log_of(collection)
    overwrite(log, used_bytes(log) - 8, b"\xa5" * 8)


def log_deleted(collection: Path) -> None:
    shutil.rmtree(collection / "wal")


def log_emptied(collection: Path) -> None:
    cut(log_of(collection), 0)


def log_header_garbled(collection: Path) -> None:
    overwrite(log_of(collection), 0, b"\xa5" * 16)


def first_index_emptied(collection: Path) -> None:
    cut(collection / "wal" / "first-index", 0)


def configuration_truncated(collection: Path) -> None:
    cut(collection / "edge_config.json", 20)


def configuration_deleted(collection: Path) -> None:
    (collection / "edge_config.json").unlink()


def segment_state_truncated(collection: Path) -> None:
    cut(segment(collection) / "segment.json", 10)


def vectors_emptied(collection: Path) -> None:
    for path in (segment(collection) / f"vector_storage-{schema.DENSE}").rglob("chunk*"):
        cut(path, 0)


def payloads_garbled(collection: Path) -> None:
    (page,) = (segment(collection) / "payload_storage").glob("page_0*")
    used = used_bytes(page)
    overwrite(page, used // 4, bytes((n * 151 + 89) % 256 for n in range(used // 2)))


def points_truncated(collection: Path) -> None:
    path = segment(collection) / "mutable_id_tracker.mappings"
    cut(path, path.stat().st_size // 2)


def versions_truncated(collection: Path) -> None:
    path = segment(collection) / "mutable_id_tracker.versions"
    cut(path, path.stat().st_size // 2)


def segment_removed(collection: Path) -> None:
    shutil.rmtree(segment(collection))


def collection_removed(collection: Path) -> None:
    shutil.rmtree(collection)


def version_removed(collection: Path) -> None:
    (segment(collection) / "version.info").unlink()


def points_flipped(collection: Path) -> None:
    """The place of one point becomes a very high one."""
    overwrite(segment(collection) / "mutable_id_tracker.mappings", 5 * _ENTRY_BYTES + 17, b"\xff\xff\xff\x7f")
