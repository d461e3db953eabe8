"""Stored reflections over a client: `client.reflections`."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from lorebank import wire
from lorebank._calls import Call, bank_path, get_call
from lorebank._models import AsyncSend, Send
from lorebank._options import PageOptions
from lorebank._transport import Request


class ReflectionFilter(PageOptions, total=False):
    """Which stored reflections are listed."""

    tags: Sequence[str]
    tags_match: wire.TagsMatch


class Reflections:
    """Answers that were kept: `client.reflections`. Raises what the client's methods raise."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def list(self, bank_id: str, **page: Unpack[ReflectionFilter]) -> wire.ReflectionListResponse:
        """A page of them, newest first, without their evidence."""
        return self._send(_list(bank_id, page))

    def get(self, bank_id: str, reflection_id: str) -> wire.ReflectionResponse:
        """One with its evidence."""
        return self._send(_get(bank_id, reflection_id))

    def delete(self, bank_id: str, reflection_id: str) -> wire.DeleteResponse:
        """Delete one; what it rests on stays."""
        return self._send(_delete(bank_id, reflection_id))


class AsyncReflections:
    """Answers that were kept: `client.reflections`. Raises what the client's methods raise."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def list(self, bank_id: str, **page: Unpack[ReflectionFilter]) -> wire.ReflectionListResponse:
        """A page of them, newest first, without their evidence."""
        return await self._send(_list(bank_id, page))

    async def get(self, bank_id: str, reflection_id: str) -> wire.ReflectionResponse:
        """One with its evidence."""
        return await self._send(_get(bank_id, reflection_id))

    async def delete(self, bank_id: str, reflection_id: str) -> wire.DeleteResponse:
        """Delete one; what it rests on stays."""
        return await self._send(_delete(bank_id, reflection_id))


def _list(bank_id: str, params: Mapping[str, Any]) -> Call[wire.ReflectionListResponse]:
    return get_call(wire.ReflectionListResponse, bank_path(bank_id, "reflections"), params)


def _get(bank_id: str, reflection_id: str) -> Call[wire.ReflectionResponse]:
    return get_call(wire.ReflectionResponse, bank_path(bank_id, "reflections", reflection_id))


def _delete(bank_id: str, reflection_id: str) -> Call[wire.DeleteResponse]:
    return Call(Request("DELETE", bank_path(bank_id, "reflections", reflection_id)), wire.DeleteResponse)
