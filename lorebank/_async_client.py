"""The asynchronous client. It mirrors _client.py method by method; a test compares the two."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from lorebank import _calls, wire
from lorebank._batches import cut_batches
from lorebank._cache import RecallCache
from lorebank._client import DEFAULT_URL
from lorebank._errors import LorebankError
from lorebank._models import AsyncDirectives, AsyncMentalModels
from lorebank._observations import AsyncObservations
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
from lorebank._pages import AsyncPages
from lorebank._reflections import AsyncReflections
from lorebank._tools import found_memories, text_metadata
from lorebank._transport import AsyncTransport, RetryPolicy, TransportOptions
from lorebank.wire.fields import ResponseModel

AnswerT = TypeVar("AnswerT", bound=ResponseModel)


class AsyncClient:
    """Memory banks over HTTP. For one event loop; close it, or use it as a context manager.

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
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = AsyncTransport(
            TransportOptions(base_url, api_key, timeout_s, RetryPolicy(deadline_s, unreachable_s), async_http=http)
        )
        self._cache = RecallCache(cache_ttl_s)
        self._on_error = on_error
        self.directives = AsyncDirectives(self._ask)
        self.mental_models = AsyncMentalModels(self._ask)
        self.observations = AsyncObservations(self._ask)
        self.reflections = AsyncReflections(self._ask)
        self.pages = AsyncPages(self._ask)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client cannot be used after."""
        await self._transport.close()

    async def retain(
        self, bank_id: str, content: ContentInput, **options: Unpack[RetainOptions]
    ) -> wire.RetainResponse:
        """Remember one text, or one dialogue given as messages; an unknown bank is created.

        Raises:
            ConflictError: the operation id was used for something else.
            TooLargeError: over a limit of the server.
        """
        return await self._write(bank_id, _calls.retain(bank_id, content, options))

    async def retain_many(
        self, bank_id: str, items: Iterable[ItemInput], **options: Unpack[RetainManyOptions]
    ) -> list[wire.RetainResponse]:
        """Remember many items in as few requests as is sensible; items of one document stay in one request.

        Raises:
            ConflictError: the operation id was used for something else.
            TooLargeError: over a limit of the server.
        """
        batches = list(cut_batches(items))
        calls = _calls.retain_batches(bank_id, batches, options)
        return [await self._write(bank_id, call) for call in calls]

    async def recall(self, bank_id: str, query: str, **options: Unpack[RecallOptions]) -> wire.RecallResponse:
        """The units that answer a query, best first. A bank nobody wrote to has none."""
        call = _calls.recall(bank_id, query, options)
        key = (bank_id, call.request.body or b"")
        kept = self._cache.find(key)
        if kept is not None:
            return call.read(kept)
        mark = self._cache.mark()
        body = await self._transport.send(call.request)
        answer = call.read(body)
        self._cache.keep(key, body, mark)
        return answer

    async def recall_stack(self, query: str, **options: Unpack[StackRecallOptions]) -> wire.RecallResponse:
        """The units of several banks that answer a query; give `banks`, the nearest first, or the `scope` of some."""
        return await self._ask(_calls.recall_stack(query, options))

    async def reflect(self, bank_id: str, query: str, **options: Unpack[ReflectOptions]) -> wire.ReflectResponse:
        """An answer in words, reasoned from the bank's units."""
        return await self._ask(_calls.reflect(bank_id, query, options))

    async def search_memory(self, user_id: str, query: str, limit: int = 5) -> list[FoundMemory]:
        """Tool for agents: what the bank named `user_id` knows about a query, as JSON-ready objects."""
        try:
            return found_memories(await self.recall(user_id, query, limit=limit))
        except LorebankError as error:
            self._hand_over(error)
            return []

    async def add_memory(
        self, user_id: str, messages: str | Sequence[MessageInput], metadata: Mapping[str, object] | None = None
    ) -> wire.RetainResponse | None:
        """Tool for agents: remember a text or messages in the bank named `user_id`; None if `on_error` took a failure.

        Raises:
            TypeError: a metadata value that JSON cannot express.
        """
        try:
            return await self.retain(user_id, messages, metadata=text_metadata(metadata))
        except LorebankError as error:
            self._hand_over(error)
            return None

    async def put_bank(self, bank_id: str, **options: Unpack[BankOptions]) -> wire.BankProfileResponse:
        """Create a bank, or change the given settings of one.

        Raises:
            ConflictError: another bank has the given scope.
        """
        return await self._write(bank_id, _calls.put_bank(bank_id, options))

    async def patch_bank(self, bank_id: str, **options: Unpack[BankOptions]) -> wire.BankProfileResponse:
        """Change the given settings of a bank.

        Raises:
            NotFoundError: no such bank.
        """
        return await self._write(bank_id, _calls.patch_bank(bank_id, options))

    async def get_profile(self, bank_id: str) -> wire.BankProfileResponse:
        """Name, disposition and mission of a bank.

        Raises:
            NotFoundError: no such bank.
        """
        return await self._ask(_calls.get_profile(bank_id))

    async def list_banks(self, **options: Unpack[PageOptions]) -> wire.BankListResponse:
        """A page of the banks this key may see."""
        return await self._ask(_calls.list_banks(options))

    async def delete_bank(self, bank_id: str) -> wire.DeleteResponse:
        """Delete a bank with everything in it. There is no way back."""
        return await self._write(bank_id, _calls.delete_bank(bank_id))

    async def delete_banks(self, confirm: str) -> wire.DeleteTenantResponse:
        """Delete banks of this key's tenant, whose name `confirm` repeats, some at a time: again until `left` is 0."""
        return await self._write(None, _calls.delete_banks(confirm))

    async def stats(self, bank_id: str) -> wire.BankStatsResponse:
        """Counts over a bank."""
        return await self._ask(_calls.stats(bank_id))

    async def list_memories(self, bank_id: str, **options: Unpack[MemoryPageOptions]) -> wire.ListMemoryUnitsResponse:
        """A page of the bank's units."""
        return await self._ask(_calls.list_memories(bank_id, options))

    async def get_memory(self, bank_id: str, memory_id: str) -> wire.MemoryUnitResponse:
        """One unit.

        Raises:
            NotFoundError: no such unit in this bank.
        """
        return await self._ask(_calls.get_memory(bank_id, memory_id))

    async def list_documents(self, bank_id: str, **options: Unpack[DocumentPageOptions]) -> wire.ListDocumentsResponse:
        """A page of the bank's documents, without their texts."""
        return await self._ask(_calls.list_documents(bank_id, options))

    async def get_document(self, bank_id: str, document_id: str) -> wire.DocumentResponse:
        """One document with its text, byte for byte.

        Raises:
            NotFoundError: no such document in this bank.
        """
        return await self._ask(_calls.get_document(bank_id, document_id))

    async def delete_document(self, bank_id: str, document_id: str) -> wire.DeleteDocumentResponse:
        """Delete a document with its units and what was derived from them.

        Raises:
            NotFoundError: no such document; after a lost connection also one that this call has just deleted.
        """
        return await self._write(bank_id, _calls.delete_document(bank_id, document_id))

    async def list_chunks(
        self, bank_id: str, document_id: str, **options: Unpack[PageOptions]
    ) -> wire.ListChunksResponse:
        """A page of a document's chunks, in order.

        Raises:
            NotFoundError: no such document in this bank.
        """
        return await self._ask(_calls.list_chunks(bank_id, document_id, options))

    async def list_operations(
        self, bank_id: str, **options: Unpack[OperationPageOptions]
    ) -> wire.OperationsListResponse:
        """A page of the bank's operations."""
        return await self._ask(_calls.list_operations(bank_id, options))

    async def get_operation(self, bank_id: str, operation_id: str) -> wire.OperationStatusResponse:
        """State of one operation; status `not_found` for an id nobody used."""
        return await self._ask(_calls.get_operation(bank_id, operation_id))

    async def cancel_operation(self, bank_id: str, operation_id: str) -> wire.CancelOperationResponse:
        """Cancel what is left of an operation.

        Raises:
            NotFoundError: no such operation.
            ConflictError: it has ended.
        """
        return await self._ask(_calls.cancel_operation(bank_id, operation_id))

    async def retry_operation(self, bank_id: str, operation_id: str) -> wire.RetryOperationResponse:
        """Have a failed or cancelled operation done again.

        Raises:
            NotFoundError: no such operation.
            ConflictError: it has neither failed nor been cancelled.
        """
        return await self._ask(_calls.retry_operation(bank_id, operation_id))

    async def delete_operation(self, bank_id: str, operation_id: str) -> wire.CancelOperationResponse:
        """Forget an operation that has ended.

        Raises:
            NotFoundError: no such operation.
            ConflictError: it has not ended.
        """
        return await self._ask(_calls.delete_operation(bank_id, operation_id))

    async def open_session(self, bank_id: str, **options: Unpack[SessionOptions]) -> wire.SessionResponse:
        """Begin a live conversation; lorebank.Session holds on to one.

        Raises:
            ConflictError: the session id is taken, or the bank has too many open sessions.
        """
        return await self._ask(_calls.open_session(bank_id, options))

    async def append_turns(
        self, bank_id: str, session_id: str, messages: Sequence[MessageInput], operation_id: str | None = None
    ) -> wire.AppendTurnsResponse:
        """Add turns to a session; when this returns they are durable, in order, and the next recall finds them.

        Raises:
            NotFoundError: no such session.
            ConflictError: it is closed, or the operation id was used for something else.
            TooLargeError: over a limit of the server.
        """
        return await self._write(bank_id, _calls.append_turns(bank_id, session_id, messages, operation_id))

    async def close_session(self, bank_id: str, session_id: str) -> wire.SessionResponse:
        """End a session; what was said stays, as a document of the session's id.

        Raises:
            NotFoundError: no such session.
        """
        return await self._ask(_calls.close_session(bank_id, session_id))

    async def get_session(self, bank_id: str, session_id: str) -> wire.SessionResponse:
        """One session.

        Raises:
            NotFoundError: no such session.
        """
        return await self._ask(_calls.get_session(bank_id, session_id))

    async def list_sessions(self, bank_id: str, **options: Unpack[SessionPageOptions]) -> wire.SessionListResponse:
        """A page of the bank's sessions, last appended to first."""
        return await self._ask(_calls.list_sessions(bank_id, options))

    async def delete_session(
        self, bank_id: str, session_id: str, *, keep_memory: bool = False
    ) -> wire.DeleteSessionResponse:
        """Delete a session with all that was said in it, or with `keep_memory` only the session.

        Raises:
            NotFoundError: no such session; after a lost connection also one that this call has just deleted.
        """
        return await self._write(bank_id, _calls.delete_session(bank_id, session_id, keep_memory=keep_memory))

    async def watermarks(self, bank_id: str) -> wire.WatermarksResponse:
        """How far each stage of a bank is."""
        return await self._ask(_calls.watermarks(bank_id))

    async def list_events(self, bank_id: str, *, after: int = 0) -> wire.EventListResponse:
        """What happened in a bank since commit `after`, oldest first; go on with the answer's `last`."""
        return await self._ask(_calls.list_events(bank_id, after))

    async def list_entities(self, bank_id: str, **options: Unpack[PageOptions]) -> wire.EntityListResponse:
        """A page of the bank's entities."""
        return await self._ask(_calls.list_entities(bank_id, options))

    async def get_entity(self, bank_id: str, entity_id: str) -> wire.EntityDetailResponse:
        """One entity with what was observed about it.

        Raises:
            NotFoundError: no such entity in this bank.
        """
        return await self._ask(_calls.get_entity(bank_id, entity_id))

    async def list_tags(self, bank_id: str, **options: Unpack[TagPageOptions]) -> wire.ListTagsResponse:
        """A page of the bank's tags with their counts."""
        return await self._ask(_calls.list_tags(bank_id, options))

    async def version(self) -> wire.VersionResponse:
        """Version and features of the server."""
        return await self._ask(_calls.version())

    async def health(self) -> wire.HealthResponse:
        """Health of the server.

        Raises:
            UnavailableError: a part of it is not well.
        """
        return await self._ask(_calls.health())

    async def ready(self) -> wire.HealthResponse:
        """Readiness of the server, asked once and without retries.

        Raises:
            UnavailableError: it is starting or a part is restarting.
        """
        return await self._ask(_calls.ready())

    async def _ask(self, call: _calls.Call[AnswerT]) -> AnswerT:
        return call.read(await self._transport.send(call.request))

    async def _write(self, bank_id: str | None, call: _calls.Call[AnswerT]) -> AnswerT:
        try:
            return await self._ask(call)
        finally:
            self._cache.forget(bank_id)

    def _hand_over(self, error: LorebankError) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)
