"""Translates what goes wrong between us and an HTTP model into memory.errors: the one table for it."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from memory.errors import DeadlineExceeded, ModelUnusable, Overloaded, RetryLater, Unavailable
from providers.policy import AttemptFailed

Failure = AttemptFailed | ModelUnusable

_DEFAULT_RETRY_AFTER_S = 1.0
_SHOWN_CHARS = 300

# The most specific match counts, so children stand above their parents. None: repeating it cannot help.
_BY_EXCEPTION: tuple[tuple[type[Exception], Callable[[str, float], RetryLater] | None], ...] = (
    (httpx.ConnectTimeout, Unavailable),
    (httpx.PoolTimeout, Unavailable),
    (httpx.TimeoutException, DeadlineExceeded),
    (httpx.UnsupportedProtocol, None),
    (httpx.LocalProtocolError, None),
    (httpx.TransportError, Unavailable),
    (httpx.HTTPError, None),
    (httpx.InvalidURL, None),
    (httpx.StreamError, None),
    (httpx.CookieConflict, None),
)
FOREIGN: tuple[type[Exception], ...] = tuple(kind for kind, _ in _BY_EXCEPTION)
"""What httpx may raise during a call."""

_RETRIED_STATUSES = {408, 425}  # and all of 5xx


def failure_of_exception(exc: Exception, source: str) -> Failure:
    """The failure to raise `from exc`; `source` names the endpoint and model in its message."""
    message = f"{source}: {type(exc).__name__}: {exc}"
    kind = next(kind for foreign, kind in _BY_EXCEPTION if isinstance(exc, foreign))
    return ModelUnusable(message) if kind is None else AttemptFailed(kind(message, _DEFAULT_RETRY_AFTER_S))


def failure_of_status(status: int, headers: httpx.Headers, body: str, source: str) -> Failure:
    """The failure to raise for an answer other than 200; the beginning of `body` goes into the message."""
    message = f"{source}: HTTP {status}: {' '.join(body.split())[:_SHOWN_CHARS] or '(empty body)'}"
    if status == httpx.codes.TOO_MANY_REQUESTS:
        kind: Callable[[str, float], RetryLater] = Overloaded
    elif status in _RETRIED_STATUSES or httpx.codes.is_server_error(status):
        kind = Unavailable
    else:
        return ModelUnusable(message)
    stated_s = stated_wait_s(headers)
    return AttemptFailed(kind(message, _DEFAULT_RETRY_AFTER_S if stated_s is None else stated_s), stated_s)


def stated_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, 0 or more; None if it is absent or unreadable.

    A date is measured against the answer's own `Date`, so that our clock need not agree with the server's.
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, headers.get("Date", ""))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(then: str, now: str) -> float | None:
    try:
        instants = [parsedate_to_datetime(text) for text in (then, now)]
    except ValueError:
        return None
    # "-0000" parses without a zone and means UTC.
    later, earlier = (instant if instant.tzinfo else instant.replace(tzinfo=UTC) for instant in instants)
    return max(0.0, (later - earlier).total_seconds())
