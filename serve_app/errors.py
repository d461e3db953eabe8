"""From errors to answers: the one table of statuses, and problem bodies (RFC 9457) that always encode."""

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lorebank.wire import MAX_FIELD_PROBLEMS, PROBLEM_CONTENT_TYPE, STATUS_INVALID, STATUS_TOO_LARGE, TOO_LARGE
from memory.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    LorebankError,
    NotFound,
    OperatorAction,
    Overloaded,
    RetryLater,
    Stale,
    TooLarge,
    Unauthorized,
    Unprocessable,
)

log = logging.getLogger("lorebank.http")

STATUS_BY_ERROR: Mapping[type[LorebankError], tuple[int, str]] = {
    InvalidRequest: (400, "Invalid request"),
    Unauthorized: (401, "No valid API key"),
    Forbidden: (403, "Forbidden"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict"),
    TooLarge: (413, "Request too large"),
    Unprocessable: (422, "Invalid request"),
    Overloaded: (429, "Too many requests"),
    RetryLater: (503, "Temporarily unavailable"),
    Stale: (503, "Temporarily unavailable"),
    OperatorAction: (500, "The server needs its operator"),
    LorebankError: (500, "Internal error"),
}
"""Status and title of each class; a class that is not here has its nearest ancestor's."""

MAX_DETAIL_CHARS = 2000
_HIDDEN = "The server failed to answer; its log says why."


def status_of(error: LorebankError) -> tuple[int, str]:
    """Status and title for an error, by its nearest ancestor in the table."""
    return next(STATUS_BY_ERROR[kind] for kind in type(error).__mro__ if kind in STATUS_BY_ERROR)


def problem_response(
    status: int,
    title: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    retry_after_s: float | None = None,
) -> Response:
    """A problem body; `detail` and `error` are the same plain text, `errors` the fields that are wrong."""
    said = printable(detail)
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": said, "error": said}
    if errors:
        body["errors"] = list(errors)
    extra = dict(headers or {})
    if retry_after_s is not None:
        body["retry_after_s"] = max(1, math.ceil(min(retry_after_s, 3600)))
        extra["retry-after"] = str(body["retry_after_s"])
    return Response(orjson.dumps(body), status, extra, PROBLEM_CONTENT_TYPE)


def response_of(error: Exception) -> Response:
    """The answer to any error. What is not the caller's doing is logged, and only named."""
    if isinstance(error, LorebankError):
        status, title = status_of(error)
        if status >= 500 and status != HTTPStatus.SERVICE_UNAVAILABLE:
            log.error("%s: %s", type(error).__name__, error, exc_info=error)
            return problem_response(status, title, _HIDDEN)
        wait_s = error.retry_after_s if isinstance(error, RetryLater) else 1.0 if isinstance(error, Stale) else None
        headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
        return problem_response(status, title, str(error), headers=headers, retry_after_s=wait_s)
    if isinstance(error, RequestValidationError):
        return validation_response(error.errors())
    if isinstance(error, HTTPException):
        return problem_response(error.status_code, _phrase(error.status_code), error.detail, headers=error.headers)
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem_response(500, "Internal error", _HIDDEN)


def validation_response(found: Sequence[Mapping[str, Any]]) -> Response:
    """413 if a size limit was exceeded, else 422. The values sent are never quoted: they may not even encode."""
    fields = [
        {
            "loc": [part if isinstance(part, int) else printable(str(part), 200) for part in one["loc"]],
            "msg": printable(str(one["msg"]), 200),
            "type": str(one["type"]),
        }
        for one in found[:MAX_FIELD_PROBLEMS]
    ]
    listed = "; ".join(f"{'.'.join(str(part) for part in field['loc'])}: {field['msg']}" for field in fields)
    more = f"; and {len(found) - len(fields)} more" if len(found) > len(fields) else ""
    too_large = any(one["type"] == TOO_LARGE for one in found)
    status, title = (STATUS_TOO_LARGE, "Request too large") if too_large else (STATUS_INVALID, "Invalid request")
    return problem_response(status, title, listed + more, errors=fields)


def printable(text: str, max_chars: int = MAX_DETAIL_CHARS) -> str:
    """Text that any encoder takes: lone surrogates come from requests, long texts from anywhere."""
    return text[:max_chars].encode("utf-8", "replace").decode("utf-8")


def add_handlers(app: FastAPI) -> None:
    """Answer every error that reaches the app's routes with a problem body."""

    async def answer_error(request: Request, error: Exception) -> Response:
        del request
        return response_of(error)

    for kind in (LorebankError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer_error)


class AnswerErrors:
    """ASGI middleware: whatever leaves the app as an exception is answered with a problem body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on and answer its error, unless the answer has begun already."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = False

        async def send_noted(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception as error:
            response = response_of(error)
            if began:
                raise
            await response(scope, receive, send)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
