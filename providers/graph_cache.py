"""Keeps a built graph on disk: sealed with its own SHA-256, written by one process at a time, rebuilt when damaged.

The seal is a metadata entry appended to the serialised model. Protobuf reads two messages laid end to end as one, so
the file stays an ordinary ONNX model, and one atomic rename publishes graph and seal together.
"""

import fcntl
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.errors import ModelUnusable

_LOG = logging.getLogger(__name__)

_SEAL_KEY = b"lorebank.sha256"
_LOCK_POLL_S = 0.05


def cached_graph(folder: Path, name: str, build: Callable[[], bytes], *, lock_wait_s: float = 120.0) -> Path:
    """Path of the intact graph `folder/name`, built and written first when it is missing or damaged.

    An intact file is used without the lock and without writing anything, so a read-only folder may hold it.
    Builders in several processes or threads wait for the first one and then use its file.

    Raises:
        ModelUnusable: the folder cannot be read or written, or another builder holds the lock for `lock_wait_s`.
    """
    path = folder / name
    try:
        if not _is_intact(path):
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_name(name + ".lock"), lock_wait_s):
                if not _is_intact(path):  # another builder may have been first
                    _write_sealed(path, build())
    except OSError as exc:
        raise ModelUnusable(f"{exc.filename or path}: {exc.strerror}; choose another model cache directory") from exc
    return path


def seal_of(graph: bytes | memoryview) -> bytes:
    """The seal to append: a protobuf `metadata_props` entry of ModelProto (field 14), written out by hand.

    By hand, because checking a seal must not cost the import of onnx in every worker.
    """
    digest = hashlib.sha256(graph).hexdigest().encode()
    entry = b"\x0a" + bytes([len(_SEAL_KEY)]) + _SEAL_KEY + b"\x12" + bytes([len(digest)]) + digest
    return b"\x72" + bytes([len(entry)]) + entry


_SEAL_BYTES = len(seal_of(b""))


def _is_intact(path: Path) -> bool:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    if data[-_SEAL_BYTES:] == seal_of(memoryview(data)[:-_SEAL_BYTES]):
        return True
    _LOG.warning("%s is damaged (%d bytes, seal broken): it is built again", path, len(data))
    return False


def _write_sealed(path: Path, graph: bytes) -> None:
    # One fixed name suffices under the lock, and what a killed builder left is overwritten by the next. No fsync: a
    # file that a power loss cut short has no seal.
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(graph + seal_of(graph))
    temporary.replace(path)


@contextmanager
def _locked(path: Path, wait_s: float) -> Iterator[None]:
    """Holds an exclusive lock on `path`; the kernel drops it when the holder dies."""
    with path.open("ab") as file:
        give_up_at = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    raise ModelUnusable(
                        f"{path}: another process has held this lock for {wait_s:g} s; end it, or delete the file"
                    ) from None
            time.sleep(_LOCK_POLL_S)
        yield
