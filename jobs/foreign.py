"""HTTP APIs of other memory servers: JSON over GET and POST, patient with what is busy, plain about what is wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay

from memory.errors import BadSettings, Unavailable

TIMEOUT_S = 60.0
PATIENCE_S = 300.0
LONGEST_PAUSE_S = 10.0
PAGE = 100
_BUSY = frozenset({429, 502, 503, 504})


class ForeignApi:
    """Answers of one server, as JSON."""

    def __init__(self, url: str, headers: Mapping[str, str], patience_s: float = PATIENCE_S) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(headers=dict(headers), timeout=TIMEOUT_S, follow_redirects=True)
        self._patience_s = patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **params: Any) -> Any:
        """Body of a GET.

        Raises:
            Unavailable: no answer for long.
            BadSettings: the server refuses; the message says what it said.
        """
        found = self.find(path, **params)
        if found is None:
            raise BadSettings(f"{self.url}{path} is not there: is this the server's address?")
        return found

    def find(self, path: str, **params: Any) -> Any | None:
        """As `get`; None where there is no such thing."""
        return self._ask("GET", path, params, None)

    def post(self, path: str, body: Mapping[str, Any], **params: Any) -> Any:
        """Body of a POST that reads.

        Raises:
            Unavailable, BadSettings: as `get`.
        """
        return self._ask("POST", path, params, body)

    def pages(self, path: str, rows: str, limit: int = PAGE, **params: Any) -> Iterator[Any]:
        """Rows of all pages of a listing that takes `limit` and `offset`."""
        offset = 0
        while True:
            page = self.get(path, limit=limit, offset=offset, **params)
            found = page.get(rows) or []
            yield from found
            offset += len(found)
            if not found or offset >= page.get("total", offset + 1):
                return

    def _ask(self, method: str, path: str, params: Mapping[str, Any], body: Mapping[str, Any] | None) -> Any | None:
        waiting = Retrying(
            retry=retry_if_exception(_is_passing), stop=stop_after_delay(self._patience_s), wait=_pause, reraise=True
        )
        try:
            answer = waiting(self._once, method, path, params, body)
        except httpx.HTTPStatusError as exc:
            code = exc.response.status_code
            if code == httpx.codes.NOT_FOUND:
                return None
            said = f"{self.url}{path} answers {code}: {exc.response.text[:300]}"
            if code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                raise BadSettings(f"{said}; give its key with --api-key") from exc
            raise (Unavailable if code in _BUSY else BadSettings)(said) from exc
        except httpx.HTTPError as exc:
            raise Unavailable(f"no answer from {self.url}{path}: {exc or type(exc).__name__}") from exc
        try:
            return answer.json()
        except ValueError as exc:
            raise BadSettings(f"{self.url}{path} answers no JSON: is this the server's address?") from exc

    def _once(
        self, method: str, path: str, params: Mapping[str, Any], body: Mapping[str, Any] | None
    ) -> httpx.Response:
        given = {key: value for key, value in params.items() if value is not None}
        return self._client.request(method, self.url + path, params=given, json=body).raise_for_status()


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _BUSY
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _pause(state: RetryCallState) -> float:
    """What the server says, else longer from time to time."""
    error = state.outcome.exception() if state.outcome else None
    said = error.response.headers.get("retry-after", "") if isinstance(error, httpx.HTTPStatusError) else ""
    return min(float(said) if said.isdecimal() else 0.1 * 2**state.attempt_number, LONGEST_PAUSE_S)
