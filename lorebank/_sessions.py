"""Session and AsyncSession: one live conversation, over a client that is shared."""

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self, Unpack

from lorebank import wire
from lorebank._async_client import AsyncClient
from lorebank._client import Client
from lorebank._options import MessageInput, SessionOptions


class Session:
    """Context manager: opens a session of a bank and closes it at the end, unless it is left by an error.

        with Session(client, "me") as chat:
            chat.append({"role": "user", "content": "Where did I leave my keys?"})

    Appends are sent one after the other, in the order of their calls. `resume` goes on with a session that is open.
    """

    def __init__(self, client: Client, bank_id: str, **options: Unpack[SessionOptions]) -> None:
        self._client = client
        self._bank_id = bank_id
        self._options = options
        self._id = options.get("session_id")
        self._order = threading.Lock()

    @classmethod
    def resume(cls, client: Client, bank_id: str, session_id: str) -> Self:
        """A session that was opened before; nothing is sent."""
        return cls(client, bank_id, session_id=session_id)

    @property
    def id(self) -> str:
        """The session's id, which is that of its document too.

        Raises:
            ValueError: it is not open yet.
        """
        if self._id is None:
            raise ValueError("the session has no id before it is opened")
        return self._id

    def open(self) -> wire.SessionResponse:
        """Begin it.

        Raises:
            ConflictError: the session id is taken.
        """
        opened = self._client.open_session(self._bank_id, **self._options)
        self._id = opened.session_id
        return opened

    def append(self, *messages: MessageInput | str) -> wire.AppendTurnsResponse:
        """Add turns, in order; a text is a turn of the role user. When this returns the next recall finds them.

        Raises:
            ConflictError: the session is closed.
        """
        with self._order:
            return self._client.append_turns(self._bank_id, self.id, as_messages(messages))

    def close(self) -> wire.SessionResponse:
        """End it; what was said stays."""
        return self._client.close_session(self._bank_id, self.id)

    def delete(self, *, keep_memory: bool = False) -> wire.DeleteSessionResponse:
        """Delete it with all that was said, or with `keep_memory` only the session."""
        return self._client.delete_session(self._bank_id, self.id, keep_memory=keep_memory)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()


class AsyncSession:
    """Context manager: opens a session of a bank and closes it at the end, unless it is left by an error.

        async with AsyncSession(client, "me") as chat:
            await chat.append({"role": "user", "content": "Where did I leave my keys?"})

    Appends are sent one after the other, in the order of their calls. `resume` goes on with a session that is open.
    """

    def __init__(self, client: AsyncClient, bank_id: str, **options: Unpack[SessionOptions]) -> None:
        self._client = client
        self._bank_id = bank_id
        self._options = options
        self._id = options.get("session_id")
        self._order = asyncio.Lock()

    @classmethod
    def resume(cls, client: AsyncClient, bank_id: str, session_id: str) -> Self:
        """A session that was opened before; nothing is sent."""
        return cls(client, bank_id, session_id=session_id)

    @property
    def id(self) -> str:
        """The session's id, which is that of its document too.

        Raises:
            ValueError: it is not open yet.
        """
        if self._id is None:
            raise ValueError("the session has no id before it is opened")
        return self._id

    async def open(self) -> wire.SessionResponse:
        """Begin it.

        Raises:
            ConflictError: the session id is taken.
        """
        opened = await self._client.open_session(self._bank_id, **self._options)
        self._id = opened.session_id
        return opened

    async def append(self, *messages: MessageInput | str) -> wire.AppendTurnsResponse:
        """Add turns, in order; a text is a turn of the role user. When this returns the next recall finds them.

        Raises:
            ConflictError: the session is closed.
        """
        async with self._order:
            return await self._client.append_turns(self._bank_id, self.id, as_messages(messages))

    async def close(self) -> wire.SessionResponse:
        """End it; what was said stays."""
        return await self._client.close_session(self._bank_id, self.id)

    async def delete(self, *, keep_memory: bool = False) -> wire.DeleteSessionResponse:
        """Delete it with all that was said, or with `keep_memory` only the session."""
        return await self._client.delete_session(self._bank_id, self.id, keep_memory=keep_memory)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()


def as_messages(given: tuple[MessageInput | str, ...]) -> list[wire.Message | Mapping[str, object]]:
    """Turns as the wire takes them."""
    return [{"role": "user", "content": one} if isinstance(one, str) else one for one in given]
