"""Middleware of Serve's own proxy: the plain texts it answers by itself become problem bodies.

The application answers every error with a problem body, so a plain-text error can only be Serve's: no replica could
take the request, or the one that had it is gone. Loaded by the proxy actor through an import path.
"""

import logging
from http import HTTPStatus

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.errors import problem_response

IMPORT_PATH = f"{__name__}:proxy_middlewares"
log = logging.getLogger("lorebank.proxy")

_SERVES_OWN_PATHS = "/-/"
_RETRY_AFTER_S = 1.0


def proxy_middlewares() -> list[Middleware]:
    """What Serve's proxy wraps itself in."""
    return [Middleware(ProxyProblems)]


class ProxyProblems:
    """ASGI middleware: plain-text errors and exceptions below it are answered as 503 problems."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on; replace the answer if it is an error of Serve's own."""
        if scope["type"] != "http" or scope["path"].startswith(_SERVES_OWN_PATHS):
            await self._app(scope, receive, send)
            return
        began = replacing = False

        async def send_problem(message: Message) -> None:
            nonlocal began, replacing
            if message["type"] == "http.response.start" and _is_plain_error(message):
                replacing = True
            if not replacing:
                began = True
                await send(message)
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                began = True
                await _unavailable(scope, receive, send)

        try:
            await self._app(scope, receive, send_problem)
        except Exception:
            if began:
                raise
            log.exception("the proxy failed")
        if not began:
            # Without this, what the web server itself says to an application that says nothing would be a bare 500.
            await _unavailable(scope, receive, send)


def _is_plain_error(start: Message) -> bool:
    if start["status"] < HTTPStatus.BAD_REQUEST:
        return False
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    return not kinds or kinds[0].startswith(b"text/plain")


async def _unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    said = "no replica could answer: the server is starting, restarting a part, or full"
    response = problem_response(503, "Temporarily unavailable", said, retry_after_s=_RETRY_AFTER_S)
    await response(scope, receive, send)
