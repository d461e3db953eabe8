"""Client errors: one class per thing the caller can do, and the one table from status to class.

LorebankError
NoAnswerError          no answer came in time         try again; writes are safe to repeat
UnreadableAnswerError  not the agreed form            client and server do not fit together
ApiError               the server said no             carries status and problem body
InvalidRequestError    fix the request              400, 422 and every other 4xx
UnauthorizedError      401, no valid key
ForbiddenError         403, valid key, not allowed
NotFoundError          404
ConflictError          409
TooLargeError          413
RetryLaterError        wait `retry_after_s`         the transport has already waited until its deadline
OverloadedError        429
UnavailableError       503
ServerError            every other 5xx
"""

from collections.abc import Mapping

import orjson
from pydantic import ValidationError

from lorebank.wire import Problem, make_problem

_DEFAULT_RETRY_AFTER_S = 1.0
_MAX_DETAIL_CHARS = 500


class LorebankError(Exception):
    """Root of every error the client raises on purpose."""


class NoAnswerError(LorebankError):
    """The server could not be reached, or did not answer before the deadline; a write may have happened."""


class UnreadableAnswerError(LorebankError):
    """The answer is not what the wire contract says."""


class ApiError(LorebankError):
    """The server refused; `problem` is its explanation."""

    def __init__(self, status: int, body: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(status, body, retry_after_s)
        self.status = status
        self.problem = body
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.status} {self.problem.title}: {self.problem.detail}"


class InvalidRequestError(ApiError):
    """The request cannot be served as it is; change it."""


class UnauthorizedError(InvalidRequestError):
    """No valid API key was sent."""


class ForbiddenError(InvalidRequestError):
    """The API key is valid but not for this."""


class NotFoundError(InvalidRequestError):
    """Nothing is stored under that id."""


class ConflictError(InvalidRequestError):
    """The stored state forbids it, e.g. an operation id used again for another command."""


class TooLargeError(InvalidRequestError):
    """A limit on size is exceeded."""


class RetryLaterError(ApiError):
    """Nothing is wrong with the request; the same one may succeed later."""


class OverloadedError(RetryLaterError):
    """The server is at its bound; nothing was accepted."""


class UnavailableError(RetryLaterError):
    """A part of the server is restarting."""


class ServerError(ApiError):
    """The server failed; its operator must look."""


ERROR_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    429: OverloadedError,
    503: UnavailableError,
}


def error_class(status: int) -> type[ApiError]:
    """The class for a status that is not 2xx: its own, else that of its hundred."""
    fallback = ServerError if status >= 500 else InvalidRequestError
    return ERROR_BY_STATUS.get(status, fallback)


def error_from(status: int, body: bytes, headers: Mapping[str, str]) -> ApiError:
    """The error for an answer that is not 2xx, whatever its body looks like; header names in lower case."""
    found = error_class(status)
    wait_s = _retry_after_s(headers.get("retry-after"))
    if wait_s is None and issubclass(found, RetryLaterError):
        wait_s = _DEFAULT_RETRY_AFTER_S
    return found(status, _read_problem(status, body), wait_s)


def _read_problem(status: int, body: bytes) -> Problem:
    """The problem body, or one made of what came instead: a proxy's page, FastAPI's list, nothing."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return make_problem(status, "Error", body.decode("utf-8", "replace")[:_MAX_DETAIL_CHARS] or "no explanation")
    try:
        return Problem.model_validate(parsed)
    except ValidationError:
        said = parsed.get("detail") or parsed.get("error") or parsed if isinstance(parsed, dict) else parsed
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
        return make_problem(status, "Error", text[:_MAX_DETAIL_CHARS])


def _retry_after_s(value: str | None) -> float | None:
    """Seconds of a Retry-After header; the date form is not used by our servers and counts as absent."""
    if value is None or not value.strip().isdecimal():
        return None
    return float(value)
