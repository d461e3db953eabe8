"""BankClient: the only door into the actors. Typed, with deadlines; recall runs in the caller's process."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.cluster import Cluster, connect_cluster, running_settings
from actors.curation_client import CurationClient
from actors.moving_client import MovingClient
from actors.observation_client import ObservationClient
from actors.policies import stage_names
from actors.reader import Reader
from actors.reembed_client import ReembedClient
from actors.reflect_client import ReflectClient
from actors.settings import Settings, inherited_by
from actors.stack_client import StackClient
from memory.audit_calls import ScopePage, Stray
from memory.commands import (
    AppendTurns,
    CloseSession,
    DeleteBank,
    DeleteDocument,
    DeleteReceipt,
    DeleteSession,
    FollowOperation,
    OpenSession,
    OperationReceipt,
    RepairBank,
    RepairReceipt,
    Retain,
    RetainReceipt,
    UpdateBank,
)
from memory.document_reading import ALL, DocumentPart, Range, ReadDocument, ReadStored
from memory.encoding import decode_document
from memory.errors import NotFound
from memory.events import EventPage, ReadEvents
from memory.filters import TRUE, Filter, every
from memory.ids import Scope
from memory.recall import RecallAnswer, RecallQuery
from memory.records import Document, Head, Record, RecordKind, Unit
from memory.sessions import AppendReceipt, DeleteSessionReceipt, Session, SessionState, decode_session
from memory.stages import StageState, decode_work
from memory.store_calls import (
    Call,
    CountValues,
    GetRecords,
    GetUnits,
    HeadPage,
    ListRecords,
    ListUnits,
    ReadHead,
    RecordPage,
    Store,
    UnitPage,
)
from memory.watermarks import ReadWatermarks, Watermarks

READY_TIMEOUT_S = 5.0
WAIT_PAUSE_S = 0.02
WAIT_GROWTH = 1.5
WAIT_PAUSE_MOST_S = 0.25
"""How often a stage is asked for while a caller waits for it: less and less."""


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of sessions, last appended to first; `total` counts all that match."""

    sessions: tuple[Session, ...]
    total: int


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One page of documents, last updated first; `total` counts all."""

    documents: tuple[Document, ...]
    total: int


class BankClient:
    """Writes go to the bank's owner, reads straight to the store.

    Every method raises RetryLater's children where a part restarts or is full, and InvalidRequest's where the request
    is wrong; foreign errors do not leave it.
    """

    def __init__(self, cluster: Cluster, reader: Reader, settings: Settings) -> None:
        self._cluster = cluster
        self._store: Store = cluster.store
        self._reader = reader
        self._settings = settings
        self.curation = CurationClient(cluster, settings)
        self.stacks = StackClient(reader, cluster.store, self.update_bank)
        self.reflecting = ReflectClient(cluster, reader, settings)
        self.observing = ObservationClient(cluster, reader, settings)
        self.moving = MovingClient(cluster)
        self.reembedding = ReembedClient(cluster, settings)

    @classmethod
    async def connect(cls, settings: Settings) -> "BankClient":
        """Client of the running deployment; starts its actors where they are not there yet.

        Raises:
            OperatorAction: the data directory, the model or a setting cannot be used; says what to do.
        """
        cluster = await connect_cluster(settings)
        return cls(cluster, Reader(cluster.store, settings), settings)

    @classmethod
    async def attach(cls) -> "BankClient":
        """Client of a deployment that already runs in the connected Ray cluster, with that deployment's settings.

        Raises:
            Unavailable: none runs there.
        """
        return await cls.connect(await running_settings())

    def inherited_by(self, tenant: str) -> dict[str, Any]:
        """Settings of a tenant's banks that set none of their own."""
        return inherited_by(self._settings, tenant)

    # -- writes: through the owner

    async def retain(self, scope: Scope, command: Retain) -> RetainReceipt:
        """Store items; when this returns they are durable and the next recall finds them.

        Raises:
            Conflict: the operation id was used for another command.
            Unprocessable: items of one document contradict each other.
        """
        receipt: RetainReceipt = await self._cluster.command(scope, command)
        return receipt

    async def delete_document(self, scope: Scope, command: DeleteDocument) -> DeleteReceipt:
        """Remove a document with its units.

        Raises:
            NotFound: the bank has no such document.
        """
        receipt: DeleteReceipt = await self._cluster.command(scope, command)
        return receipt

    async def delete_bank(self, scope: Scope, command: DeleteBank) -> DeleteReceipt:
        """Remove a bank with all it holds; of a bank that does not exist, nothing."""
        head = await self.find_head(scope)
        receipt: DeleteReceipt = await self._cluster.command(scope, command)
        await self.stacks.release(scope, head.profile if head is not None else {})
        return receipt

    async def update_bank(self, scope: Scope, command: UpdateBank) -> Head:
        """Create a bank or change its profile; the head after it."""
        head: Head = await self._cluster.command(scope, command)
        return head

    # -- sessions and operations

    async def open_session(self, scope: Scope, command: OpenSession) -> Session:
        """Begin a session.

        Raises:
            Conflict: the id is taken, or the bank has too many open sessions.
        """
        session: Session = await self._cluster.command(scope, command)
        return session

    async def append_turns(self, scope: Scope, command: AppendTurns) -> AppendReceipt:
        """Add turns; when this returns they are durable, in order, and the next recall finds them.

        Raises:
            NotFound: no such session.
            Conflict: it is closed, or the operation id was used for something else.
            TooLarge: it would have too many turns or bytes.
        """
        receipt: AppendReceipt = await self._cluster.command(scope, command)
        return receipt

    async def close_session(self, scope: Scope, command: CloseSession) -> Session:
        """End a session; its document stays. Of a closed one: as it is.

        Raises:
            NotFound: no such session.
        """
        session: Session = await self._cluster.command(scope, command)
        return session

    async def delete_session(self, scope: Scope, command: DeleteSession) -> DeleteSessionReceipt:
        """Remove a session, and its document unless it is to be kept.

        Raises:
            NotFound: no such session.
        """
        receipt: DeleteSessionReceipt = await self._cluster.command(scope, command)
        return receipt

    async def follow_operation(self, scope: Scope, command: FollowOperation) -> OperationReceipt:
        """Cancel, retry or delete an operation.

        Raises:
            NotFound: no such operation.
            Conflict: its state forbids it.
        """
        receipt: OperationReceipt = await self._cluster.command(scope, command)
        return receipt

    async def get_session(self, scope: Scope, session_id: str) -> Session:
        """One session.

        Raises:
            NotFound: the bank has none of that id.
        """
        found = await self._store.perform(scope, GetRecords(RecordKind.SESSION, (session_id,)))
        if session_id not in found:
            raise NotFound(f"bank {scope.bank!r} has no session {session_id!r}")
        return decode_session(found[session_id])

    async def list_sessions(
        self, scope: Scope, *, limit: int, offset: int = 0, state: SessionState | None = None
    ) -> SessionPage:
        """Sessions, last appended to first."""
        page = await self._store.perform(scope, ListRecords(RecordKind.SESSION, limit, offset, state))
        return SessionPage(tuple(map(decode_session, page.records)), page.total)

    async def read_watermarks(self, scope: Scope) -> Watermarks:
        """How far each stage of the bank is."""
        return await self._store.perform(scope, ReadWatermarks(self.stages))

    async def find_stages(self, scope: Scope, document_id: str) -> Mapping[str, StageState]:
        """State of each stage of a document; empty where it had none to pass."""
        found = await self._store.perform(scope, GetRecords(RecordKind.STAGES, (document_id,)))
        return decode_work(found[document_id]).states if document_id in found else {}

    async def wait_for_stage(self, scope: Scope, documents: Mapping[str, int], stage: str, timeout_s: float) -> bool:
        """Whether a stage is done with documents (id -> seq) within the time; at once where they have none to pass.

        False where it failed, too. Documents that were replaced or deleted meanwhile are done with.
        """
        deadline_s, pause_s = time.monotonic() + timeout_s, WAIT_PAUSE_S
        waiting = dict(documents)
        while True:
            found = await self._store.perform(scope, GetRecords(RecordKind.STAGES, tuple(waiting)))
            works = {key: decode_work(record) for key, record in found.items()}
            states = {
                id_: works[id_].states.get(stage)
                for id_, seq in waiting.items()
                if id_ in works and works[id_].seq == seq
            }
            if StageState.FAILED in states.values():
                return False
            waiting = {id_: waiting[id_] for id_, state in states.items() if state is StageState.PENDING}
            left_s = deadline_s - time.monotonic()
            if not waiting or left_s <= 0:
                return not waiting
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * WAIT_GROWTH, WAIT_PAUSE_MOST_S)

    async def read_backlog(self) -> dict[str, tuple[int, float]]:
        """For each stage how many documents wait, and the age of the oldest in seconds, as the hosts saw it last."""
        found: dict[str, tuple[int, float]] = {}
        for host in (await self.ready()).get("hosts", ()):
            for stage, (pending, age_s) in host.get("backlog", {}).items():
                before, oldest_s = found.get(stage, (0, 0.0))
                found[stage] = (before + pending, max(oldest_s, age_s))
        return found

    async def read_events(self, scope: Scope, after: int = 0) -> EventPage:
        """What happened to the bank after a commit, as far back as commits are kept."""
        return await self._store.perform(scope, ReadEvents(after))

    async def repair_bank(self, scope: Scope, command: RepairBank) -> RepairReceipt:
        """Settle and sweep a bank and mend what can be mended; its other commands wait."""
        receipt: RepairReceipt = await self._cluster.command(scope, command)
        return receipt

    # -- reads: from the store, without the owner

    async def recall(self, scope: Scope, query: RecallQuery) -> RecallAnswer:
        """What matters for a query, best first; nothing for a bank that does not exist."""
        return await self._reader.recall(scope, query)

    async def find_head(self, scope: Scope) -> Head | None:
        """The bank's head; None where the bank does not exist (never written to, or deleted)."""
        head = await self._store.perform(scope, ReadHead())
        return head if head is not None and head.exists else None

    async def list_banks(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Banks of a tenant by name."""
        return await self._store.list_heads(tenant, limit, offset)

    async def list_units(self, scope: Scope, where: Filter = TRUE, *, limit: int, offset: int = 0) -> UnitPage:
        """Live units that are not past their time, newest first."""
        return await self._reader.list_units(scope, ListUnits(limit, offset, where))

    async def get_unit(self, scope: Scope, unit_id: str) -> Unit:
        """One live unit.

        Raises:
            NotFound: the bank has no such live unit.
        """
        units = await self._reader.shown(scope, await self._store.perform(scope, GetUnits((unit_id,))))
        if unit_id not in units:
            raise NotFound(f"bank {scope.bank!r} has no memory {unit_id!r}")
        return units[unit_id]

    async def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit]:
        """One live unit of a tenant by its bare id, with its bank.

        Raises:
            NotFound: no bank of the tenant has such a live unit.
        """
        found = await self._store.find_unit(tenant, unit_id)
        if found is None or not await self._reader.shown(found[0], {unit_id: found[1]}):
            raise NotFound(f"no memory {unit_id!r}")
        return found

    async def get_documents(self, scope: Scope, ids: tuple[str, ...]) -> dict[str, Document]:
        """Documents by id; absent ones are left out."""
        records = await self._store.perform(scope, GetRecords(RecordKind.DOCUMENT, ids))
        documents = {key: decode_document(key, record.body) for key, record in records.items()}
        for key in [key for key, document in documents.items() if document.open]:
            stored = await self._store.perform(scope, ReadStored(key))
            if stored is not None:
                documents[key] = stored.document
        return documents

    async def show_document(self, scope: Scope, document_id: str, chunks: Range = ALL) -> DocumentPart:
        """As `read_document`, without chunks past their time; NotFound, too, where there are no others."""
        return await self._reader.show_document(scope, document_id, chunks)

    async def read_document(self, scope: Scope, document_id: str, chunks: Range = ALL) -> DocumentPart:
        """One document as it is stored, with a range of its chunks, all of one version even while it is replaced.

        Raises:
            NotFound: the bank has no such document.
            StoreDamaged: some of its chunks are gone.
        """
        found = await self._store.perform(scope, ReadDocument(document_id, chunks))
        if found is None:
            raise NotFound(f"bank {scope.bank!r} has no document {document_id!r}")
        return found

    async def list_documents(self, scope: Scope, *, limit: int, offset: int = 0) -> DocumentPage:
        """Documents, last updated first."""
        page = await self._store.perform(scope, ListRecords(RecordKind.DOCUMENT, limit, offset))
        return DocumentPage(tuple(decode_document(r.key, r.body) for r in page.records), page.total)

    async def list_operations(
        self, scope: Scope, *, limit: int, offset: int = 0, status: str | None = None
    ) -> RecordPage:
        """Operations, newest first; `body` has task_type, status, items_count, created_at, completed_at, documents."""
        return await self._store.perform(scope, ListRecords(RecordKind.OPERATION, limit, offset, status))

    async def find_operation(self, scope: Scope, operation_id: str) -> Record | None:
        """One operation, or None."""
        found = await self._store.perform(scope, GetRecords(RecordKind.OPERATION, (operation_id,)))
        return found.get(operation_id)

    async def count_values(self, scope: Scope, field: str, limit: int, where: Filter = TRUE) -> dict[str, int]:
        """How many live units hold each value of an indexed field, e.g. `tags`."""
        return await self._store.perform(scope, CountValues(field, limit, every(where, await self._reader.kept(scope))))

    # -- audits: what is stored, as it is stored

    async def inspect(self, scope: Scope, call: Call[Any]) -> Any:
        """Answer of one reading call of the store."""
        return await self._store.perform(scope, call)

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Every bank of every tenant that has a head."""
        return await self._cluster.store.list_scopes(start, limit)

    async def list_strays(self) -> tuple[Stray, ...]:
        """Points that belong to no bank with a head."""
        return await self._cluster.store.list_strays()

    # -- the deployment

    async def ready(self) -> Mapping[str, Any]:
        """What each part answers, for the readiness probe.

        Raises:
            RetryLater: a part does not answer.
        """
        return await self._cluster.ready(min(READY_TIMEOUT_S, self._settings.request_timeout_s))

    @property
    def settings(self) -> Settings:
        """The deployment's settings."""
        return self._settings

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that documents pass after they were accepted, in order."""
        return stage_names(self._settings)
