"""The synchronous client. _async_client.py mirrors it method by method; a test compares the two."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from lorebank import _calls, wire
from lorebank._batches import cut_batches
from lorebank._cache import RecallCache
from lorebank._errors import LorebankError
from lorebank._models import Directives, MentalModels
from lorebank._observations import Observations
from lorebank._options import (
    BankOptions,
    ContentInput,
    DocumentPageOptions,
    FoundMemory,
    ItemInput,
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
from lorebank._pages import Pages
from lorebank._reflections import Reflections
from lorebank._tools import found_memories, text_metadata
from lorebank._transport import RetryPolicy, Transport, TransportOptions
from lorebank.wire.fields import ResponseModel

AnswerT = TypeVar("AnswerT", bound=ResponseModel)
DEFAULT_URL = "http://127.0.0.1:8080"


class Client:
    """Memory banks over HTTP. Safe to share between threads; close it, or use it as a context manager.

    A call is repeated on connection failures, 429 and 503 until `deadline_s`, or `unreachable_s` if nothing takes the
    connection; writes carry an operation id, so nothing is stored twice. `cache_ttl_s` keeps recall answers that long,
    until this client writes to the bank. `on_error` turns failures of the two tools, search_memory and add_memory,
    into a call of it and an empty result.

    Raises (every method, beside what its own docstring lists):
        ApiError: the server refused; see its subclasses.
        NoAnswerError: the server could not be reached.
        UnreadableAnswerError: the answer is not what the contract says.
        ValueError: an argument that no server would accept, found before anything is sent.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        deadline_s: float = 60.0,
        unreachable_s: float | None = None,
        cache_ttl_s: float = 0.0,
        on_error: Callable[[LorebankError], None] | None = None,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        self._transport = Transport(
            TransportOptions(base_url, api_key, timeout_s, RetryPolicy(deadline_s, unreachable_s), http=http)
        )
        self._cache = RecallCache(cache_ttl_s)
        self._on_error = on_error
        self.directives = Directives(self._ask)
        self.mental_models = MentalModels(self._ask)
        self.observations = Observations(self._ask)
        self.reflections = Reflections(self._ask)
        self.pages = Pages(self._ask)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used after."""
        self._transport.close()

    def retain(self, bank_id: str, content: ContentInput, **options: Unpack[RetainOptions]) -> wire.RetainResponse:
        """Remember one text, or one dialogue given as messages; an unknown bank is created.

        Raises:
            ConflictError: the operation id was used for something else.
            TooLargeError: over a limit of the server.
        """
        return self._write(bank_id, _calls.retain(bank_id, content, options))

    def retain_many(
        self, bank_id: str, items: Iterable[ItemInput], **options: Unpack[RetainManyOptions]
    ) -> list[wire.RetainResponse]:
        """Remember many items in as few requests as is sensible; items of one document stay in one request.

        Raises:
            ConflictError: the operation id was used for something else.
            TooLargeError: over a limit of the server.
        """
        batches = list(cut_batches(items))
        calls = _calls.retain_batches(bank_id, batches, options)
        return [self._write(bank_id, call) for call in calls]

    def recall(self, bank_id: str, query: str, **options: Unpack[RecallOptions]) -> wire.RecallResponse:
        """The units that answer a query, best first. A bank nobody wrote to has none."""
        call = _calls.recall(bank_id, query, options)
        key = (bank_id, call.request.body or b"")
        kept = self._cache.find(key)
        if kept is not None:
            return call.read(kept)
        mark = self._cache.mark()
        body = self._transport.send(call.request)
        answer = call.read(body)
        self._cache.keep(key, body, mark)
        return answer

    def recall_stack(self, query: str, **options: Unpack[StackRecallOptions]) -> wire.RecallResponse:
        """The units of several banks that answer a query; give `banks`, the nearest first, or the `scope` of some."""
        return self._ask(_calls.recall_stack(query, options))

    def reflect(self, bank_id: str, query: str, **options: Unpack[ReflectOptions]) -> wire.ReflectResponse:
        """An answer in words, reasoned from the bank's units."""
        return self._ask(_calls.reflect(bank_id, query, options))

    def search_memory(self, user_id: str, query: str, limit: int = 5) -> list[FoundMemory]:
        """Tool for agents: what the bank named `user_id` knows about a query, as JSON-ready objects."""
        try:
            return found_memories(self.recall(user_id, query, limit=limit))
        except LorebankError as error:
            self._hand_over(error)
            return []

    def add_memory(
        self, user_id: str, messages: str | Sequence[MessageInput], metadata: Mapping[str, object] | None = None
    ) -> wire.RetainResponse | None:
        """Tool for agents: remember a text or messages in the bank named `user_id`; None if `on_error` took a failure.

        Raises:
            TypeError: a metadata value that JSON cannot express.
        """
        try:
            return self.retain(user_id, messages, metadata=text_metadata(metadata))
        except LorebankError as error:
            self._hand_over(error)
            return None

    def put_bank(self, bank_id: str, **options: Unpack[BankOptions]) -> wire.BankProfileResponse:
        """Create a bank, or change the given settings of one.

        Raises:
            ConflictError: another bank has the given scope.
        """
        return self._write(bank_id, _calls.put_bank(bank_id, options))

    def patch_bank(self, bank_id: str, **options: Unpack[BankOptions]) -> wire.BankProfileResponse:
        """Change the given settings of a bank.

        Raises:
            NotFoundError: no such bank.
        """
        return self._write(bank_id, _calls.patch_bank(bank_id, options))

    def get_profile(self, bank_id: str) -> wire.BankProfileResponse:
        """Name, disposition and mission of a bank.

        Raises:
            NotFoundError: no such bank.
        """
        return self._ask(_calls.get_profile(bank_id))

    def list_banks(self, **options: Unpack[PageOptions]) -> wire.BankListResponse:
        """A page of the banks this key may see."""
        return self._ask(_calls.list_banks(options))

    def delete_bank(self, bank_id: str) -> wire.DeleteResponse:
        """Delete a bank with everything in it. There is no way back."""
        return self._write(bank_id, _calls.delete_bank(bank_id))

    def delete_banks(self, confirm: str) -> wire.DeleteTenantResponse:
        """Delete banks of this key's tenant, whose name `confirm` repeats, some at a time: again until `left` is 0."""
        return self._write(None, _calls.delete_banks(confirm))

    def stats(self, bank_id: str) -> wire.BankStatsResponse:
        """Counts over a bank."""
        return self._ask(_calls.stats(bank_id))

    def list_memories(self, bank_id: str, **options: Unpack[MemoryPageOptions]) -> wire.ListMemoryUnitsResponse:
        """A page of the bank's units."""
        return self._ask(_calls.list_memories(bank_id, options))

    def get_memory(self, bank_id: str, memory_id: str) -> wire.MemoryUnitResponse:
        """One unit.

        Raises:
            NotFoundError: no such unit in this bank.
        """
        return self._ask(_calls.get_memory(bank_id, memory_id))

    def list_documents(self, bank_id: str, **options: Unpack[DocumentPageOptions]) -> wire.ListDocumentsResponse:
        """A page of the bank's documents, without their texts."""
        return self._ask(_calls.list_documents(bank_id, options))

    def get_document(self, bank_id: str, document_id: str) -> wire.DocumentResponse:
        """One document with its text, byte for byte.

        Raises:
            NotFoundError: no such document in this bank.
        """
        return self._ask(_calls.get_document(bank_id, document_id))

    def delete_document(self, bank_id: str, document_id: str) -> wire.DeleteDocumentResponse:
        """Delete a document with its units and what was derived from them.

        Raises:
            NotFoundError: no such document; after a lost connection also one that this call has just deleted.
        """
        return self._write(bank_id, _calls.delete_document(bank_id, document_id))

    def list_chunks(self, bank_id: str, document_id: str, **options: Unpack[PageOptions]) -> wire.ListChunksResponse:
        """A page of a document's chunks, in order.

        Raises:
            NotFoundError: no such document in this bank.
        """
        return self._ask(_calls.list_chunks(bank_id, document_id, options))

    def list_operations(self, bank_id: str, **options: Unpack[OperationPageOptions]) -> wire.OperationsListResponse:
        """A page of the bank's operations."""
        return self._ask(_calls.list_operations(bank_id, options))

    def get_operation(self, bank_id: str, operation_id: str) -> wire.OperationStatusResponse:
        """State of one operation; status `not_found` for an id nobody used."""
        return self._ask(_calls.get_operation(bank_id, operation_id))

    def cancel_operation(self, bank_id: str, operation_id: str) -> wire.CancelOperationResponse:
        """Cancel what is left of an operation.

        Raises:
            NotFoundError: no such operation.
            ConflictError: it has ended.
        """
        return self._ask(_calls.cancel_operation(bank_id, operation_id))

    def retry_operation(self, bank_id: str, operation_id: str) -> wire.RetryOperationResponse:
        """Have a failed or cancelled operation done again.

        Raises:
            NotFoundError: no such operation.
            ConflictError: it has neither failed nor been cancelled.
        """
        return self._ask(_calls.retry_operation(bank_id, operation_id))

    def delete_operation(self, bank_id: str, operation_id: str) -> wire.CancelOperationResponse:
        """Forget an operation that has ended.

        Raises:
            NotFoundError: no such operation.
            ConflictError: it has not ended.
        """
        return self._ask(_calls.delete_operation(bank_id, operation_id))

    def open_session(self, bank_id: str, **options: Unpack[SessionOptions]) -> wire.SessionResponse:
        """Begin a live conversation; lorebank.Session holds on to one.

        Raises:
            ConflictError: the session id is taken, or the bank has too many open sessions.
        """
        return self._ask(_calls.open_session(bank_id, options))

    def append_turns(
        self, bank_id: str, session_id: str, messages: Sequence[MessageInput], operation_id: str | None = None
    ) -> wire.AppendTurnsResponse:
        """Add turns to a session; when this returns they are durable, in order, and the next recall finds them.

        Raises:
            NotFoundError: no such session.
            ConflictError: it is closed, or the operation id was used for something else.
            TooLargeError: over a limit of the server.
        """
        return self._write(bank_id, _calls.append_turns(bank_id, session_id, messages, operation_id))

    def close_session(self, bank_id: str, session_id: str) -> wire.SessionResponse:
        """End a session; what was said stays, as a document of the session's id.

        Raises:
            NotFoundError: no such session.
        """
        return self._ask(_calls.close_session(bank_id, session_id))

    def get_session(self, bank_id: str, session_id: str) -> wire.SessionResponse:
        """One session.

        Raises:
            NotFoundError: no such session.
        """
        return self._ask(_calls.get_session(bank_id, session_id))

    def list_sessions(self, bank_id: str, **options: Unpack[SessionPageOptions]) -> wire.SessionListResponse:
        """A page of the bank's sessions, last appended to first."""
        return self._ask(_calls.list_sessions(bank_id, options))

    def delete_session(self, bank_id: str, session_id: str, *, keep_memory: bool = False) -> wire.DeleteSessionResponse:
        """Delete a session with all that was said in it, or with `keep_memory` only the session.

        Raises:
            NotFoundError: no such session; after a lost connection also one that this call has just deleted.
        """
        return self._write(bank_id, _calls.delete_session(bank_id, session_id, keep_memory=keep_memory))

    def watermarks(self, bank_id: str) -> wire.WatermarksResponse:
        """How far each stage of a bank is."""
        return self._ask(_calls.watermarks(bank_id))

    def list_events(self, bank_id: str, *, after: int = 0) -> wire.EventListResponse:
        """What happened in a bank since commit `after`, oldest first; go on with the answer's `last`."""
        return self._ask(_calls.list_events(bank_id, after))

    def list_entities(self, bank_id: str, **options: Unpack[PageOptions]) -> wire.EntityListResponse:
        """A page of the bank's entities."""
        return self._ask(_calls.list_entities(bank_id, options))

    def get_entity(self, bank_id: str, entity_id: str) -> wire.EntityDetailResponse:
        """One entity with what was observed about it.

        Raises:
            NotFoundError: no such entity in this bank.
        """
        return self._ask(_calls.get_entity(bank_id, entity_id))

    def list_tags(self, bank_id: str, **options: Unpack[TagPageOptions]) -> wire.ListTagsResponse:
        """A page of the bank's tags with their counts."""
        return self._ask(_calls.list_tags(bank_id, options))

    def version(self) -> wire.VersionResponse:
        """Version and features of the server."""
        return self._ask(_calls.version())

    def health(self) -> wire.HealthResponse:
        """Health of the server.

        Raises:
            UnavailableError: a part of it is not well.
        """
        return self._ask(_calls.health())

    def ready(self) -> wire.HealthResponse:
        """Readiness of the server, asked once and without retries.

        Raises:
            UnavailableError: it is starting or a part is restarting.
        """
        return self._ask(_calls.ready())

    def _ask(self, call: _calls.Call[AnswerT]) -> AnswerT:
        return call.read(self._transport.send(call.request))

    def _write(self, bank_id: str | None, call: _calls.Call[AnswerT]) -> AnswerT:
        try:
            return self._ask(call)
        finally:
            self._cache.forget(bank_id)

    def _hand_over(self, error: LorebankError) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)
