"""Ids in paths: percent-encoded slashes, spaces and Unicode reach the handlers as they were sent.

Servers decode a path before it is routed, so an encoded slash would part an id in two. The middleware decodes each
segment of the raw path itself and lets a decoded slash travel as a lone surrogate, which no UTF-8 text can hold.
"""

from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

from fastapi import Path
from pydantic import AfterValidator, BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from lorebank.wire import check_id
from memory.errors import InvalidRequest

_SLASH = "\udc2f"
"""Stands for a slash within a segment while the path is routed."""


class IdsInPaths:
    """ASGI middleware: routes by the raw path's segments."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on with a path in which slashes separate segments only.

        Raises:
            InvalidRequest: the path is not UTF-8.
        """
        if scope["type"] == "http":
            raw = scope.get("raw_path") or quote(scope["path"], errors="surrogateescape").encode("ascii")
            if b"%" in raw:
                scope = {**scope, "path": decode_segments(raw)}
        await self._app(scope, receive, send)


def decode_segments(raw_path: bytes) -> str:
    """The path with each segment decoded; slashes that were encoded become the sentinel.

    Raises:
        InvalidRequest: a segment is not UTF-8.
    """
    try:
        parts = [unquote_to_bytes(part).decode("utf-8") for part in raw_path.split(b"/")]
    except UnicodeDecodeError as exc:
        raise InvalidRequest("the path is not valid UTF-8") from exc
    return "/".join(part.replace("/", _SLASH) for part in parts)


def _restore(value: object) -> object:
    return value.replace(_SLASH, "/") if isinstance(value, str) else value


PathId = Annotated[str, Path(), BeforeValidator(_restore), AfterValidator(check_id)]
"""An id in a path: 1 to 512 characters, no control characters, not `.` or `..`; else 422."""
