"""The storage shard's side of direct reads: a Unix socket that answers them, one thread a connection.

Between processes of one machine a Ray call passes eight threads: 2.7 ms where they sleep meanwhile, a socket 0.2.
"""

import hashlib
import logging
import os
import pickle
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import ray

from actors.packed_answers import pack_answer
from memory.errors import LorebankError
from memory.ids import Scope

log = logging.getLogger("lorebank.read_socket")

HEADER_BYTES: Final = 8
"""Every message is its length, big-endian, and a pickle: of (scope, request), or of (answered, answer or error)."""
MAX_REQUEST_BYTES: Final = 64 << 20
_BACKLOG: Final = 64

Perform = Callable[[Scope, Any], Any]


def own_socket_path(data: Path, index: int) -> Path | None:
    """Where a shard of a data directory listens in the Ray cluster of this process; None without one."""
    if not ray.is_initialized():
        return None
    return socket_path(str(ray.get_runtime_context().gcs_address), data, index)


def socket_path(cluster: str, data: Path, index: int) -> Path:
    """Where a shard of a data directory listens, in a folder of the user's own; `cluster` is its Ray's address."""
    name = hashlib.sha256(f"{cluster}\n{data.absolute()}\n{index}".encode()).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"lorebank-{os.getuid()}" / f"{name}.sock"


def encode(message: object) -> bytes:
    """A message as it is sent."""
    packed = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(packed).to_bytes(HEADER_BYTES) + packed


class ReadSocket:
    """Listens until it is closed. Only the user's own processes can connect: what they send is unpickled.

    Raises:
        OSError: the folder is somebody else's, or nothing can be bound there.
    """

    def __init__(self, path: Path, perform: Perform) -> None:
        self._path = path
        self._perform = perform
        _own_folder(path.parent)
        _remove_dead(path.parent)
        path.unlink(missing_ok=True)  # of a process that had the directory before
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(_BACKLOG)
        threading.Thread(target=self._accept, name="read-socket", daemon=True).start()

    def close(self) -> None:
        """Accept no more; connections end with their callers or this process."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # wakes the thread that accepts, which closing would not
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(connection,), name="reads", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while message := _read_message(stream):
                    connection.sendall(self._answer(message))
            except OSError:
                return  # the caller has gone
            except Exception:
                # The caller sees the connection end, and asks again by Ray, which tells it what went wrong.
                log.exception("a direct read failed")

    def _answer(self, message: bytes) -> bytes:
        scope, request = cast("tuple[Scope, Any]", pickle.loads(message))  # noqa: S301 - from our own processes
        try:
            return encode((True, pack_answer(self._perform(scope, request))))
        except LorebankError as exc:
            return encode((False, exc))


def _read_message(stream: Any) -> bytes:
    """The next message; empty at the end."""
    header = stream.read(HEADER_BYTES)
    size = int.from_bytes(header)
    if len(header) < HEADER_BYTES or size > MAX_REQUEST_BYTES:
        return b""
    message: bytes = stream.read(size)
    return message if len(message) == size else b""


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is open to others")


def _remove_dead(folder: Path) -> None:
    """Sockets that nobody listens on any more: their processes were killed."""
    for path in folder.glob("*.sock"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)
            except OSError:
                continue  # a busy one
