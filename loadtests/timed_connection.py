"""One HTTP connection that times its requests: the standard library's client, which adds the least of its own."""

import http.client
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import orjson

BANKS_PATH = "/v1/default/banks"
TIMEOUT_S = 60.0
REFUSALS = (429, 503)
"""Statuses that ask to try again later; nothing was accepted."""
DEFAULT_WAIT_S = 1.0
"""Pause after a refusal that names none."""


class LoadError(Exception):
    """A server that does not answer as it must; the message says what was asked and what came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body, and the milliseconds from the first byte sent to the last one read."""

    status: int
    body: bytes
    latency_ms: float
    retry_after_s: float = DEFAULT_WAIT_S


def bank_path(bank_id: str, *parts: str) -> str:
    """Path of a route below a bank."""
    return "/".join([BANKS_PATH, *(quote(part, safe="") for part in (bank_id, *parts))])


def recall_path(bank_id: str) -> str:
    """Path of a bank's recall route."""
    return f"{bank_path(bank_id)}/memories/recall"


def retain_path(bank_id: str) -> str:
    """Path of a bank's retain route."""
    return f"{bank_path(bank_id)}/memories"


def retry_after_s(header: str | None) -> float:
    """Seconds that a refusal asks to wait; DEFAULT_WAIT_S if it does not say."""
    return float(header) if header is not None and header.isdecimal() else DEFAULT_WAIT_S


class TimedConnection:
    """Sends one request after another to the server at `url`; `refused` counts the refusals that were waited out.

    With `keep_alive=False` each request opens a connection of its own, as a new client would. Not for several threads.

    Raises:
        ValueError: `url` is not an http URL with a host.
    """

    def __init__(self, url: str, *, keep_alive: bool = True) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"expected an http://host:port URL, found {url}")
        self.refused = 0
        self._url = url
        self._keep_alive = keep_alive
        self._prefix = parts.path.rstrip("/")
        self._http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
        self._headers = {"content-type": "application/json", "connection": "keep-alive" if keep_alive else "close"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._http.close()

    def post(self, path: str, body: object) -> Answer:
        """POST `body` as JSON, whatever status comes back.

        Raises:
            LoadError: no answer; the connection is closed and the next request opens another.
        """
        content = orjson.dumps(body)
        started_s = time.perf_counter()
        try:
            self._http.request("POST", self._prefix + path, content, self._headers)
            response = self._http.getresponse()
            received = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise LoadError(f"POST {self._url}{path}: no answer ({error!r})") from error
        latency_ms = (time.perf_counter() - started_s) * 1000
        if not self._keep_alive:
            self._http.close()
        return Answer(response.status, received, latency_ms, retry_after_s(response.headers.get("retry-after")))

    def post_ok(self, path: str, body: object, *, wait_s: float = 0.0) -> Answer:
        """POST `body` as JSON, again after 429 and 503 for up to `wait_s`; the latency is then that of the whole wait.

        Raises:
            LoadError: no answer, or a status other than 2xx.
        """
        started_s = time.perf_counter()
        answer = self.post(path, body)
        while answer.status in REFUSALS and time.perf_counter() - started_s < wait_s:
            self.refused += 1
            time.sleep(answer.retry_after_s)
            answer = self.post(path, body)
            answer = replace(answer, latency_ms=(time.perf_counter() - started_s) * 1000)
        if not 200 <= answer.status < 300:
            said = answer.body[:300].decode("utf-8", "replace")
            raise LoadError(f"POST {self._url}{path}: {answer.status} {said}")
        return answer
