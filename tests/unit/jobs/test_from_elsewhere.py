"""Import from Hindsight and Mem0, against small servers on this machine that speak their wires."""

import asyncio
import threading
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from actors.settings import Settings
from jobs import foreign, imports
from jobs.bulk import send_bulk
from memory.errors import BadSettings, Unavailable
from memory.ids import Scope
from tests.support.fake_bank_client import FakeBankClient

Answer = Callable[[str, dict[str, str], Any], Any]
MARCH = datetime(2025, 3, 1, 9, tzinfo=UTC)


class Server:
    """Answers by a function of path, query and body; None is 404. `faults` are answered first."""

    def __init__(self, answer: Answer) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = orjson.loads(self.rfile.read(length)) if length else None
                parts = urlsplit(self.path)
                query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
                server.asked.append((parts.path, query, self.headers.get("authorization")))
                found = None if server.faults else answer(parts.path, query, body)
                code = server.faults.pop(0) if server.faults else 404 if found is None else 200
                raw = orjson.dumps(found if code == 200 else {"detail": f"code {code}"})
                self.send_response(code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self.asked: list[tuple[str, dict[str, str], str | None]] = []
        self.faults: list[int] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def page(rows: list[Any], name: str, query: dict[str, str]) -> dict[str, Any]:
    limit, offset = int(query["limit"]), int(query["offset"])
    return {name: rows[offset : offset + limit], "total": len(rows), "limit": limit, "offset": offset}


def run(tmp_path: Path, *given: str, client: FakeBankClient | None = None) -> tuple[FakeBankClient, dict[str, Any]]:
    client = client or FakeBankClient(Settings())
    chosen: Namespace = imports._parser().parse_args([*given, "--progress", str(tmp_path / "p"), "--patience-s", "0.5"])

    async def send() -> dict[str, Any]:
        with ExitStack() as held:
            return await send_bulk(client, imports.work_of(chosen, held), chosen, "here")

    return client, asyncio.run(send())


def documents_of(client: FakeBankClient, bank: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        scope = Scope("default", bank)
        listed = (await client.list_documents(scope, limit=1000)).documents
        return {document.id: await client.read_document(scope, document.id) for document in listed}

    return asyncio.run(read())


# -- Hindsight

HINDSIGHT: list[dict[str, Any]] = [
    {
        "id": f"doc/{number}",
        "original_text": None if number == 3 else f"Text {number}.",
        "created_at": "2025-06-01T00:00:00Z",
        "updated_at": f"2025-06-{number + 1:02d}T00:00:00Z",
        "tags": ["t"],
        "retain_params": {"context": "chat", "event_date": "2025-01-01T00:00:00Z"} if number == 2 else None,
        "document_metadata": {"n": str(number)},
    }
    for number in range(120)
]
FACT = {
    "fact_type": "world",
    "mentioned_at": "2025-03-01T09:00:00Z",
    "entities": "Ana, Oslo",
    "tags": ["t"],
    "metadata": {},
}


@pytest.fixture
def hindsight() -> Iterator[Server]:
    def answer(path: str, query: dict[str, str], body: Any) -> Any:
        del body
        root = "/v1/default/banks/a%2Fb"
        if path == "/v1/default/banks":
            return page([{"bank_id": "a/b"}], "banks", query)
        if path == root + "/profile":
            return {"bank_id": "a/b", "name": "Ann", "mission": "Help.", "disposition": {"empathy": 4}}
        if path == root + "/documents":
            return page([{"id": row["id"]} for row in reversed(HINDSIGHT)], "items", query)
        if path == root + "/memories/list":
            number = query["document_id"].removeprefix("doc/")
            facts = [{**FACT, "id": f"f{n}", "text": f"Fact {n} of {number}."} for n in range(2)]
            return page([] if number == "4" else facts, "items", query)
        found = {f"{root}/documents/doc%2F{row['id'].removeprefix('doc/')}": row for row in HINDSIGHT}
        return found.get(path)

    with Server(answer) as server:
        yield server


def test_a_hindsight_server_with_its_times_in_its_order(hindsight, tmp_path):
    hindsight.faults = [503, 429]
    client, report = run(tmp_path, hindsight.url, "--from", "hindsight", "--api-key", "k")
    assert (report["documents"]["retained"], report["rejects"]) == (120, 0)
    found = documents_of(client, "a/b")
    assert found["doc/1"].text == "Text 1."
    (chunk,) = found["doc/1"].chunks
    assert (chunk.mentioned_at, dict(chunk.metadata), chunk.tags) == (MARCH, {"n": "1"}, ("t",))
    assert found["doc/2"].chunks[0].mentioned_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert found["doc/2"].document.context == "chat"
    assert [c.text for c in found["doc/3"].chunks] == ["Fact 0 of 3.", "Fact 1 of 3."]
    assert found["doc/3"].chunks[0].entities == ("Ana", "Oslo")
    assert found["doc/4"].chunks[0].mentioned_at == datetime(2025, 6, 1, tzinfo=UTC)
    seqs = [found[row["id"]].document.seq for row in HINDSIGHT]
    assert seqs == sorted(seqs)
    head = asyncio.run(client.find_head(Scope("default", "a/b")))
    assert dict(head.profile) == {"name": "Ann", "reflect_mission": "Help.", "disposition_empathy": 4}
    assert {authorization for _, _, authorization in hindsight.asked} == {"Bearer k"}
    _, again = run(tmp_path, hindsight.url, "--from", "hindsight", client=client)
    assert again["documents"] == {"retained": 0, "there_already": 0, "retained_before": 120}


def test_a_document_transfer_archive(tmp_path):
    archive = tmp_path / "transfer.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("manifest.json", orjson.dumps({"schema_version": 1, "source_bank_id": "old"}))
        for number, row in enumerate(HINDSIGHT[:4]):
            facts = [{**FACT, "text": "From a fact.", "entities": ["Ana"]}]
            file.writestr(f"documents/{number:06d}.json", orjson.dumps({**row, "facts": facts}))
        file.writestr("documents/000004.json", orjson.dumps({"id": "empty"}))
        file.writestr("documents/000005.json", b"{")
    client, report = run(tmp_path, str(archive), "--from", "hindsight")
    assert (report["documents"]["retained"], report["rejects"]) == (4, 2)
    found = documents_of(client, "old")
    assert found["doc/0"].chunks[0].mentioned_at == MARCH
    assert found["doc/3"].text == "From a fact."
    client, _ = run(tmp_path, str(archive), "--from", "hindsight", "--bank", "new", "--again")
    assert len(documents_of(client, "new")) == 4


@pytest.mark.parametrize(
    ("faults", "error", "said"),
    [
        ([401], BadSettings, "--api-key"),
        ([503] * 50, Unavailable, "503"),
        ([404], BadSettings, "address"),
        ([500], BadSettings, "500"),
    ],
)
def test_a_server_that_does_not_answer_is_told_of(hindsight, tmp_path, monkeypatch, faults, error, said):
    monkeypatch.setattr(foreign, "LONGEST_PAUSE_S", 0.05)
    hindsight.faults = faults
    with pytest.raises(error, match=said):
        run(tmp_path, hindsight.url, "--from", "hindsight")


def test_no_server_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "LONGEST_PAUSE_S", 0.05)
    with pytest.raises(Unavailable, match="no answer from"):
        run(tmp_path, "http://127.0.0.1:9", "--from", "hindsight")


# -- Mem0


def memory(number: int, **ids: str) -> dict[str, Any]:
    return {
        "id": f"m{number}",
        "memory": f"Fact {number}",
        "created_at": f"2025-03-01T09:00:{number % 60:02d}Z",
        "metadata": {"k": number},
        "categories": ["food"],
        **ids,
    }


def test_a_mem0_platform(tmp_path):
    mine = [memory(n, user_id="u/1", agent_id="bot") for n in range(59, -1, -1)]
    bots = [*mine, memory(99, agent_id="bot")]

    def answer(path: str, query: dict[str, str], body: Any) -> Any:
        if path == "/v1/ping/":
            return {"status": "ok", "org_id": "o", "project_id": "p"}
        if path == "/v1/entities/":
            return {"results": [{"type": "user", "name": "u/1"}, {"type": "agent", "name": "bot"}]}
        if path == "/v3/memories/":
            rows = mine if "user_id" in body["filters"] else bots
            size, number = int(query["page_size"]), int(query["page"])
            return {"count": len(rows), "results": rows[(number - 1) * size : number * size], "next": None}
        return None

    with Server(answer) as server:
        client, report = run(tmp_path, server.url, "--from", "mem0", "--api-key", "key")
        assert {authorization for _, _, authorization in server.asked} == {"Token key"}
    assert (report["documents"]["retained"], report["banks"]) == (61, 2)
    found = documents_of(client, "u/1")
    chunk = found["m3"].chunks[0]
    assert (chunk.text, chunk.tags, chunk.mentioned_at.second) == ("Fact 3", ("food",), 3)
    assert dict(chunk.metadata) == {"agent_id": "bot", "k": "3"}
    seqs = [found[f"m{n}"].document.seq for n in range(60)]
    assert seqs == sorted(seqs)
    assert set(documents_of(client, "bot")) == {"m99"}


def test_a_mem0_server_of_ones_own(tmp_path):
    rows = {"results": [memory(2, user_id="u"), memory(1, user_id="u")]}
    with Server(lambda path, query, body: rows if path == "/memories" else None) as server:
        client, report = run(tmp_path, server.url, "--from", "mem0")
    assert report["documents"]["retained"] == 2
    found = documents_of(client, "u")
    assert found["m1"].document.seq < found["m2"].document.seq
    many = {"results": [memory(n, user_id="u") for n in range(1000)]}
    with (
        Server(lambda path, query, body: many if path == "/memories" else None) as server,
        pytest.raises(BadSettings, match="give the file"),
    ):
        run(tmp_path, server.url, "--from", "mem0", "--again")


@pytest.mark.parametrize("form", ["list", "wrapped", "lines"])
def test_a_file_of_mem0_memories(tmp_path, form):
    rows = [
        memory(1, user_id="u"),
        memory(2, run_id="r"),
        {"id": "x", "memory": "nobody's"},
        {"id": "y", "user_id": "u"},
    ]
    file = tmp_path / ("m.ndjson" if form == "lines" else "m.json")
    body = (
        b"\n".join(map(orjson.dumps, rows))
        if form == "lines"
        else orjson.dumps(rows if form == "list" else {"results": rows})
    )
    file.write_bytes(body)
    client, report = run(tmp_path, str(file), "--from", "mem0")
    assert (report["documents"]["retained"], report["rejects"], report["banks"]) == (2, 2, 2)
    assert documents_of(client, "r")["m2"].text == "Fact 2"
    reasons = [orjson.loads(line)["reason"] for line in Path(report["rejects_file"]).read_bytes().splitlines()]
    assert sorted(reasons) == ["it has no user, agent, app or run: give a bank with --bank", "there is no text"]
    client, report = run(tmp_path, str(file), "--from", "mem0", "--bank", "all", "--again")
    assert set(documents_of(client, "all")) == {"m1", "m2", "x"}
