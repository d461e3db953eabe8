"""Request bodies: bounded, parsed strictly (no NaN, no lone surrogates, bounded depth), validated, whatever their type.

FastAPI would list every wrong field of a body, which for millions of them takes a minute in which nothing else runs.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from actors.settings import Settings
from memory.errors import InvalidRequest, TooLarge
from serve_app.metrics import ROUTE

MAX_LISTED_ERRORS = 100
"""Bodies with more wrong fields are refused without saying which."""
_DRAINED_BODIES = 8
"""Bodies of the allowed size that are read and dropped before a refusal, so that the caller can read it."""


class JsonRoute(APIRoute):
    """A route that tells the metrics its name, and whose body is validated here before FastAPI sees it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler FastAPI makes, given a request whose body is a model already."""
        handle = super().get_route_handler()
        model: Any = None if self.body_field is None else self.body_field.field_info.annotation
        if model is not None and not issubclass(model, BaseModel):
            raise TypeError(f"the body of {self.path} must be a model")

        async def read_then_handle(request: Request) -> Response:
            request.scope["state"][ROUTE] = self.path_format
            if model is None:
                return await handle(request)
            settings: Settings = request.app.state.settings
            raw = await read_body(request, settings.max_body_bytes)
            return await handle(_ModelRequest(request.scope, request.receive, validate(model, parse_json(raw))))

        return read_then_handle


class _ModelRequest(Request):
    """A request whose body was read and validated: FastAPI finds the model where it looks for JSON, and takes it."""

    def __init__(self, scope: Scope, receive: Receive, model: BaseModel) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        super().__init__({**scope, "headers": [*headers, (b"content-type", b"application/json")]}, receive)
        self._model = model

    async def body(self) -> bytes:
        """That there is a body; what is in it comes from `json`."""
        return b"{}"

    async def json(self) -> Any:
        """The validated body."""
        return self._model


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


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
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


def validate(model: type[BaseModel], value: Any) -> BaseModel:
    """The model of a JSON value.

    Raises:
        RequestValidationError: fields are wrong; which, if they are not too many.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        count = exc.error_count()
        if count > MAX_LISTED_ERRORS:
            raise RequestValidationError(
                [{"type": "too_many_errors", "loc": ("body",), "msg": f"{count} fields are wrong"}]
            ) from None
        found = exc.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None
