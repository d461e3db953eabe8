"""Users for locust: retain, recall, list and get over several banks; run.py starts it, --run-time ends it."""

import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import gevent
from locust import FastHttpUser, events

from loadtests.recording import Acknowledged, Record, RequestRow
from loadtests.timed_connection import BANKS_PATH, REFUSALS, bank_path, recall_path, retain_path, retry_after_s
from loadtests.workload import GetDocument, ListDocuments, Recall, Retain, Workload, retain_item

MAX_WAIT_S = 5.0
"""Longest pause after a refusal."""

RECORD = Record()
STREAMS = count()


class MemoryUser(FastHttpUser):  # type: ignore[misc]  # locust has no types here
    """One client that does what its workload says, one request after another, with short pauses."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        options = environment.parsed_options
        self._think_s: float = options.think_ms / 1000
        self._workload = Workload(options.seed, next(STREAMS), options.bank_ids.split(","))
        self._stored: list[Acknowledged] = []

    def wait_time(self) -> float:
        """Seconds between two actions."""
        return self._think_s

    def act(self) -> None:
        """The next action."""
        action = self._workload.next_action()
        match action:
            case Recall():
                self._send("POST recall", recall_path(action.bank_id), {"query": action.query})
            case Retain():
                self._retain(action)
            case GetDocument() if self._stored:
                known = self._stored[int(action.share * len(self._stored))]
                self._send("GET document", bank_path(known.bank_id, "documents", known.document_id))
            case GetDocument():
                self._send("GET banks", BANKS_PATH)
            case ListDocuments():
                self._send("GET documents", bank_path(action.bank_id, "documents"))

    tasks: ClassVar = [act]

    def _retain(self, action: Retain) -> None:
        items = [retain_item(fact, action.document_id) for fact in action.facts]
        if self._send("POST retain", retain_path(action.bank_id), {"items": items}):
            stored = Acknowledged(action.bank_id, action.document_id, [fact.text for fact in action.facts])
            self._stored.append(stored)
            RECORD.acknowledged.append(stored)

    def _send(self, route: str, path: str, body: Mapping[str, Any] | None = None) -> bool:
        """Send and record one request; whether it was accepted. Pauses after a refusal."""
        method = route.partition(" ")[0]
        started_s = time.perf_counter()
        response = self.client.request(method, path, name=route, json=body)
        latency_ms = (time.perf_counter() - started_s) * 1000
        status: int = response.status_code
        RECORD.requests.append(RequestRow(route, status, latency_ms))
        if status in REFUSALS:
            gevent.sleep(min(MAX_WAIT_S, retry_after_s(response.headers.get("retry-after"))))
        return 200 <= status < 300


def _add_options(parser: Any) -> None:
    parser.set_defaults(run_time=60)  # so that it stops by itself however it is started
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated traffic")
    parser.add_argument("--bank-ids", default="load-0", help="banks to use, separated by commas")
    parser.add_argument("--think-ms", type=float, default=50.0, help="pause of a user between two actions")
    parser.add_argument("--record", default="", help="file to write every request to")


def _write_record(environment: Any, **_: Any) -> None:
    if environment.parsed_options.record:
        RECORD.write(Path(environment.parsed_options.record))


events.init_command_line_parser.add_listener(_add_options)
events.quitting.add_listener(_write_record)
