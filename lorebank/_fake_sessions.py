"""The sessions behind FakeServer: documents that grow by append."""

from dataclasses import dataclass, field

from lorebank import wire
from lorebank._fake_banks import FakeBank, digest


@dataclass(slots=True)
class FakeSessions:
    """Sessions of one bank, in the order they were opened."""

    bank: FakeBank
    sessions: dict[str, wire.SessionResponse] = field(default_factory=dict)
    receipts: dict[str, wire.AppendTurnsResponse] = field(default_factory=dict)

    def open(self, request: wire.OpenSessionRequest) -> wire.SessionResponse:
        """A new session."""
        session_id = request.session_id or request.operation_id or digest(str(len(self.sessions)))
        self.sessions[session_id] = wire.SessionResponse(
            session_id=session_id,
            bank_id=self.bank.bank_id,
            document_id=session_id,
            state="open",
            turns=0,
            chunks=0,
            text_bytes=0,
            created_at="",
            last_at="",
            idle_ttl_s=request.idle_ttl_s or 86_400.0,
            tags=list(request.tags),
            metadata=dict(request.metadata),
            context=request.context,
        )
        return self.sessions[session_id]

    def append(self, session_id: str, request: wire.AppendTurnsRequest) -> wire.AppendTurnsResponse:
        """More turns; the same operation id again changes nothing."""
        operation_id = request.operation_id or digest(str(len(self.receipts)))
        if operation_id in self.receipts:
            return self.receipts[operation_id]
        session = self.sessions[session_id]
        item = wire.RetainItem(
            content=list(request.messages), document_id=session_id, tags=session.tags, update_mode="append"
        )
        self.bank.retain(wire.RetainRequest(items=[item], operation_id=operation_id))
        first, turns = session.turns, session.turns + len(request.messages)
        self.sessions[session_id] = session.model_copy(update={"turns": turns, "chunks": turns})
        self.receipts[operation_id] = wire.AppendTurnsResponse(
            session_id=session_id,
            operation_id=operation_id,
            first_turn=first,
            turns=turns,
            chunks=len(request.messages),
            seq=len(self.receipts) + 1,
        )
        return self.receipts[operation_id]

    def close(self, session_id: str) -> wire.SessionResponse:
        """The session, closed."""
        closed = {"state": "closed", "closed_by": "caller"}
        self.sessions[session_id] = self.sessions[session_id].model_copy(update=closed)
        return self.sessions[session_id]

    def delete(self, session_id: str, *, keep_memory: bool) -> wire.DeleteSessionResponse:
        """The session is gone."""
        del self.sessions[session_id]
        units = [] if keep_memory else self.bank.documents.pop(session_id, [])
        return wire.DeleteSessionResponse(success=True, session_id=session_id, memory_units_deleted=len(units))

    def page(self) -> wire.SessionListResponse:
        """All of them, newest first."""
        rows = list(reversed(self.sessions.values()))
        return wire.SessionListResponse(total=len(rows), limit=100, offset=0, items=rows)
