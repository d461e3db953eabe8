"""The caller's side of direct reads: a few connections to a storage shard of the same machine."""

import asyncio
import pickle
import socket
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from actors.calls import RESTART_S
from actors.packed_answers import unpack_answer
from actors.read_socket import HEADER_BYTES, encode
from memory.errors import DeadlineExceeded, Unavailable
from memory.ids import Scope
from memory.store_calls import Request

T = TypeVar("T")

MOST_CONNECTIONS: Final = 8
"""Reads beyond these wait for one of them: by Ray, where they would wait, too, each costs ten times as much."""


class DirectReads:
    """Reads by a shard's socket. Each connection carries one at a time; one that failed is not used again."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._idle: list[socket.socket] = []
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def perform(self, scope: Scope, request: Request[T], timeout_s: float) -> T:
        """The answer to a read.

        Raises:
            Unavailable: the shard is on another machine, or restarts: ask it by Ray.
            DeadlineExceeded: no answer came in time.
            LorebankError: whatever the shard raised.
        """
        try:
            async with asyncio.timeout(timeout_s), self._free:
                answered, answer = await self._exchange(encode((scope, request)))
        except TimeoutError as exc:
            raise DeadlineExceeded("store: no answer in time", RESTART_S) from exc
        if not answered:
            raise answer
        return cast("T", unpack_answer(answer))

    def close(self) -> None:
        """End the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    async def _exchange(self, message: bytes) -> tuple[bool, Any]:
        loop = asyncio.get_running_loop()
        connection = self._idle.pop() if self._idle else socket.socket(socket.AF_UNIX)
        try:
            if connection.gettimeout() != 0.0:
                connection.setblocking(False)
                await loop.sock_connect(connection, self._path)
            await loop.sock_sendall(connection, message)
            size = int.from_bytes(await _receive(loop, connection, HEADER_BYTES))
            answer = cast("tuple[bool, Any]", pickle.loads(await _receive(loop, connection, size)))  # noqa: S301 - ours
        except OSError as exc:
            connection.close()
            self.close()  # of the same process, which is gone
            raise Unavailable("the store's socket does not answer") from exc
        except BaseException:
            connection.close()  # its answer may still come
            raise
        self._idle.append(connection)
        return answer


async def _receive(loop: asyncio.AbstractEventLoop, connection: socket.socket, size: int) -> bytearray:
    """So many bytes.

    Raises:
        OSError: the other side ended before.
    """
    received = bytearray(size)
    view, start = memoryview(received), 0
    while start < size:
        count = await loop.sock_recv_into(connection, view[start:])
        if not count:
            raise ConnectionResetError("the connection ended")
        start += count
    return received
