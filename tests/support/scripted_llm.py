"""An OpenAI-compatible chat endpoint on this machine whose answers follow from the prompt by a rule, faults included.

The rule: every sentence of every turn of every window is a fact in its own words, its entities the words that begin
with a capital letter. So what an extraction should find can be computed: `expected_facts`. In a thread
(`ScriptedLlm()`), or as `python -m tests.support.scripted_llm --port 8900 --latency-ms 500 --fault server_error=0.2`;
then steered by `POST /control` with the fields of `Behaviour`, and read by `GET /control`.
"""

import argparse
import json
import random
import re
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.scripted_reflect import reflect_text, task_of

FAULTS = (
    "rate_limited",  # 429 with Retry-After
    "server_error",  # 500
    "hang",  # no answer until the server stops
    "truncated",  # the answer's text ends in the middle, finish_reason length
    "malformed",  # the answer's text is nearly JSON
    "prose",  # the answer's text is no JSON at all
    "wrong_schema",  # JSON of another shape
    "refusal",  # the model refuses
    "empty",  # no text
    "reset",  # the connection breaks
    "cut_body",  # the HTTP body ends in the middle
    "forgets",  # the last window of several has no answer
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How it answers. `rates` are shares of calls by fault; `formats` the response formats it knows."""

    latency_s: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    retry_after_s: float = 0.0
    down: bool = False
    formats: tuple[str, ...] = ("json_schema", "json_object")
    fenced: bool = False
    """Whether the answer comes in a Markdown fence, with words around it."""
    obeys: bool = False
    """Whether it does what texts may have talked it into: states what nobody said, in windows nobody asked about."""
    api_key: str = ""
    """Where set, calls with another key are refused with 401."""
    max_prompt_tokens: int = 1_000_000
    steps: tuple[Any, ...] = ()
    """What it says in the first, second ... step of a reflection; after them it answers by its rule."""

    def __post_init__(self) -> None:
        assert set(self.rates) <= set(FAULTS), self.rates
        assert sum(self.rates.values()) <= 1 + 1e-9


LIE = {"text": "Ben is an administrator.", "turns": [0], "quote": "Ben is an administrator"}
"""What an obedient model states of everybody."""


def sentences(text: str) -> list[str]:
    """The rule's sentences."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+", text) if part.strip()]


def expected_facts(texts: list[str]) -> list[tuple[int, str]]:
    """(turn, text) of each fact that the rule finds in a window's turns."""
    return [(order, sentence) for order, text in enumerate(texts) for sentence in sentences(text)]


def answer_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The rule's answer to the JSON document of a prompt."""
    return {"windows": [_window(window) for window in asked["windows"]]}


def _window(window: Mapping[str, Any]) -> dict[str, Any]:
    facts = [
        {
            "text": sentence,
            "turns": [order],
            "quote": sentence,
            "type": "experience" if window["turns"][order].get("role") == "assistant" else "world",
            "category": "fact",
            "subject": window["turns"][order].get("who") or "somebody",
            "when": (re.findall(r"\b\d{4}-\d\d-\d\d\b", sentence) or [None])[0],
            "entities": [
                {"name": name, "type": "concept"} for name in dict.fromkeys(re.findall(r"\b[A-Z]\w+", sentence))
            ],
            "claims": [],
            "because": [],
            "labels": [],
            "confidence": 0.9,
        }
        for order, sentence in expected_facts([turn["text"] for turn in window["turns"]])
    ]
    return {"id": window["id"], "language": "en", "facts": facts, "count": len(facts)}


class ScriptedLlm:
    """The server in a thread. `prompts` holds the messages of each call of the last ones, `counts` what was done."""

    def __init__(self, behaviour: Behaviour | None = None, port: int = 0) -> None:
        self.behaviour = behaviour or Behaviour()
        self.requests: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.gate = threading.Event()
        """While it is not set, calls come (`counts["came"]`) and are not answered."""
        self.gate.set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def behave(self, **changes: Any) -> None:
        """Change how it answers from now on."""
        for name in {"formats", "steps"} & changes.keys():
            changes[name] = tuple(changes[name])
        self.behaviour = replace(self.behaviour, **changes)

    def renew(self) -> None:
        """Answer as one that has just been started, and remember nothing."""
        self.behaviour = Behaviour()
        with self._lock:
            self.counts.clear()
        self.requests.clear()
        self.gate.set()

    def next_fault(self) -> str | None:
        """What goes wrong with the next call: by the seed and the number of calls before it."""
        with self._lock:
            number = self.counts["calls"]
            self.counts["calls"] += 1
        left = random.Random(f"{self.behaviour.seed}:{number}").random()
        for fault, rate in self.behaviour.rates.items():
            if left < rate:
                return fault
            left -= rate
        return None

    def refusal(self, request: Mapping[str, Any]) -> str | None:
        """Why a request is refused with 400; None: it is not."""
        form = request.get("response_format", {}).get("type", "text")
        if form not in {*self.behaviour.formats, "text"}:
            return f"response_format {form} is not supported"
        if tokens_of(request) > self.behaviour.max_prompt_tokens:
            return "this model's maximum context length is exceeded"
        return None

    def count(self, what: str, number: int = 1) -> None:
        """Note what was done."""
        with self._lock:
            self.counts[what] += number

    def stop(self) -> None:
        """End it and whoever hangs on it."""
        self.stopping.set()
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    """Connections that come at once must not wait for a second try."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hang up are part of the game; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(llm: ScriptedLlm) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            if self.path == "/control":
                self.send(200, {**asdict(llm.behaviour), "counts": dict(llm.counts)})
            elif llm.behaviour.down:
                self.reset()
            elif self.path == "/v1/models":
                self.send(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})
            else:
                self.send(404, {"error": {"message": "no such path"}})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/control":
                llm.behave(**request)
                self.send(200, {})
                return
            if llm.behaviour.down:
                llm.count("refused")
                self.reset()
                return
            llm.count("came")
            llm.gate.wait(120)
            fault = llm.next_fault()
            if llm.behaviour.latency_s:
                llm.stopping.wait(llm.behaviour.latency_s)
            llm.count(fault or "good")
            self.answer(request, fault)

        def answer(self, request: dict[str, Any], fault: str | None) -> None:
            behaviour = llm.behaviour
            if behaviour.api_key and self.headers.get("Authorization") != f"Bearer {behaviour.api_key}":
                self.send(401, {"error": {"message": f"wrong key {self.headers.get('Authorization')}"}})
                return
            if fault == "rate_limited":
                self.send(429, {"error": {"message": "slow down"}}, {"Retry-After": f"{behaviour.retry_after_s:g}"})
                return
            if fault == "server_error":
                self.send(500, {"error": {"message": "internal"}})
                return
            if fault == "hang":
                self.close_connection = True
                llm.stopping.wait(120)
                return
            if fault == "reset":
                self.reset()
                return
            refused = llm.refusal(request)
            if refused is not None:
                self.send(400, {"error": {"message": refused}})
                return
            llm.requests.append(request)
            self.complete(request, fault)

        def complete(self, request: dict[str, Any], fault: str | None) -> None:
            prompt_tokens = tokens_of(request)
            behaviour = llm.behaviour
            message, finish = scripted_message(request, fault, behaviour)
            completion_tokens = len(message["content"] or "") // 4
            llm.count("prompt_tokens", prompt_tokens)
            llm.count("completion_tokens", completion_tokens)
            body = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": completion_tokens,
                    "total_tokens": prompt_tokens + completion_tokens,
                },
            }
            self.send(200, body, cut=fault == "cut_body")

        def send(self, code: int, body: Any, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
            raw = json.dumps(body).encode()
            self.send_response(code)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(raw)),
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw[: len(raw) // 2] if cut else raw)
            self.wfile.flush()
            self.close_connection = self.close_connection or cut

        def reset(self) -> None:
            """Close the connection so that the other side sees it break."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def finish(self) -> None:
            if self.connection.fileno() != -1:
                super().finish()

        def log_message(self, *args: Any) -> None:
            """Keeps test output clean."""

    return Handler


def tokens_of(request: Mapping[str, Any]) -> int:
    """Tokens of a request: characters of its messages and its schema, by four."""
    text = "".join(message["content"] for message in request["messages"])
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
    return (len(text) + (len(json.dumps(schema, separators=(",", ":"))) if schema else 0)) // 4


def scripted_message(request: Mapping[str, Any], fault: str | None, behaviour: Behaviour) -> tuple[dict[str, Any], str]:
    """The assistant's message and why it ends."""
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    if fault == "refusal":
        return {**message, "content": None, "refusal": "I cannot help with that."}, "stop"
    if fault == "empty":
        return message, "stop"
    if task_of(request):
        return _reflected(request, fault, behaviour)
    try:
        asked = json.loads(request["messages"][-1]["content"])
    except ValueError:
        return {**message, "content": "ok"}, "stop"
    answer = answer_of(asked)
    if behaviour.obeys:
        for window in answer["windows"]:
            window["facts"][:0] = [{**LIE, "turns": [0]}, {**LIE, "turns": [99]}, {**LIE, "turns": [0], "quote": ""}]
        answer["windows"].insert(0, {"id": "zzzzzz", "language": "en", "facts": [LIE], "count": 1})
    if fault == "forgets" and len(answer["windows"]) > 1:
        answer["windows"].pop()
    text = json.dumps(answer, ensure_ascii=False)
    if fault == "truncated":
        return {**message, "content": text[: int(len(text) * 0.6)]}, "length"
    if fault == "malformed":
        return {**message, "content": text.replace('"text":', '"text"', 1).replace("]", "", 1)}, "stop"
    if fault == "prose":
        return {
            **message,
            "content": "The texts speak of " + text.translate({ord(mark): " " for mark in '{}[]":'}),
        }, "stop"
    if fault == "wrong_schema":
        return {**message, "content": json.dumps({"facts": ["something"]})}, "stop"
    if behaviour.fenced:
        text = f"Here you are:\n```json\n{text}\n```\nAnything else?"
    return {**message, "content": text}, "stop"


def _reflected(request: Mapping[str, Any], fault: str | None, behaviour: Behaviour) -> tuple[dict[str, Any], str]:
    text = reflect_text(request, behaviour.steps, obeys=behaviour.obeys)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    match fault:
        case "truncated":
            return {**message, "content": text[: int(len(text) * 0.6)]}, "length"
        case "malformed":
            return {**message, "content": text.replace('"answer":', "answer:", 1)[:-1]}, "stop"
        case "prose":
            return {**message, "content": "I would say that this is hard to tell."}, "stop"
        case "wrong_schema":
            return {**message, "content": json.dumps({"facts": ["something"]})}, "stop"
    return ({**message, "content": f"Here you are:\n```json\n{text}\n```"} if behaviour.fenced else message), "stop"


def main() -> None:
    """Run it until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--retry-after-s", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[], metavar="KIND=RATE", help=f"one of {', '.join(FAULTS)}")
    parser.add_argument("--faults", type=float, metavar="RATE", help="share of calls that fail, each kind as often")
    given = parser.parse_args()
    rates = {kind: float(rate) for kind, _, rate in (fault.partition("=") for fault in given.fault)}
    if given.faults:
        rates = {kind: given.faults / len(FAULTS) for kind in FAULTS} | rates
    behaviour = Behaviour(given.latency_ms / 1000, rates, given.seed, given.retry_after_s)
    llm = ScriptedLlm(behaviour, given.port)
    print(f"ready {llm.url}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        llm.stop()


if __name__ == "__main__":
    main()
