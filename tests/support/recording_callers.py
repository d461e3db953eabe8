"""Callers of a running server that retain, replace, delete and read, go on through every restart, and record it all."""

import itertools
import random
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from tests.support.histories import Event, Kind, check_history

BANKS = 4
SHARED = 3
"""Documents of each bank that all of its callers write."""
OWN = 2
"""Documents that only one caller writes: what it was acknowledged must be in the next recall."""
INSIST_S = 90.0
PAUSE_S = 0.1


class Refused(AssertionError):
    """An answer that no client should have been given."""


class Record:
    """What all callers of one server did; shared between their threads."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = defaultdict(list)
        """By bank."""
        self.statuses: Counter[int] = Counter()

    @property
    def acknowledged(self) -> int:
        """Writes."""
        events = itertools.chain.from_iterable(self.events.values())
        return sum(event.kind is not Kind.READ and event.returned is not None and event.found for event in events)

    def as_known_at(self, instant_s: float) -> "Record":
        """What was answered until then; of every later write it is open whether it happened."""
        known = Record()
        for bank, events in self.events.items():
            for event in list(events):
                if event.returned is not None and event.returned <= instant_s:
                    known.events[bank].append(event)
                elif event.kind is not Kind.READ:
                    known.events[bank].append(Event(event.kind, event.document, event.called, text=event.text))
        return known


class Caller(threading.Thread):
    """One client, one request at a time, until it is stopped; `error` is what went wrong.

    With `until_lost` it ends, well, at the first request without an answer: a killed server gives none.
    """

    def __init__(self, url: str, number: int, seed: int, record: Record, *, until_lost: bool = False) -> None:
        super().__init__(daemon=True)
        self.bank = f"bank-{number % BANKS}"
        self.error: BaseException | None = None
        self.first_acknowledged = threading.Event()
        """A write was, since this was last cleared."""
        self._until_lost = until_lost
        self._number = number
        self._choice = random.Random(seed * 1000 + number)
        self._record = record
        self._http = httpx.Client(base_url=f"{url}/v1/default/banks/{self.bank}", timeout=60)
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            with self._http:
                while not self._stopped.is_set():
                    self._act()
        except httpx.HTTPError as exc:
            if not self._until_lost:
                self.error = exc
        except BaseException as exc:  # noqa: BLE001 - the test raises it in its own thread
            self.error = exc

    def stop(self) -> None:
        """Finish what is under way and end."""
        self._stopped.set()

    def _act(self) -> None:
        own = self._choice.random() < 0.4
        document = f"of {self._number}/{self._choice.randrange(OWN)}" if own else f"d/{self._choice.randrange(SHARED)}"
        act = self._choice.choices([self._retain, self._delete_document, self._read], [6, 1, 3])[0]
        lines = act(document)
        if own and lines:
            found = self._insist("POST", "/memories/recall", {"query": lines[0], "limit": 3}).json()["results"]
            if lines[0] not in [result["text"] for result in found]:
                raise Refused(f"{lines[0]} is acknowledged and not recalled")

    def _retain(self, document: str) -> list[str]:
        lines = [f"{document} says {self._choice.getrandbits(64):016x}" for _ in range(self._choice.randint(1, 5))]
        text, called = "\n".join(lines), time.monotonic()
        items = [{"content": line, "document_id": document} for line in lines]
        try:
            answer = self._insist("POST", "/memories", {"items": items, "operation_id": str(uuid.uuid4())}).json()
        except BaseException:
            self._note(Event(Kind.PUT, document, called, text=text))
            raise
        (written,) = answer["documents"]
        returned = time.monotonic()
        self._note(Event(Kind.PUT, document, called, returned, text, written["version"], seq=written["seq"]))
        self.first_acknowledged.set()
        return lines

    def _delete_document(self, document: str) -> None:
        """Each attempt is a call of its own: over HTTP a delete has no operation id."""
        deadline_s = time.monotonic() + INSIST_S
        while True:
            called = time.monotonic()
            try:
                answer = self._send("DELETE", _path(document))
            except BaseException:
                self._note(Event(Kind.DELETE, document, called))
                raise
            if answer.status_code in {200, 404}:
                break
            self._note(Event(Kind.DELETE, document, called))
            self._wait(answer, deadline_s)
        self._note(Event(Kind.DELETE, document, called, time.monotonic(), found=answer.status_code == 200))

    def _read(self, document: str) -> None:
        called = time.monotonic()
        answer = self._insist("GET", _path(document))
        found = answer.json() if answer.status_code == 200 else {}
        event = Event(Kind.READ, document, called, time.monotonic(), found.get("original_text"), found.get("version"))
        self._note(event)

    def _note(self, event: Event) -> None:
        self._record.events[self.bank].append(event)

    def _insist(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """The answer to a request that is sent again while it is refused for now."""
        deadline_s = time.monotonic() + INSIST_S
        while (answer := self._send(method, path, body)).status_code in {429, 503}:
            self._wait(answer, deadline_s)
        return answer

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        answer = self._http.request(method, path, json=body)
        self._record.statuses[answer.status_code] += 1
        missing = answer.status_code == 404 and method in {"GET", "DELETE"}
        later = answer.status_code in {429, 503} and int(answer.headers.get("retry-after", 0)) >= 1
        if not (answer.status_code == 200 or missing or later):
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer

    def _wait(self, answer: httpx.Response, deadline_s: float) -> None:
        if time.monotonic() > deadline_s:
            raise Refused(f"still refused after {INSIST_S:g} s: {answer.text[:500]}")
        threading.Event().wait(PAUSE_S)


def _path(document: str) -> str:
    return f"/documents/{quote(document, safe='')}"


@contextmanager
def calling(url: str, count: int, seed: int, record: Record, *, until_lost: bool = False) -> Iterator[list[Caller]]:
    """Callers for the length of the block; at its end none of them may have met an error."""
    callers = [Caller(url, number, seed, record, until_lost=until_lost) for number in range(count)]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        for caller in callers:
            caller.stop()
        for caller in callers:
            caller.join(INSIST_S + 60)
    see_no_error(callers)


def wait_acknowledged(callers: list[Caller], timeout_s: float) -> None:
    """Wait until each of them had a write acknowledged since it began or its event was cleared."""
    for caller in callers:
        if not caller.first_acknowledged.wait(timeout_s):
            see_no_error(callers)
            raise Refused(f"no write acknowledged within {timeout_s:g} s")


def see_no_error(callers: list[Caller]) -> None:
    """Raise what one of them met."""
    for caller in callers:
        if caller.error is not None:
            raise caller.error


def check_record(url: str, record: Record) -> int:
    """Read every document; one order must explain all that was ever answered, and nothing is there twice.

    How many documents were read.
    """
    read = 0
    with httpx.Client(base_url=f"{url}/v1/default/banks", timeout=60) as http:
        for bank, events in record.events.items():
            documents = sorted({event.document for event in events})
            for document in documents:
                called = time.monotonic()
                answer = http.get(f"/{bank}{_path(document)}")
                assert answer.status_code in {200, 404}, answer.text
                found = answer.json() if answer.status_code == 200 else {}
                text = found.get("original_text")
                events.append(Event(Kind.READ, document, called, time.monotonic(), text, found.get("version")))
                _check_units(http, bank, document, text.split("\n") if text else [])
            check_history(events)
            read += len(documents)
    return read


def _check_units(http: httpx.Client, bank: str, document: str, lines: list[str]) -> None:
    page = http.get(f"/{bank}/memories/list", params={"document_id": document, "limit": 100}).json()
    texts = sorted(item["text"] for item in page["items"])
    assert texts == sorted(lines), f"{document}: {texts} are not its lines"
    if lines:
        results = http.post(f"/{bank}/memories/recall", json={"query": lines[0], "limit": 5}).json()["results"]
        assert lines[0] in [result["text"] for result in results], f"{document}: not recalled"
