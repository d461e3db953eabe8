"""The HTTP seam, sync and async: one call in, the answer's body out, with retries until a deadline.

Every call may be repeated: reads by nature, deletes and profile changes because they name their end state, retains
because they carry an operation id.
"""

import asyncio
import ipaddress
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception

from lorebank._errors import LorebankError, NoAnswerError, RetryLaterError, error_from
from lorebank._version import __version__

UNREACHABLE = (httpx.ConnectError, httpx.ConnectTimeout)
RETRIED_FAILURES = (*UNREACHABLE, httpx.PoolTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""Connection failures worth another try; a read timeout is not, its call may still be running."""

MIN_TIMEOUT_S = 0.1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a call may take in all, and the waits between attempts: doubled from first to max, jittered.

    `unreachable_s` is the shorter deadline, if there is one, for a server that takes no connection.
    """

    deadline_s: float = 60.0
    unreachable_s: float | None = None
    first_wait_s: float = 0.1
    max_wait_s: float = 5.0


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Where to send, and the parts that tests replace: the HTTP transport, the clock, the sleeps, the randomness."""

    base_url: str
    api_key: str | None = None
    timeout_s: float = 60.0
    retry: RetryPolicy = RetryPolicy()
    http: httpx.BaseTransport | None = None
    async_http: httpx.AsyncBaseTransport | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)

    def client_settings(self) -> dict[str, Any]:
        """Arguments that both kinds of httpx client take."""
        headers = {"user-agent": f"lorebank/{__version__}", "accept": "application/json"}
        if self.api_key:
            headers["authorization"] = f"Bearer {self.api_key}"
        return {
            "base_url": self.base_url,
            "headers": headers,
            "trust_env": not _is_loopback(self.base_url),
        }


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `path` is percent-encoded already, `once` forbids retries."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    once: bool = False

    def to_httpx(self, timeout_s: float) -> dict[str, Any]:
        """Arguments of httpx's request()."""
        headers = {} if self.body is None else {"content-type": "application/json"}
        return {
            "method": self.method,
            "url": self.path,
            "params": dict(self.params),
            "content": self.body,
            "headers": headers,
            "timeout": timeout_s,
        }


class _Attempts:
    """Decides, for one call, how long an attempt may take, whether to try again, and when; the clock starts here."""

    def __init__(self, options: TransportOptions, *, once: bool) -> None:
        self._options = options
        self._once = once
        self._started_s = options.clock()

    def settings(self) -> dict[str, Any]:
        """Arguments that both kinds of tenacity controller take."""
        return {
            "retry": retry_if_exception(_may_succeed_later),
            "wait": self._wait_s,
            "stop": self._is_over,
            "reraise": True,
        }

    def timeout_s(self) -> float:
        """Seconds the next attempt may take: never past the call's deadline."""
        left_s = self._options.retry.deadline_s - (self._options.clock() - self._started_s)
        return max(MIN_TIMEOUT_S, min(self._options.timeout_s, left_s))

    def _wait_s(self, state: RetryCallState) -> float:
        policy = self._options.retry
        backoff_s = min(policy.max_wait_s, policy.first_wait_s * 2.0 ** (state.attempt_number - 1))
        jittered_s = self._options.rng.uniform(backoff_s / 2, backoff_s)
        failure = state.outcome.exception() if state.outcome else None
        asked_s = failure.retry_after_s or 0.0 if isinstance(failure, RetryLaterError) else 0.0
        return asked_s + jittered_s

    def _is_over(self, state: RetryCallState) -> bool:
        if self._once:
            return True
        policy = self._options.retry
        limit_s = policy.deadline_s
        failure = state.outcome.exception() if state.outcome else None
        if policy.unreachable_s is not None and isinstance(failure, UNREACHABLE):
            limit_s = min(limit_s, policy.unreachable_s)
        return self._options.clock() - self._started_s + state.upcoming_sleep > limit_s


def _may_succeed_later(failure: BaseException) -> bool:
    return isinstance(failure, (RetryLaterError, *RETRIED_FAILURES))


def _is_loopback(url: str) -> bool:
    """Whether a URL points at this machine, where no proxy of the environment may come between."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _body_of(answer: httpx.Response) -> bytes:
    if answer.is_success:
        return answer.content
    raise error_from(answer.status_code, answer.content, answer.headers)


def _translated(failure: httpx.HTTPError | httpx.InvalidURL, request: Request, base_url: str) -> LorebankError:
    reason = str(failure) or type(failure).__name__
    return NoAnswerError(f"no answer from {base_url} to {request.method} {request.path}: {reason}")


class Transport:
    """Sends requests and waits."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._http = httpx.Client(transport=options.http, **options.client_settings())

    def send(self, request: Request) -> bytes:
        """The body of the 2xx answer.

        Raises:
            ApiError: the server refused, and kept refusing until the deadline where waiting could help.
            NoAnswerError: the server could not be reached until the deadline.
        """
        attempts = _Attempts(self._options, once=request.once)
        retrying = Retrying(sleep=self._options.sleep, **attempts.settings())
        try:
            return retrying(self._send_once, request, attempts)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise _translated(failure, request, self._options.base_url) from failure

    def _send_once(self, request: Request, attempts: _Attempts) -> bytes:
        return _body_of(self._http.request(**request.to_httpx(attempts.timeout_s())))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncTransport:
    """Sends requests without blocking the event loop."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        self._http = httpx.AsyncClient(transport=options.async_http, **options.client_settings())

    async def send(self, request: Request) -> bytes:
        """The body of the 2xx answer.

        Raises:
            ApiError: the server refused, and kept refusing until the deadline where waiting could help.
            NoAnswerError: the server could not be reached until the deadline.
        """
        attempts = _Attempts(self._options, once=request.once)
        retrying = AsyncRetrying(sleep=self._options.async_sleep, **attempts.settings())
        try:
            return await retrying(self._send_once, request, attempts)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise _translated(failure, request, self._options.base_url) from failure

    async def _send_once(self, request: Request, attempts: _Attempts) -> bytes:
        return _body_of(await self._http.request(**request.to_httpx(attempts.timeout_s())))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
