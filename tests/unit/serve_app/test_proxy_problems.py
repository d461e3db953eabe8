"""What Serve's proxy says by itself in plain text reaches the caller as a problem."""

import logging

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from serve_app.main import RAY_ENVIRONMENT
from serve_app.proxy_problems import IMPORT_PATH, ProxyProblems, proxy_middlewares
from tests.support.http_calls import Http

ANSWERS: dict[str, Response] = {
    "/dropped": PlainTextResponse("Request dropped due to backpressure", 503),
    "/died": PlainTextResponse("Traceback (most recent call last): ...", 500),
    "/late": PlainTextResponse("timed out", 408),
    "/missing": PlainTextResponse("Path '/missing' not found. Ping http://.../-/routes", 404),
    "/bare": Response(status_code=500),
    "/ours": JSONResponse({"status": 404}, 404),
    "/metrics": PlainTextResponse("lorebank_http_requests 1", 200),
    "/-/healthz": PlainTextResponse("unhealthy", 503),
}


async def serve_proxy(scope: Scope, receive: Receive, send: Send) -> None:
    await ANSWERS[scope["path"]](scope, receive, send)


def test_plain_errors_become_problems() -> None:
    with Http(ProxyProblems(serve_proxy)) as http:
        for path in ("/dropped", "/died", "/late", "/missing", "/bare"):
            answer = http.get(path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_proxy_that_fails_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the replica died")

    with Http(ProxyProblems(failing)) as http, caplog.at_level(logging.CRITICAL):
        assert http.get("/v1").status_code == 503


def test_a_proxy_that_says_nothing_is_answered_for() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    with Http(ProxyProblems(silent)) as http:
        assert http.get("/v1").status_code == 503


def test_a_failure_in_the_middle_of_an_answer_is_not_hidden() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("the replica died")

    with Http(ProxyProblems(failing)) as http, pytest.raises(RuntimeError):
        http.get("/v1")


def test_everything_else_passes() -> None:
    with Http(ProxyProblems(serve_proxy)) as http:
        assert http.get("/metrics").text == "lorebank_http_requests 1"
    client = Http(ProxyProblems(serve_proxy))
    answers = client.call_all(("GET", "/ours", {}), ("GET", "/-/healthz", {}))
    assert [answer.status_code for answer in answers] == [404, 503]
    assert answers[0].json() == {"status": 404}
    assert answers[1].text == "unhealthy"
    client.__exit__(None, None, None)


def test_the_server_tells_ray_where_to_find_it() -> None:
    assert RAY_ENVIRONMENT["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] == IMPORT_PATH
    assert [middleware.cls for middleware in proxy_middlewares()] == [ProxyProblems]
