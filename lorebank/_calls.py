"""Every operation as a pure call: the request to send and the model its answer is read with."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import orjson
from pydantic import ValidationError

from lorebank import wire
from lorebank._errors import UnreadableAnswerError
from lorebank._options import (
    BankOptions,
    ContentInput,
    DocumentPageOptions,
    MemoryPageOptions,
    MessageInput,
    OperationPageOptions,
    PageOptions,
    RecallOptions,
    ReflectOptions,
    RetainManyOptions,
    RetainOptions,
    SessionOptions,
    SessionPageOptions,
    StackRecallOptions,
    TagPageOptions,
)
from lorebank._transport import Request
from lorebank.wire.fields import RequestModel, ResponseModel

BANKS = "/v1/default/banks"
RECALL = "/v1/default/memories/recall"
AnswerT = TypeVar("AnswerT", bound=ResponseModel)
_REQUEST_FIELDS = frozenset({"operation_id", "document_tags", "async_", "wait_for"})


@dataclass(frozen=True, slots=True)
class Call(Generic[AnswerT]):
    """What to send, and how to read what comes back."""

    request: Request
    answer: type[AnswerT]

    def read(self, body: bytes) -> AnswerT:
        """The answer's model.

        Raises:
            UnreadableAnswerError: the body is not what the contract says; the server may be another program.
        """
        try:
            return self.answer.model_validate_json(body)
        except ValidationError as exc:
            said = body[:120].decode("utf-8", "replace")
            raise UnreadableAnswerError(
                f"{self.request.method} {self.request.path}: {exc.error_count()} fields do not fit: {said}"
            ) from exc


def bank_path(bank_id: str, *parts: str) -> str:
    """Path below a bank, ids percent-encoded.

    Raises:
        ValueError: an id that cannot be addressed: blank, too long, `.`, `..` or with control characters.
    """
    return "/".join([BANKS, *(quote(wire.check_id(part), safe="") for part in (bank_id, *parts))])


def get_call(answer: type[AnswerT], path: str, params: Mapping[str, Any] | None = None) -> Call[AnswerT]:
    """A read."""
    present = {key: value for key, value in (params or {}).items() if value is not None}
    return Call(Request("GET", path, present), answer)


def send_call(answer: type[AnswerT], method: str, path: str, body: RequestModel) -> Call[AnswerT]:
    """A request with a body."""
    return Call(Request(method, path, body=orjson.dumps(body.to_wire())), answer)


def retain(bank_id: str, content: ContentInput, options: RetainOptions) -> Call[wire.RetainResponse]:
    """One item."""
    given = {key: value for key, value in options.items() if value is not None}
    item = {key: value for key, value in given.items() if key not in _REQUEST_FIELDS}
    content = content if isinstance(content, str) else list(content)
    request = {key: value for key, value in given.items() if key in _REQUEST_FIELDS}
    return _retain(bank_id, [wire.RetainItem.model_validate({"content": content, **item})], request)


def retain_batches(
    bank_id: str, batches: Sequence[Sequence[wire.RetainItem]], options: RetainManyOptions
) -> list[Call[wire.RetainResponse]]:
    """One call per batch; several share a given operation id as `id-0`, `id-1`, ..."""
    given = options.get("operation_id") or str(uuid.uuid4())
    ids = [given] if len(batches) == 1 else [f"{given}-{number}" for number in range(len(batches))]
    return [_retain(bank_id, batch, {**options, "operation_id": one}) for one, batch in zip(ids, batches, strict=True)]


def _retain(bank_id: str, items: Sequence[wire.RetainItem], options: Mapping[str, Any]) -> Call[wire.RetainResponse]:
    """Always with an operation id, so that a retry stores nothing twice."""
    fields = {"operation_id": str(uuid.uuid4()), **{key: val for key, val in options.items() if val is not None}}
    body = wire.RetainRequest.model_validate({"items": list(items), **fields})
    return send_call(wire.RetainResponse, "POST", bank_path(bank_id, "memories"), body)


def recall(bank_id: str, query: str, options: RecallOptions) -> Call[wire.RecallResponse]:
    """A recall."""
    given: dict[str, Any] = {"query": query, **options}
    moment = given.get("query_timestamp")
    if moment is not None and not isinstance(moment, str):
        given["query_timestamp"] = moment.isoformat()
    body = wire.RecallRequest.model_validate(given)
    return send_call(wire.RecallResponse, "POST", bank_path(bank_id, "memories", "recall"), body)


def recall_stack(query: str, options: StackRecallOptions) -> Call[wire.RecallResponse]:
    """A recall over several banks."""
    given: dict[str, Any] = {"query": query, **options}
    moment = given.get("query_timestamp")
    if moment is not None and not isinstance(moment, str):
        given["query_timestamp"] = moment.isoformat()
    return send_call(wire.RecallResponse, "POST", RECALL, wire.StackRecallRequest.model_validate(given))


def reflect(bank_id: str, query: str, options: ReflectOptions) -> Call[wire.ReflectResponse]:
    """A reflect; one that is stored always with an operation id, so that a retry is not answered twice."""
    given: dict[str, Any] = {"query": query, **options}
    if given.get("store"):
        given.setdefault("operation_id", str(uuid.uuid4()))
    body = wire.ReflectRequest.model_validate(given)
    return send_call(wire.ReflectResponse, "POST", bank_path(bank_id, "reflect"), body)


def put_bank(bank_id: str, options: BankOptions) -> Call[wire.BankProfileResponse]:
    """Create a bank or change the given fields of one."""
    body = wire.BankUpdateRequest.model_validate(options)
    return send_call(wire.BankProfileResponse, "PUT", bank_path(bank_id), body)


def patch_bank(bank_id: str, options: BankOptions) -> Call[wire.BankProfileResponse]:
    """Change the given fields of a bank."""
    body = wire.BankUpdateRequest.model_validate(options)
    return send_call(wire.BankProfileResponse, "PATCH", bank_path(bank_id), body)


def get_profile(bank_id: str) -> Call[wire.BankProfileResponse]:
    """A bank's profile."""
    return get_call(wire.BankProfileResponse, bank_path(bank_id, "profile"))


def list_banks(page: PageOptions) -> Call[wire.BankListResponse]:
    """A page of banks."""
    return get_call(wire.BankListResponse, BANKS, page)


def delete_bank(bank_id: str) -> Call[wire.DeleteResponse]:
    """Delete a bank and all it holds."""
    return Call(Request("DELETE", bank_path(bank_id)), wire.DeleteResponse)


def delete_banks(confirm: str) -> Call[wire.DeleteTenantResponse]:
    """Delete banks of the caller's tenant, some at a time."""
    return Call(Request("DELETE", BANKS, {"confirm": confirm}), wire.DeleteTenantResponse)


def stats(bank_id: str) -> Call[wire.BankStatsResponse]:
    """Counts over a bank."""
    return get_call(wire.BankStatsResponse, bank_path(bank_id, "stats"))


def list_memories(bank_id: str, options: MemoryPageOptions) -> Call[wire.ListMemoryUnitsResponse]:
    """A page of units."""
    return get_call(wire.ListMemoryUnitsResponse, bank_path(bank_id, "memories", "list"), options)


def get_memory(bank_id: str, memory_id: str) -> Call[wire.MemoryUnitResponse]:
    """One unit."""
    return get_call(wire.MemoryUnitResponse, bank_path(bank_id, "memories", memory_id))


def list_documents(bank_id: str, options: DocumentPageOptions) -> Call[wire.ListDocumentsResponse]:
    """A page of documents."""
    return get_call(wire.ListDocumentsResponse, bank_path(bank_id, "documents"), options)


def get_document(bank_id: str, document_id: str) -> Call[wire.DocumentResponse]:
    """One document with its text."""
    return get_call(wire.DocumentResponse, bank_path(bank_id, "documents", document_id))


def delete_document(bank_id: str, document_id: str) -> Call[wire.DeleteDocumentResponse]:
    """Delete a document with all that was derived from it."""
    return Call(Request("DELETE", bank_path(bank_id, "documents", document_id)), wire.DeleteDocumentResponse)


def list_chunks(bank_id: str, document_id: str, page: PageOptions) -> Call[wire.ListChunksResponse]:
    """A page of the chunks of a document."""
    return get_call(wire.ListChunksResponse, bank_path(bank_id, "documents", document_id, "chunks"), page)


def list_operations(bank_id: str, options: OperationPageOptions) -> Call[wire.OperationsListResponse]:
    """A page of operations."""
    return get_call(wire.OperationsListResponse, bank_path(bank_id, "operations"), options)


def get_operation(bank_id: str, operation_id: str) -> Call[wire.OperationStatusResponse]:
    """One operation."""
    return get_call(wire.OperationStatusResponse, bank_path(bank_id, "operations", operation_id))


def cancel_operation(bank_id: str, operation_id: str) -> Call[wire.CancelOperationResponse]:
    """End an operation that has not ended."""
    return Call(Request("DELETE", bank_path(bank_id, "operations", operation_id)), wire.CancelOperationResponse)


def retry_operation(bank_id: str, operation_id: str) -> Call[wire.RetryOperationResponse]:
    """Do a failed operation again."""
    path = bank_path(bank_id, "operations", operation_id, "retry")
    return Call(Request("POST", path, body=b"{}"), wire.RetryOperationResponse)


def delete_operation(bank_id: str, operation_id: str) -> Call[wire.CancelOperationResponse]:
    """Forget an operation."""
    path = bank_path(bank_id, "operations", operation_id, "delete")
    return Call(Request("DELETE", path), wire.CancelOperationResponse)


def open_session(bank_id: str, options: SessionOptions) -> Call[wire.SessionResponse]:
    """A new session; always with an operation id, so that a retry opens no second one."""
    fields = {"operation_id": str(uuid.uuid4()), **{key: val for key, val in options.items() if val is not None}}
    body = wire.OpenSessionRequest.model_validate(fields)
    return send_call(wire.SessionResponse, "POST", bank_path(bank_id, "sessions"), body)


def append_turns(
    bank_id: str, session_id: str, messages: Sequence[MessageInput], operation_id: str | None
) -> Call[wire.AppendTurnsResponse]:
    """Turns for a session; always with an operation id, so that a retry appends nothing twice."""
    body = wire.AppendTurnsRequest.model_validate(
        {"messages": list(messages), "operation_id": operation_id or str(uuid.uuid4())}
    )
    return send_call(wire.AppendTurnsResponse, "POST", bank_path(bank_id, "sessions", session_id, "turns"), body)


def close_session(bank_id: str, session_id: str) -> Call[wire.SessionResponse]:
    """The end of a session."""
    path = bank_path(bank_id, "sessions", session_id, "close")
    return Call(Request("POST", path, body=b"{}"), wire.SessionResponse)


def get_session(bank_id: str, session_id: str) -> Call[wire.SessionResponse]:
    """One session."""
    return get_call(wire.SessionResponse, bank_path(bank_id, "sessions", session_id))


def list_sessions(bank_id: str, options: SessionPageOptions) -> Call[wire.SessionListResponse]:
    """A page of sessions."""
    return get_call(wire.SessionListResponse, bank_path(bank_id, "sessions"), options)


def delete_session(bank_id: str, session_id: str, *, keep_memory: bool) -> Call[wire.DeleteSessionResponse]:
    """Delete a session, and unless it is kept what was said in it."""
    params = {"keep_memory": "true"} if keep_memory else {}
    return Call(Request("DELETE", bank_path(bank_id, "sessions", session_id), params), wire.DeleteSessionResponse)


def watermarks(bank_id: str) -> Call[wire.WatermarksResponse]:
    """How far each stage of a bank is."""
    return get_call(wire.WatermarksResponse, bank_path(bank_id, "watermarks"))


def list_events(bank_id: str, after: int) -> Call[wire.EventListResponse]:
    """Events of a bank after a commit."""
    return Call(Request("GET", bank_path(bank_id, "events"), {"after": str(after)}), wire.EventListResponse)


def list_entities(bank_id: str, page: PageOptions) -> Call[wire.EntityListResponse]:
    """A page of entities."""
    return get_call(wire.EntityListResponse, bank_path(bank_id, "entities"), page)


def get_entity(bank_id: str, entity_id: str) -> Call[wire.EntityDetailResponse]:
    """One entity."""
    return get_call(wire.EntityDetailResponse, bank_path(bank_id, "entities", entity_id))


def list_tags(bank_id: str, options: TagPageOptions) -> Call[wire.ListTagsResponse]:
    """A page of tags."""
    return get_call(wire.ListTagsResponse, bank_path(bank_id, "tags"), options)


def version() -> Call[wire.VersionResponse]:
    """Version of the server."""
    return get_call(wire.VersionResponse, "/version")


def health() -> Call[wire.HealthResponse]:
    """Health of the server."""
    return get_call(wire.HealthResponse, "/health")


def ready() -> Call[wire.HealthResponse]:
    """Readiness of the server, asked once."""
    return Call(Request("GET", "/health/ready", once=True), wire.HealthResponse)
