"""FakeServer: an HTTP server on loopback with a stand-in for the memory, for tests of code that uses lorebank.

    with FakeServer() as server, Client(server.url) as client:
        client.retain("me", "I moved to Lisbon.")

It checks requests with the real wire models, but its recall only counts shared words.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import orjson
from pydantic import BaseModel, ValidationError

from lorebank import wire
from lorebank._fake_banks import FakeBank
from lorebank._fake_sessions import FakeSessions

_FEATURES = dict.fromkeys(wire.FeaturesInfo.model_fields, False)


@dataclass(frozen=True, slots=True)
class Fault:
    """What the server does instead of answering: send a status, or with `drop` close the connection.

    `after` lets the request take effect first, as when an answer is lost on its way.
    """

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    after: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in; `path` is still percent-encoded."""

    method: str
    path: str
    query: str
    body: bytes


class _RefusedError(Exception):
    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(status, title, detail)
        self.body = wire.make_problem(status, title, detail)


class FakeServer:
    """Serves until it is closed. `received` lists all requests; `faults` are used up one per request."""

    def __init__(self) -> None:
        self.banks: dict[str, FakeBank] = {}
        self.sessions: dict[str, FakeSessions] = {}
        self.received: list[Received] = []
        self.faults: deque[Fault] = deque()
        self.ready = True
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Base URL of the server."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def handle(self, request: Received) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body for a request; None closes the connection without an answer."""
        with self._lock:
            self.received.append(request)
            fault = self.faults.popleft() if self.faults else None
            if fault is None:
                status, answer = self._answer(request)
                return status, {}, orjson.dumps(answer.model_dump(mode="json", by_alias=True))
            if fault.after:
                self._answer(request)
        if fault.drop:
            return None
        planned = wire.make_problem(fault.status, "Planned fault", "a test asked for this")
        return fault.status, fault.headers, orjson.dumps(planned.to_wire())

    def _answer(self, request: Received) -> tuple[int, BaseModel]:
        try:
            return 200, self._route(request)
        except _RefusedError as refused:
            return refused.body.status, refused.body
        except ValidationError as error:
            problem = wire.problem_of_validation(error)
            return problem.status, problem

    def _route(self, request: Received) -> BaseModel:
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        match (request.method, *parts):
            case ("GET", "version"):
                return wire.VersionResponse(api_version="fake", features=wire.FeaturesInfo(**_FEATURES))
            case ("GET", "health", *_):
                if not self.ready:
                    raise _RefusedError(503, "Not ready", "the fake server was told so")
                return wire.HealthResponse(status="healthy")
            case ("GET", "v1", "default", "banks"):
                return self._list_banks()
            case ("DELETE", "v1", "default", "banks"):
                deleted = len(self.banks)
                self.banks.clear()
                self.sessions.clear()
                return wire.DeleteTenantResponse(success=True, deleted_banks=deleted, left=0)
            case ("POST", "v1", "default", "memories", "recall"):
                return self._recall_stack(wire.StackRecallRequest.model_validate_json(request.body))
            case (method, "v1", "default", "banks", bank_id, *rest):
                return self._bank_route(method, bank_id, rest, request.body, request.query)
        raise _RefusedError(404, "Not found", f"the fake server has no {request.method} {request.path}")

    def _list_banks(self) -> wire.BankListResponse:
        rows = [
            wire.BankListItem(
                bank_id=bank.bank_id,
                name=bank.name,
                disposition=wire.Disposition(**bank.traits),
                mission=bank.mission,
                fact_count=len(bank.units()),
            )
            for bank in self.banks.values()
        ]
        return wire.BankListResponse(total=len(rows), limit=100, offset=0, banks=rows)

    def _recall_stack(self, request: wire.StackRecallRequest) -> wire.RecallResponse:
        """Named banks only, one after the other: no address is known here."""
        banks = request.banks or []
        found = {bank: self.banks[bank].recall(request) for bank in banks if bank in self.banks}
        results = [one.model_copy(update={"bank_id": bank}) for bank, answer in found.items() for one in answer.results]
        results.sort(key=lambda one: -(one.scores.final if one.scores else 0.0))
        missing = [bank for bank in banks if bank not in found]
        return wire.RecallResponse(results=results[: request.limit or 10], banks=banks, missing_banks=missing)

    def _session_route(self, method: str, bank: FakeBank, parts: list[str], body: bytes, query: str) -> BaseModel:
        self.banks[bank.bank_id] = bank
        sessions = self.sessions.setdefault(bank.bank_id, FakeSessions(bank))
        if parts and parts[0] not in sessions.sessions:
            raise _RefusedError(404, "Not found", f"no session {parts[0]}")
        match (method, *parts):
            case ("POST",):
                return sessions.open(wire.OpenSessionRequest.model_validate_json(body))
            case ("GET",):
                return sessions.page()
            case ("GET", session_id):
                return sessions.sessions[session_id]
            case ("DELETE", session_id):
                return sessions.delete(session_id, keep_memory="keep_memory=true" in query)
            case ("POST", session_id, "close"):
                return sessions.close(session_id)
            case ("POST", session_id, "turns"):
                if sessions.sessions[session_id].state == "closed":
                    raise _RefusedError(409, "Conflict", f"session {session_id} is closed")
                return sessions.append(session_id, wire.AppendTurnsRequest.model_validate_json(body))
        raise _RefusedError(404, "Not found", f"the fake server has no {method} {'/'.join(parts)} of sessions")

    def _bank_route(self, method: str, bank_id: str, rest: list[str], body: bytes, query: str) -> BaseModel:
        bank = self.banks.get(bank_id) or FakeBank(bank_id)
        match (method, *rest):
            case ("PUT" | "PATCH",):
                self.banks[bank_id] = bank
                return bank.update(wire.BankUpdateRequest.model_validate_json(body))
            case ("DELETE",):
                found = self.banks.pop(bank_id, None)
                self.sessions.pop(bank_id, None)
                return wire.DeleteResponse(success=True, deleted_count=len(found.units()) if found else 0)
            case ("GET", "profile"):
                return bank.profile()
            case ("GET", "stats"):
                return bank.stats()
            case ("POST", "memories"):
                receipt = bank.retain(wire.RetainRequest.model_validate_json(body))
                self.banks[bank_id] = bank
                return receipt
            case ("POST", "memories", "recall"):
                return bank.recall(wire.RecallRequest.model_validate_json(body))
            case ("POST", "reflect"):
                return bank.reflect(wire.ReflectRequest.model_validate_json(body))
            case (_, "sessions", *parts):
                return self._session_route(method, bank, parts, body, query)
            case ("GET", *_):
                return _read_route(bank, rest)
            case ("DELETE" | "POST", "operations", operation_id, *_):
                if operation_id not in bank.receipts:
                    raise _RefusedError(404, "Not found", f"no operation {operation_id}")
                return wire.CancelOperationResponse(success=True, message="done", operation_id=operation_id)
            case ("DELETE", "documents", document_id) if document_id in bank.documents:
                units = bank.documents.pop(document_id)
                return wire.DeleteDocumentResponse(
                    success=True, message="deleted", document_id=document_id, memory_units_deleted=len(units)
                )
        raise _RefusedError(404, "Not found", f"the fake server has no {method} {'/'.join(rest)} in bank {bank_id}")


def _read_route(bank: FakeBank, rest: list[str]) -> BaseModel:
    """The listings and single reads of a bank; every listing is one page."""
    units = bank.units()
    match rest:
        case ["memories", "list"]:
            rows = [wire.MemoryUnitListItem(id=unit.id, text=unit.text, fact_type="world") for unit in units]
            return wire.ListMemoryUnitsResponse(total=len(rows), limit=100, offset=0, items=rows)
        case ["memories", unit_id] if found := [unit for unit in units if unit.id == unit_id]:
            return wire.MemoryUnitResponse(id=unit_id, text=found[0].text, type="world", kind="chunk")
        case ["documents"]:
            documents = [wire.DocumentListItem(id=one, bank_id=bank.bank_id) for one in bank.documents]
            return wire.ListDocumentsResponse(total=len(documents), limit=100, offset=0, items=documents)
        case ["documents", document_id] if document := bank.document(document_id):
            return document
        case ["documents", document_id, "chunks"] if document_id in bank.documents:
            chunks = [
                wire.ChunkResponse(
                    chunk_id=unit.id,
                    document_id=document_id,
                    bank_id=bank.bank_id,
                    chunk_index=number,
                    chunk_text=unit.text,
                    created_at="",
                )
                for number, unit in enumerate(bank.documents[document_id])
            ]
            return wire.ListChunksResponse(total=len(chunks), limit=100, offset=0, items=chunks)
        case ["operations"]:
            done = [
                wire.OperationResponse(
                    id=one, task_type="retain", items_count=1, created_at="", status="completed", error_message=None
                )
                for one in bank.receipts
            ]
            return wire.OperationsListResponse(
                bank_id=bank.bank_id, total=len(done), limit=20, offset=0, operations=done
            )
        case ["operations", operation_id]:
            known = operation_id in bank.receipts
            return wire.OperationStatusResponse(operation_id=operation_id, status="completed" if known else "not_found")
        case ["watermarks"]:
            return wire.WatermarksResponse(bank_id=bank.bank_id, accepted=len(bank.receipts), stages={})
        case ["events"]:
            return wire.EventListResponse(bank_id=bank.bank_id, items=[], last=0, missed=False)
        case ["entities"]:
            return wire.EntityListResponse(total=0, limit=100, offset=0, items=[])
        case ["tags"]:
            tags = sorted({tag for unit in units for tag in unit.tags})
            counted = [wire.TagItem(tag=tag, count=sum(tag in unit.tags for unit in units)) for tag in tags]
            return wire.ListTagsResponse(total=len(counted), limit=100, offset=0, items=counted)
    raise _RefusedError(404, "Not found", f"nothing at {'/'.join(rest)} in bank {bank.bank_id}")


def _handler_for(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            target = urlsplit(self.path)
            answer = server.handle(Received(self.command, target.path, target.query, body))
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Stay silent."""

    return Handler
