"""Request bodies: bounded, then parsed strictly (no NaN, no lone surrogates, bounded depth), whatever their label."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from actors.settings import Settings
from memory.errors import InvalidRequest, TooLarge
from serve_app.metrics import ROUTE

_DRAINED_BODIES = 8
"""Bodies of the allowed size that are read and dropped before a refusal, so that the caller can read it."""


class JsonRoute(APIRoute):
    """A route that tells the metrics its name, and whose body is parsed here before FastAPI validates it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler FastAPI makes, given a request whose body is known to be JSON."""
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def read_then_handle(request: Request) -> Response:
            request.scope["state"][ROUTE] = self.path_format
            if not has_body:
                return await handle(request)
            settings: Settings = request.app.state.settings
            raw = await read_body(request, settings.max_body_bytes)
            return await handle(_JsonRequest(request.scope, request.receive, raw))

        return read_then_handle


class _JsonRequest(Request):
    """A request whose body was read; it says of itself that it is JSON, which parsing has proved."""

    def __init__(self, scope: Scope, receive: Receive, raw: bytes) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        super().__init__({**scope, "headers": [*headers, (b"content-type", b"application/json")]}, receive)
        self._raw = raw
        self._parsed = parse_json(raw)

    async def body(self) -> bytes:
        """The body as it was sent."""
        return self._raw

    async def json(self) -> Any:
        """The parsed body."""
        return self._parsed


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it says it is longer than allowed, or turns out to be.
        InvalidRequest: the connection ended before the body did.
    """
    said = request.headers.get("content-length", "")
    too_large = said.isdecimal() and len(said) < 20 and int(said) > max_bytes
    parts: list[bytes] = []
    size_bytes = 0
    async for part in _parts(request.receive):
        size_bytes += len(part)
        too_large = too_large or size_bytes > max_bytes
        if too_large:
            parts.clear()
            if size_bytes > _DRAINED_BODIES * max_bytes:
                break
        else:
            parts.append(part)
    if too_large:
        raise TooLarge(f"the body must not exceed {max_bytes} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _parts(receive: Receive) -> Any:
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the connection ended before the body did")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def parse_json(raw: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        RequestValidationError: empty, not JSON, or nested deeper than the parser goes.
    """
    if not raw.strip():
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "a JSON body is required"}])
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        place = {"type": "json_invalid", "loc": ("body", exc.pos), "msg": f"not JSON: {exc.msg}"}
        raise RequestValidationError([place]) from exc
