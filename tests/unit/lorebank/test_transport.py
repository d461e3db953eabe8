"""Retries against a real HTTP server with scripted faults; the clock and the sleeps are injected."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx
import orjson
import pytest

from lorebank import (
    ConflictError,
    InvalidRequestError,
    LorebankError,
    NoAnswerError,
    OverloadedError,
    ServerError,
    UnavailableError,
)
from lorebank._transport import AsyncTransport, Request, RetryPolicy, Transport, TransportOptions
from lorebank.own_server import free_port
from lorebank.testing import FakeServer, Fault

GET = Request("GET", "/version")
Send = Callable[[TransportOptions, Request], bytes]


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now_s: float = 100.0
    slept_s: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)


def send_sync(options: TransportOptions, request: Request) -> bytes:
    transport = Transport(options)
    try:
        return transport.send(request)
    finally:
        transport.close()


def send_async(options: TransportOptions, request: Request) -> bytes:
    async def run() -> bytes:
        transport = AsyncTransport(options)
        try:
            return await transport.send(request)
        finally:
            await transport.close()

    return asyncio.run(run())


@pytest.fixture(params=[send_sync, send_async], ids=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    """Each test runs through both transports."""
    return request.param


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server():
    with FakeServer() as running:
        yield running


def options_for(url: str, clock: Clock, policy: RetryPolicy | None = None, **extra: object) -> TransportOptions:
    return TransportOptions(
        url, clock=clock.time, sleep=clock.sleep, async_sleep=clock.async_sleep, rng=random.Random(7),
        retry=policy or RetryPolicy(), **extra,
    )  # fmt: skip


@pytest.mark.parametrize("status", [429, 503])
def test_waits_and_repeats_the_same_request(send: Send, server: FakeServer, clock: Clock, status: int) -> None:
    """Two refusals, then the answer; the waits double and stay within their jitter."""
    server.faults.extend([Fault(status, {"retry-after": "0"})] * 2)
    body = orjson.dumps({"items": [{"content": "hello"}], "operation_id": "op-1"})
    answer = send(options_for(server.url, clock), Request("POST", "/v1/default/banks/b/memories", body=body))
    assert orjson.loads(answer)["operation_id"] == "op-1"
    assert [one.body for one in server.received] == [body] * 3
    first_s, second_s = clock.slept_s
    assert 0.05 <= first_s <= 0.1
    assert 0.1 <= second_s <= 0.2


def test_honours_retry_after(send: Send, server: FakeServer, clock: Clock) -> None:
    """The wait is never shorter than asked for, and only a jitter longer."""
    server.faults.append(Fault(429, {"retry-after": "7"}))
    send(options_for(server.url, clock), GET)
    assert len(clock.slept_s) == 1
    assert 7.0 < clock.slept_s[0] <= 7.1


def test_does_not_wait_past_the_deadline(send: Send, server: FakeServer, clock: Clock) -> None:
    """A Retry-After beyond the deadline ends the call at once, with the server's own words."""
    server.faults.append(Fault(429, {"retry-after": "61"}))
    with pytest.raises(OverloadedError, match="a test asked for this") as caught:
        send(options_for(server.url, clock, RetryPolicy(deadline_s=60)), GET)
    assert caught.value.retry_after_s == 61.0
    assert clock.slept_s == []


def test_gives_up_at_the_deadline(send: Send, server: FakeServer, clock: Clock) -> None:
    """A server that keeps refusing is asked until the deadline and not longer."""
    server.faults.extend([Fault(503, {"retry-after": "1"})] * 50)
    with pytest.raises(UnavailableError):
        send(options_for(server.url, clock, RetryPolicy(deadline_s=10, max_wait_s=0.2)), GET)
    assert 8.5 <= sum(clock.slept_s) <= 10
    assert len(server.received) == len(clock.slept_s) + 1


def test_lost_answer_is_asked_for_again_and_stores_nothing_twice(send: Send, server: FakeServer, clock: Clock) -> None:
    """The connection breaks after the write took effect; the retry carries the same operation id."""
    server.faults.append(Fault(drop=True, after=True))
    body = orjson.dumps({"items": [{"content": "hello"}], "operation_id": "op-1"})
    send(options_for(server.url, clock), Request("POST", "/v1/default/banks/b/memories", body=body))
    assert len(server.received) == 2
    assert len(server.banks["b"].units()) == 1


@pytest.mark.parametrize(
    ("status", "error"), [(400, InvalidRequestError), (409, ConflictError), (500, ServerError), (502, ServerError)]
)
def test_other_refusals_are_final(
    send: Send, server: FakeServer, clock: Clock, status: int, error: type[LorebankError]
) -> None:
    """Waiting would not help, so nothing is repeated."""
    server.faults.append(Fault(status))
    with pytest.raises(error):
        send(options_for(server.url, clock), GET)
    assert (len(server.received), clock.slept_s) == (1, [])


def test_once_is_once(send: Send, server: FakeServer, clock: Clock) -> None:
    """A readiness probe asks once, whatever the answer."""
    server.faults.append(Fault(503))
    with pytest.raises(UnavailableError):
        send(options_for(server.url, clock), replace(GET, once=True))
    assert (len(server.received), clock.slept_s) == (1, [])


def test_refused_connections_are_retried_until_their_own_deadline(send: Send, clock: Clock) -> None:
    """Nothing listens: the shorter `unreachable_s` applies, and the error names address and request."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NoAnswerError, match=f"no answer from {url} to GET /version"):
        send(options_for(url, clock, RetryPolicy(deadline_s=60, unreachable_s=3)), GET)
    assert 1.0 <= sum(clock.slept_s) <= 3.0


def test_read_timeout_is_not_repeated(clock: Clock) -> None:
    """The call may still be running; sending it again would double the load."""
    sent: list[httpx.Request] = []

    def too_slow(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise httpx.ReadTimeout("too slow", request=request)

    options = options_for("http://127.0.0.1:9", clock, http=httpx.MockTransport(too_slow))
    with pytest.raises(NoAnswerError, match="too slow"):
        send_sync(options, GET)
    assert len(sent) == 1


def test_attempt_never_outlives_the_deadline(clock: Clock) -> None:
    """The timeout of each attempt is what is left of the call's deadline."""
    timeouts_s: list[float] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        timeouts_s.append(request.extensions["timeout"]["read"])
        return httpx.Response(503, headers={"retry-after": "4"})

    options = options_for(
        "http://127.0.0.1:9", clock, RetryPolicy(deadline_s=10), http=httpx.MockTransport(refuse), timeout_s=8.0
    )
    with pytest.raises(UnavailableError):
        send_sync(options, GET)
    assert timeouts_s[0] == 8.0
    assert timeouts_s[1] == pytest.approx(6.0, abs=0.2)


def test_key_and_agent_are_sent_and_loopback_needs_no_proxy(
    server: FakeServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bearer token travels in its header; a proxy in the environment does not come between."""
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, content=b"{}")

    send_sync(options_for("http://127.0.0.1:9", clock, api_key="k", http=httpx.MockTransport(answer)), GET)
    assert seen[0]["authorization"] == "Bearer k"
    assert seen[0]["user-agent"].startswith("lorebank/")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    send_sync(options_for(server.url, clock), GET)
    assert len(server.received) == 1
