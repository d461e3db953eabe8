"""What the client of a Qdrant server raises -> our error tree.

Classes of its own, of httpx and of Python are told by one table; what a server answers by its status, by another.
"""

import json
import re

import httpx
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from memory.errors import (
    BadSettings,
    LorebankError,
    Overloaded,
    RetryLater,
    StoreDamaged,
    TooLarge,
    Unavailable,
    Unprocessable,
)

_KEY = "LOREBANK_QDRANT_API_KEY"
_URL = "LOREBANK_QDRANT_URL"
_DEFECT = "the Qdrant server refused a request of lorebank's, which is a defect or an unsupported version"
_NOT_QDRANT = f"what answers at {_URL} is not a Qdrant server"

STATUS_TABLE: tuple[tuple[range, str, type[LorebankError], str], ...] = (
    (range(401, 402), "", BadSettings, f"the Qdrant server wants an API key: set {_KEY}"),
    (range(403, 404), "", BadSettings, f"the Qdrant server forbids it: {_KEY} needs a key that may read and write"),
    (range(408, 409), "", Unavailable, "the Qdrant server gave up on a request"),
    (range(413, 414), "", TooLarge, "the Qdrant server takes no request that large"),
    (range(429, 430), "", Overloaded, "the Qdrant server is overloaded"),
    (
        range(404, 405),
        r"[Cc]ollection",
        StoreDamaged,
        "a collection is gone from the Qdrant server: restore a snapshot",
    ),
    (range(404, 405), r"[Ss]hard", StoreDamaged, "a shard key is gone from the Qdrant server: restart lorebank"),
    (range(400, 500), r"[Dd]imension", Unprocessable, "a vector has the wrong length"),
    (range(404, 405), "", BadSettings, _NOT_QDRANT),
    (range(300, 400), "", BadSettings, _NOT_QDRANT),
    (range(500, 600), "", Unavailable, "the Qdrant server cannot answer"),
    (range(600), "", StoreDamaged, _DEFECT),
)
"""Statuses, pattern in the answer, our error, what it means; the first that matches counts. A retry cannot help where
the request is at fault, so no status from 400 to 499 but those of load and time is one."""

CLIENT_TABLE: tuple[tuple[type[BaseException], str, type[LorebankError], str], ...] = (
    (ResourceExhaustedResponse, "", Overloaded, "the Qdrant server is overloaded"),
    (httpx.UnsupportedProtocol, "", BadSettings, f"{_URL} is no address of a server"),
    (httpx.InvalidURL, "", BadSettings, f"{_URL} is no address of a server"),
    (httpx.LocalProtocolError, "", BadSettings, f"a request cannot be sent; look at {_KEY} and {_URL}"),
    (httpx.TimeoutException, "", Unavailable, "the Qdrant server does not answer in time"),
    (httpx.TransportError, "", Unavailable, "the Qdrant server cannot be reached"),
    (httpx.TooManyRedirects, "", BadSettings, _NOT_QDRANT),
    (httpx.DecodingError, "", BadSettings, _NOT_QDRANT),
    (httpx.HTTPError, "", Unavailable, "the Qdrant server cannot be reached"),
    (httpx.StreamError, "", Unavailable, "the connection to the Qdrant server broke"),
    (httpx.CookieConflict, "", StoreDamaged, _DEFECT),
    (TimeoutError, "", Unavailable, "the Qdrant server does not answer in time"),
    (OSError, "", Unavailable, "the Qdrant server cannot be reached"),
    (json.JSONDecodeError, "", BadSettings, _NOT_QDRANT),
    (ValidationError, "", StoreDamaged, "the Qdrant server's answer cannot be understood"),
    (PydanticSerializationError, "", Unprocessable, "a value cannot be stored"),
    (UnicodeError, "", Unprocessable, "a value cannot be stored"),
    (OverflowError, "", Unprocessable, "a value cannot be stored"),
    (RuntimeError, r"closed", Unavailable, "the store is closing"),
    (ValueError, r"[Cc]ollection .*not found", StoreDamaged, "a collection is gone"),
    (ValueError, "", Unprocessable, "a value cannot be stored"),
    (KeyError, "", StoreDamaged, _DEFECT),
    (TypeError, "", StoreDamaged, _DEFECT),
    (RuntimeError, "", StoreDamaged, _DEFECT),
    (AssertionError, "", StoreDamaged, "the Qdrant server's answer is empty"),
    (QdrantException, "", StoreDamaged, _DEFECT),
    (ApiException, "", StoreDamaged, _DEFECT),
)
"""Class the client raises, pattern in its text, our error, what it means; the first that matches counts."""


def translate_client(exc: BaseException) -> LorebankError:
    """The error to raise in place of one of the client's; what no row names is damage, never a retry."""
    return find_client(exc) or StoreDamaged(f"the store answered with an unknown error: {_said(exc)}")


def find_client(exc: BaseException) -> LorebankError | None:
    """Our error for one of the client's, or None where no row names it."""
    if isinstance(exc, UnexpectedResponse):
        return _find_status(exc)
    if isinstance(exc, ResponseHandlingException):
        return find_client(exc.source)
    for kind, pattern, error, meaning in CLIENT_TABLE:
        if isinstance(exc, kind) and re.search(pattern, str(exc)):
            return _made(error, f"{meaning}: {_said(exc)}", getattr(exc, "retry_after_s", None))
    return None


def _find_status(exc: UnexpectedResponse) -> LorebankError | None:
    text = exc.content.decode(errors="replace")
    for statuses, pattern, error, meaning in STATUS_TABLE:
        if exc.status_code in statuses and re.search(pattern, text):
            return _made(error, f"{meaning} (status {exc.status_code}: {text[:_SHOWN_CHARS]})", None)
    return None


def _made(error: type[LorebankError], message: str, retry_after_s: float | None) -> LorebankError:
    if issubclass(error, RetryLater) and retry_after_s is not None:
        return error(message, retry_after_s)
    return error(message)


def _said(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


_SHOWN_CHARS = 300
