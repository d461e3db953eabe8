"""lorebank: the typed client of the memory server, and its command line."""

from lorebank._async_client import AsyncClient
from lorebank._client import DEFAULT_URL, Client
from lorebank._errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    LorebankError,
    NoAnswerError,
    NotFoundError,
    OverloadedError,
    RetryLaterError,
    ServerError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnreadableAnswerError,
)
from lorebank._options import FoundMemory
from lorebank._sessions import AsyncSession, Session
from lorebank._version import __version__

__all__ = [
    "DEFAULT_URL",
    "ApiError",
    "AsyncClient",
    "AsyncSession",
    "Client",
    "ConflictError",
    "ForbiddenError",
    "FoundMemory",
    "InvalidRequestError",
    "LorebankError",
    "NoAnswerError",
    "NotFoundError",
    "OverloadedError",
    "RetryLaterError",
    "ServerError",
    "Session",
    "TooLargeError",
    "UnauthorizedError",
    "UnavailableError",
    "UnreadableAnswerError",
    "__version__",
]
