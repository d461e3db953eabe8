"""An OpenAI-compatible embeddings endpoint on this machine that answers as a script says, faults included."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


def vector_of(text: str, dim: int = 3) -> list[float]:
    """A direction that tells its text's length."""
    return [float(len(text)), *[1.0] * (dim - 1)]


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def good(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
    """Answers in reverse: the index counts, not the order."""
    dim = request.get("dimensions", 3)
    data = [{"index": index, "embedding": vector_of(text, dim)} for index, text in enumerate(request["input"])]
    send(handler, 200, json.dumps({"object": "list", "data": data[::-1]}).encode())


def status(code: int, body: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, request: send(handler, code, body.encode(), named)


def data(*items: Any) -> Answer:
    return lambda handler, request: send(handler, 200, json.dumps({"data": list(items)}).encode())


def raw(body: str) -> Answer:
    return lambda handler, request: send(handler, 200, body.encode())


class ScriptedServer:
    """Answers as the script says, then well; records what it was asked."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.stopping = threading.Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                scripted.requests.append(request)
                scripted.headers.append(dict(self.headers))
                scripted.paths.append(self.path)
                (scripted.script.pop(0) if scripted.script else good)(self, request)

            def log_message(self, *args: Any) -> None:
                """Keeps test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def hang(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        """Says nothing until the test is over."""
        handler.close_connection = True
        self.stopping.wait(30)

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
