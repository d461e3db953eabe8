"""Sessions of one bank in its owner: appends are embedded outside the turn, and cost what they themselves hold."""

from collections.abc import Mapping
from datetime import datetime

from actors.bank_ports import BankPorts, beside_loop
from actors.credits import size_of
from actors.turns import Turn
from memory.commands import AppendTurns, CloseSession, DeleteSession, OpenSession, SessionCommand
from memory.document_reading import ReadStored
from memory.drafting import ChunkDraft, DocumentDraft
from memory.errors import Conflict, NotFound
from memory.ids import Scope, unit_id
from memory.ingest import Embedded
from memory.operations import same_command
from memory.records import Record, RecordKind
from memory.session_plans import (
    APPEND,
    DELETE_TASK,
    OPEN_TASK,
    Whole,
    append_receipt_of,
    deletion_receipt_of,
    plan_append,
    plan_close,
    plan_delete_session,
    plan_fold,
    plan_open,
)
from memory.sessions import (
    OPEN,
    AppendReceipt,
    DeleteSessionReceipt,
    Session,
    decode_session,
    draft_turns,
    get_open,
)
from memory.stages import StageWork, decode_work
from memory.staging import is_staged
from memory.store_calls import Batch, FindLive, GetRecords, ListRecords, RecordPage

SessionReceipt = Session | AppendReceipt | DeleteSessionReceipt

FOLDED_AT_ONCE = 16
"""Sessions folded or closed in one turn of due work; the rest follow with the next look."""


class BankSessions:
    """Performs session commands whose turn has come."""

    __slots__ = ("_ports", "_scope")

    def __init__(self, scope: Scope, ports: BankPorts) -> None:
        self._scope = scope
        self._ports = ports

    async def draft(self, command: AppendTurns) -> dict[str, ChunkDraft]:
        """An append's chunks by content hash.

        Raises:
            Unprocessable: every turn is blank.
        """
        now = self._ports.clock.now()
        session = Session(command.session_id, now, now, 0.0)
        draft = await beside_loop(size_of(command), draft_turns, self._scope, session, command, now)
        return {chunk.content_hash: chunk for chunk in draft.chunks}

    async def embed(self, command: AppendTurns, chunks: Mapping[str, ChunkDraft]) -> dict[str, Embedded]:
        """Vectors of an append's chunks by content hash, made outside its turn."""
        vectors = await self._ports.embed([chunk.dense_text for chunk in chunks.values()])
        texts = [chunk.text for chunk in chunks.values()]
        tokens = await beside_loop(size_of(command), self._ports.tokenizer.count, texts)
        return {content: Embedded.of(made, count) for content, made, count in zip(chunks, vectors, tokens, strict=True)}

    async def perform(self, command: SessionCommand, turn: Turn, embedded: Mapping[str, Embedded]) -> SessionReceipt:
        """Do one command in its turn."""
        session, operation = await self._read(command.session_id, command.operation_id)
        if isinstance(command, OpenSession):
            return await self._open(command, turn, session, operation)
        if isinstance(command, AppendTurns):
            return await self._append(command, turn, session, operation, embedded)
        if isinstance(command, DeleteSession) and operation is not None:
            same_command(operation, DELETE_TASK, command.fingerprint())
            return deletion_receipt_of(operation)
        if session is None:
            raise NotFound(f"no session {command.session_id!r}")
        if isinstance(command, CloseSession):
            return (
                session if session.state != OPEN else await self._close(command.operation_id, turn, session, "caller")
            )
        whole = await self._whole(turn, session)
        plan, units = plan_delete_session(turn.view(), command, session, whole, self._ports.clock.now())
        await turn.execute(plan)
        return DeleteSessionReceipt(command.operation_id, command.session_id, units)

    async def do_due(self, turn: Turn, now: datetime) -> datetime | None:
        """Fold sessions that rest, close those that nobody came back to; when the next one is due."""
        due: datetime | None = None
        done = 0
        for session in await self._list_open():
            at = session.due_at(self._ports.policy)
            if at is not None and at <= now and done < FOLDED_AT_ONCE:
                done += 1
                at = await self._rest(turn, session, now)
            due = at if due is None or (at is not None and at < due) else due
        return due

    async def _rest(self, turn: Turn, session: Session, now: datetime) -> datetime | None:
        operation_id = f"due-{self._ports.nonce()}"
        if session.expires_at <= now:
            await self._close(operation_id, turn, session, "expiry")
            return None
        whole = await self._whole(turn, session)
        if whole is None:  # lost with its file: there is nothing to go on with, and the bank must not stay due for it
            await self._close(operation_id, turn, session, "loss")
            return None
        await turn.execute(plan_fold(turn.view(), operation_id, session, whole, now))
        return session.expires_at

    async def _open(
        self, command: OpenSession, turn: Turn, session: Session | None, operation: Record | None
    ) -> Session:
        if operation is not None:
            same_command(operation, OPEN_TASK, command.fingerprint())
        if operation is not None and session is not None:
            return session
        if session is not None:
            raise Conflict(f"session {command.session_id!r} exists; it is {session.state}")
        await self._see_no_document(command.session_id)
        most = self._ports.policy.open_sessions
        page: RecordPage = await self._ports.store.perform(self._scope, ListRecords(RecordKind.SESSION, 1, 0, OPEN))
        if page.total >= most:
            raise Conflict(f"the bank has {page.total} open sessions, {most} are the most: close some")
        plan, opened = plan_open(turn.view(), command, self._ports.clock.now())
        await turn.execute(plan)
        return opened

    async def _append(
        self,
        command: AppendTurns,
        turn: Turn,
        session: Session | None,
        operation: Record | None,
        embedded: Mapping[str, Embedded],
    ) -> AppendReceipt:
        if operation is not None:
            same_command(operation, APPEND, command.fingerprint())
            return append_receipt_of(operation)
        found = get_open(session, command.session_id)
        if not found.version:
            await self._see_no_document(found.id)
        now = self._ports.clock.now()
        draft = await beside_loop(size_of(command), draft_turns, self._scope, found, command, now)
        taken = await self._count_equal(found, command, draft)
        work = await self._work(turn, found.id) if found.resting else None
        plan, receipt = await beside_loop(
            size_of(command), plan_append, turn.view(), command, found, draft, taken, embedded, work, now
        )
        await turn.execute(plan)
        return receipt

    async def _close(self, operation_id: str, turn: Turn, session: Session, closed_by: str) -> Session:
        whole = await self._whole(turn, session)
        now = self._ports.clock.now()
        plan, closed = plan_close(turn.view(), operation_id, session, whole, closed_by, now)
        await turn.execute(plan)
        return closed

    # -- reads

    async def _read(self, session_id: str, operation_id: str) -> tuple[Session | None, Record | None]:
        calls = (GetRecords(RecordKind.SESSION, (session_id,)), GetRecords(RecordKind.OPERATION, (operation_id,)))
        reads: Batch[dict[str, Record]] = Batch(calls)
        sessions, operations = await self._ports.store.perform(self._scope, reads)
        record = sessions.get(session_id)
        return (decode_session(record) if record else None), operations.get(operation_id)

    async def _list_open(self) -> list[Session]:
        page: RecordPage = await self._ports.store.perform(
            self._scope, ListRecords(RecordKind.SESSION, self._ports.policy.open_sessions, 0, OPEN)
        )
        return [decode_session(record) for record in reversed(page.records)]

    async def _see_no_document(self, session_id: str) -> None:
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.DOCUMENT, (session_id,)))
        if found:
            raise Conflict(f"the bank has a document {session_id!r} already: open the session under another id")

    async def _count_equal(self, session: Session, command: AppendTurns, draft: DocumentDraft) -> dict[str, int]:
        """How often each of an append's chunks stands in the document already: only turns whose time is given can."""
        if not session.version or not any(message.timestamp for message in command.messages):
            return {}
        taken = dict.fromkeys((chunk.digest for chunk in draft.chunks), 0)
        asked = dict(taken)
        while asked:
            ids = {digest: unit_id(self._scope, session.id, digest, number) for digest, number in asked.items()}
            live = await self._ports.store.perform(self._scope, FindLive(tuple(ids.values())))
            asked = {digest: number + 1 for digest, number in asked.items() if ids[digest] in live}
            taken |= asked
        return taken

    async def _whole(self, turn: Turn, session: Session) -> Whole | None:
        stored = await self._ports.store.perform(self._scope, ReadStored(session.id))
        if stored is None:
            return None
        return Whole(stored.document, stored.status, await self._work(turn, session.id))

    async def _work(self, turn: Turn, document_id: str) -> StageWork | None:
        if not is_staged(turn.view().head, self._ports.policy):
            return None
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.STAGES, (document_id,)))
        return decode_work(found[document_id]) if document_id in found else None
