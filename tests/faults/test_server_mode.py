"""`lorebank up` with LOREBANK_QDRANT_URL: every process over connections of its own to one stand-in for a server.

That the stand-in does what a real server or cluster does was not run here; `make test-server` runs the store's suites
against one.
"""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from lorebank import Client
from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.killing import kill_all, tree_of
from tests.support.qdrant_wire import QdrantWire
from tests.support.server_engine import wait_for

pytestmark = pytest.mark.long


@contextmanager
def served(wire: QdrantWire) -> Iterator[str]:
    """The stand-in on a port of loopback; its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = httpx.Request(
                self.command, f"http://127.0.0.1{self.path}", headers=dict(self.headers), content=body
            )
            response = wait_for(wire.transport.handle_async_request(request))
            self.send_response(response.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names are the library's

        def log_message(self, *_: object) -> None:
            """Nothing: requests are kept by the stand-in."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_deployment_on_a_server_keeps_no_memory_of_its_own(tmp_path, monkeypatch):
    wire = QdrantWire()
    with served(wire) as url:
        monkeypatch.setenv("LOREBANK_QDRANT_URL", url)
        monkeypatch.setenv("LOREBANK_EMBEDDER", "hash")
        monkeypatch.setenv("LOREBANK_BANK_HOSTS", "2")
        with OwnServer(up_command(free_port(), tmp_path / "one"), on_line=print) as server:
            with Client(server.url) as memory:
                for number in range(4):
                    memory.retain(f"bank-{number}", f"The red bicycle number {number}", document_id="d")
                memory.retain("bank-0", "The blue bicycle", document_id="d")
                assert [r.text for r in memory.recall("bank-0", "bicycle").results] == ["The blue bicycle"]
                checks = memory.ready().checks
                assert (checks["hosts"], checks["collections"]) == ("2 answered", "2 answered")
                assert "shards" not in checks
            processes = tree_of(server.pid)
            titles = [" ".join(process.cmdline()) for process in processes]
            assert sum("BankHost" in title for title in titles) == 2
            assert not [title for title in titles if "StorageShard" in title]
            kill_all(processes)
        # Another machine: nothing but the server is left.
        with (
            OwnServer(up_command(free_port(), tmp_path / "two"), on_line=print) as server,
            Client(server.url) as memory,
        ):
            assert [r.text for r in memory.recall("bank-0", "bicycle").results] == ["The blue bicycle"]
            assert [r.text for r in memory.recall("bank-3", "bicycle").results] == ["The red bicycle number 3"]
            memory.delete_bank("bank-3")
            assert memory.recall("bank-3", "bicycle").results == []
    keyless = [sent for sent in wire.sent if "ordering" in sent.params and not _keyed(sent.body)]
    assert keyless == []


def _keyed(body: dict) -> bool:
    parts = body.get("operations") or [body]
    return all(part.get("set_payload", part).get("shard_key") for part in parts)
