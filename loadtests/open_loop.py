"""Open-loop traffic: requests leave when they are due, whether or not earlier ones were answered.

Latency counts from the moment a request was due, so that a server that falls behind cannot hide it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from loadtests.percentiles import Percentiles
from loadtests.recording import NO_ANSWER, Acknowledged
from loadtests.timed_connection import BANKS_PATH, bank_path, recall_path, retain_path
from loadtests.workload import GetDocument, ListDocuments, Recall, Retain, Workload, retain_item

MOST_IN_FLIGHT = 2000
"""Beyond it a request counts as unanswered: the load generator must stay bounded too."""


@dataclass(slots=True)
class Traffic:
    """What came of the requests of one step."""

    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    """Of those served, from when they were due."""
    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """The first answers that were neither a success nor a 429."""

    @property
    def served(self) -> Percentiles | None:
        """Latencies of what was served."""
        return Percentiles.find(self.latencies_ms)

    @property
    def failed(self) -> dict[int, int]:
        """Answers that are neither a success nor a 429, by status; no answer is status 0."""
        return {status: count for status, count in self.statuses.items() if not (200 <= status < 300 or status == 429)}

    def summary(self) -> str:
        """One line."""
        said = ", ".join(f"{count} x {status or 'no answer'}" for status, count in sorted(self.statuses.items()))
        return f"{said}; served {self.served or 'nothing'}"


class HttpClient:
    """The least of an HTTP/1.1 client over asyncio: connections are kept, one request at a time on each."""

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._timeout_s = timeout_s
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body; status 0 and what went wrong where no answer came."""
        content = b"" if body is None else orjson.dumps(body)
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-length: {len(content)}\r\n"
        request = f"{head}content-type: application/json\r\n\r\n".encode() + content
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
                status, answer, kept = await _exchange(connection, request)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            return NO_ANSWER, repr(error).encode()
        if kept:
            self._idle.append(connection)
        else:
            connection[1].close()
        return status, answer

    def close(self) -> None:
        """Close the connections that are kept."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _exchange(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
) -> tuple[int, bytes, bool]:
    reader, writer = connection
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    lines = head.split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    if fields.get("transfer-encoding") == "chunked":
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readline()
        body = b"".join(parts)
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return int(lines[0].split(" ", 2)[1]), body, fields.get("connection") != "close"


class OpenLoop:
    """Sends one workload's actions over some banks at a rate."""

    def __init__(self, url: str, bank_ids: Sequence[str], *, seed: int, stream: int) -> None:
        self.client = HttpClient(url)
        self._workload = Workload(seed, stream, bank_ids)
        self._known: list[Acknowledged] = []

    async def run(self, per_s: float, seconds: float) -> Traffic:
        """Traffic at a rate for a time; ends when the last answer is there."""
        traffic = Traffic(seconds)
        started_s = time.perf_counter()
        flying: set[asyncio.Task[None]] = set()
        for number in range(int(per_s * seconds)):
            due_s = started_s + number / per_s
            wait_s = due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if len(flying) >= MOST_IN_FLIGHT:
                traffic.statuses[NO_ANSWER] += 1
                traffic.failures.append("too many requests without an answer")
                continue
            task = asyncio.create_task(self._act(traffic, due_s))
            flying.add(task)
            task.add_done_callback(flying.discard)
        if flying:
            await asyncio.wait(flying)
        return traffic

    async def _act(self, traffic: Traffic, due_s: float) -> None:
        action = self._workload.next_action()
        match action:
            case Recall():
                await self._send(traffic, due_s, "POST", recall_path(action.bank_id), {"query": action.query})
            case Retain():
                await self._retain(traffic, due_s, action)
            case GetDocument() if self._known:
                known = self._known[int(action.share * len(self._known))]
                await self._send(traffic, due_s, "GET", bank_path(known.bank_id, "documents", known.document_id))
            case GetDocument():
                await self._send(traffic, due_s, "GET", BANKS_PATH)
            case ListDocuments():
                await self._send(traffic, due_s, "GET", bank_path(action.bank_id, "documents"))

    async def _retain(self, traffic: Traffic, due_s: float, action: Retain) -> None:
        items = [retain_item(fact, action.document_id) for fact in action.facts]
        if await self._send(traffic, due_s, "POST", retain_path(action.bank_id), {"items": items}):
            stored = Acknowledged(action.bank_id, action.document_id, [fact.text for fact in action.facts])
            self._known.append(stored)
            traffic.acknowledged.append(stored)

    async def _send(self, traffic: Traffic, due_s: float, method: str, path: str, body: object = None) -> bool:
        status, answer = await self.client.send(method, path, body)
        traffic.statuses[status] += 1
        if 200 <= status < 300:
            traffic.latencies_ms.append((time.perf_counter() - due_s) * 1000)
            return True
        if status != 429 and len(traffic.failures) < 10:
            traffic.failures.append(f"{method} {path}: {status} {answer[:200].decode('utf-8', 'replace')}")
        return False


async def flood(url: str, bank_id: str, connections: int, stop: asyncio.Event) -> Counter[int]:
    """Retain into one bank over many connections without a pause, whatever it answers, until `stop` is set."""
    statuses: Counter[int] = Counter()
    client = HttpClient(url)

    async def write(number: int) -> None:
        workload = Workload(seed=3, stream=number, bank_ids=[bank_id])
        while not stop.is_set():
            facts = [workload.next_fact() for _ in range(4)]
            items = [retain_item(fact, f"note-{facts[0].code}") for fact in facts]
            status, _ = await client.send("POST", retain_path(bank_id), {"items": items})
            statuses[status] += 1

    await asyncio.gather(*(write(number) for number in range(connections)))
    client.close()
    return statuses
