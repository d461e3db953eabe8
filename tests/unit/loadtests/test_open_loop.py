"""Open-loop traffic against a small server in this process."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

import orjson

from loadtests import open_loop
from loadtests.open_loop import HttpClient, OpenLoop, Traffic, flood
from tests.support.loops import in_loop

Handler = Callable[[str, str, object], Awaitable[bytes]]


def answer(status: int, body: bytes = b"{}", *fields: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *fields])
    return head.encode() + b"\r\n\r\n" + body


class Server:
    """Hands each request to a handler and sends back what that gives; counts connections."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self.connections = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except EOFError:
                break
            method, path, _ = head.split(" ", 2)
            size = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            body = await reader.readexactly(size)
            writer.write(await self._handle(method, path, orjson.loads(body) if body else None))
            await writer.drain()
        writer.close()


@in_loop
async def test_connections_are_kept_and_both_ways_to_frame_a_body_are_read():
    asked = []

    async def handle(method, path, body):
        asked.append((method, path, body))
        if path == "/chunked":
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        return answer(429, b"busy")

    async with Server(handle) as server:
        client = HttpClient(server.url)
        assert await client.send("GET", "/chunked") == (200, b"abcde")
        assert await client.send("POST", "/x", {"a": 1}) == (429, b"busy")
        client.close()
    assert asked == [("GET", "/chunked", None), ("POST", "/x", {"a": 1})]
    assert server.connections == 1


@in_loop
async def test_no_answer_is_a_status_of_its_own():
    async def handle(method, path, body):
        await asyncio.sleep(60)
        return answer(200)

    async with Server(handle) as server:
        status, said = await HttpClient(server.url, timeout_s=0.05).send("GET", "/")
        assert (status, said) == (0, b"TimeoutError()")
    status, said = await HttpClient(server.url).send("GET", "/")
    assert status == 0
    assert b"ConnectionRefused" in said or b"Connect" in said


@in_loop
async def test_requests_leave_when_they_are_due_and_latency_counts_from_then():
    begun, gate = 0, asyncio.Event()

    async def handle(method, path, body):
        nonlocal begun
        begun += 1
        if begun == 20:
            gate.set()
        await gate.wait()  # nobody is answered before the last one was sent
        return answer(200)

    async with Server(handle) as server:
        loop = OpenLoop(server.url, ["b"], seed=1, stream=1)
        traffic = await loop.run(per_s=200, seconds=0.1)
        loop.client.close()
    assert traffic.statuses == Counter({200: 20})
    assert len(traffic.latencies_ms) == 20
    assert max(traffic.latencies_ms) > 50


@in_loop
async def test_only_what_was_acknowledged_is_looked_for_and_failures_are_told_from_refusals():
    answers = iter([200, 429, 503, 200, 429] * 40)

    async def handle(method, path, body):
        return answer(next(answers))

    async with Server(handle) as server:
        loop = OpenLoop(server.url, ["b"], seed=1, stream=1)
        traffic = await loop.run(per_s=2000, seconds=0.1)
        loop.client.close()
    assert traffic.statuses == Counter({200: 80, 429: 80, 503: 40})
    assert traffic.failed == {503: 40}
    assert traffic.failures[0].endswith("503 {}")
    assert 0 < len(traffic.acknowledged) < 80
    assert "40 x 503" in traffic.summary()


@in_loop
async def test_the_load_generator_stays_bounded(monkeypatch):
    monkeypatch.setattr(open_loop, "MOST_IN_FLIGHT", 5)
    ended = asyncio.Event()

    async def handle(method, path, body):
        await ended.wait()
        return answer(200)

    async with Server(handle) as server:
        loop = OpenLoop(server.url, ["b"], seed=1, stream=1)
        running = asyncio.ensure_future(loop.run(per_s=1000, seconds=0.05))
        while not running.done():
            await asyncio.sleep(0.01)
            if server.connections == 5:
                ended.set()
        loop.client.close()
    assert running.result().failed[0] > 0


@in_loop
async def test_a_flood_goes_on_until_it_is_stopped_whatever_it_is_answered():
    stop = asyncio.Event()
    paths = set()
    asked = 0

    async def handle(method, path, body):
        nonlocal asked
        asked += 1
        paths.add(path)
        if asked >= 30:
            stop.set()
        return answer(429)

    async with Server(handle) as server:
        statuses = await flood(server.url, "full", 3, stop)
    assert statuses.total() >= 30
    assert paths == {"/v1/default/banks/full/memories"}


def test_a_step_without_answers_has_no_latency():
    traffic = Traffic(1.0)
    assert traffic.served is None
    assert traffic.summary() == "; served nothing"
