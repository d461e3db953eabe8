"""Synchronous calls of an ASGI application, in process, with the checks that hold for every answer."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from starlette.types import ASGIApp

T = TypeVar("T")


class Http:
    """Calls an application; every answer from 400 on must be a problem body, and none may be a bare 500."""

    def __init__(self, app: ASGIApp, headers: dict[str, str] | None = None) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://lorebank", headers=headers
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        answer = self._runner.run(self._client.request(method, path, **kwargs))
        if answer.status_code >= 400:
            assert_problem(answer)
        return answer

    def call_all(self, *calls: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """Answers of calls made at the same time."""

        async def gathered() -> list[httpx.Response]:
            return await asyncio.gather(*(self._client.request(m, p, **kwargs) for m, p, kwargs in calls))

        return self._runner.run(gathered())

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        """What something comes to in the loop of the calls."""
        return self._runner.run(work)

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.call("POST", path, **kwargs)


def assert_problem(answer: httpx.Response) -> None:
    """RFC 9457, with the plain texts the peers' clients read."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert body["status"] == answer.status_code
    assert isinstance(body["type"], str)
    assert isinstance(body["title"], str)
    assert body["title"]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["error"] == body["detail"]
    assert "Traceback" not in answer.text
    if answer.status_code in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1
