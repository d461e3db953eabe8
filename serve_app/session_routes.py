"""Sessions: live conversations."""

import uuid
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from lorebank import wire
from memory.commands import AppendTurns, CloseSession, DeleteSession, OpenSession
from memory.encoding import instant_to_text
from memory.errors import TooLarge
from memory.ids import Scope
from memory.sessions import CLOSED, Session
from serve_app.body import JsonRoute
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Limit, Offset, json_response
from serve_app.wire_to_core import to_message

router = APIRouter(route_class=JsonRoute, tags=["sessions"])

SESSIONS = BANK + "/sessions"
SESSION = SESSIONS + "/{session_id}"


@router.post(SESSIONS, response_model=wire.SessionResponse)
async def open_session(bank: Bank, client: Client, body: wire.OpenSessionRequest) -> Response:
    """Begin a session; an unknown bank is created."""
    operation_id = body.operation_id or str(uuid.uuid4())
    command = OpenSession(
        operation_id=operation_id,
        session_id=body.session_id or operation_id,
        tags=tuple(body.tags),
        metadata=body.metadata,
        context=body.context,
        idle_ttl_s=body.idle_ttl_s,
    )
    return json_response(_row(bank, await client.open_session(bank, command)))


@router.get(SESSIONS, response_model=wire.SessionListResponse)
async def list_sessions(
    bank: Bank, client: Client, limit: Limit = 100, offset: Offset = 0, status: wire.SessionState | None = None
) -> Response:
    """A page of sessions, last appended to first."""
    page = await client.list_sessions(bank, limit=limit, offset=offset, state=status)
    items = [_row(bank, session) for session in page.sessions]
    return json_response({"items": items, "total": page.total, "limit": limit, "offset": offset})


@router.get(SESSION, response_model=wire.SessionResponse)
async def get_session(bank: Bank, client: Client, session_id: PathId) -> Response:
    """One session; its turns are the chunks of the document of the same id."""
    return json_response(_row(bank, await client.get_session(bank, session_id)))


@router.post(SESSION + "/turns", response_model=wire.AppendTurnsResponse)
async def append_turns(bank: Bank, client: Client, session_id: PathId, body: wire.AppendTurnsRequest) -> Response:
    """Add turns. When this answers they are durable, in order, and the next recall finds them."""
    size = sum(len(message.content.encode()) for message in body.messages)
    if size > wire.MAX_CONTENT_BYTES:
        raise TooLarge(f"messages must not exceed {wire.MAX_CONTENT_BYTES} bytes in all")
    messages = tuple(to_message(message) for message in body.messages)
    command = AppendTurns(body.operation_id or str(uuid.uuid4()), session_id, messages)
    receipt = asdict(await client.append_turns(bank, command))
    return json_response({**receipt, "durability": client.settings.durability})


@router.post(SESSION + "/close", response_model=wire.SessionResponse)
async def close_session(bank: Bank, client: Client, session_id: PathId) -> Response:
    """End a session; what was said stays. A closed one stays as it is."""
    return json_response(_row(bank, await client.close_session(bank, CloseSession(str(uuid.uuid4()), session_id))))


@router.delete(SESSION, response_model=wire.DeleteSessionResponse)
async def delete_session(
    bank: Bank, client: Client, session_id: PathId, keep_memory: Annotated[bool, Query()] = False
) -> Response:
    """Delete a session with all that was said in it, or with `keep_memory` only the session."""
    receipt = await client.delete_session(bank, DeleteSession(str(uuid.uuid4()), session_id, keep_memory))
    return json_response({"success": True, "session_id": session_id, "memory_units_deleted": receipt.units_deleted})


def _row(bank: Scope, session: Session) -> dict[str, Any]:
    closed = session.state == CLOSED
    return {
        "session_id": session.id,
        "bank_id": bank.bank,
        "document_id": session.id,
        "state": session.state,
        "turns": session.turns,
        "chunks": session.chunks,
        "text_bytes": session.text_bytes,
        "created_at": instant_to_text(session.created_at),
        "last_at": instant_to_text(session.last_at),
        "idle_ttl_s": session.idle_ttl_s,
        "expires_at": None if closed else instant_to_text(session.expires_at),
        "closed_at": instant_to_text(session.closed_at) if session.closed_at else None,
        "closed_by": session.closed_by,
        "tags": list(session.tags),
        "metadata": dict(session.metadata),
        "context": session.context,
    }
