"""Sessions: live conversations whose turns are remembered as they come."""

from typing import Annotated, Literal

from pydantic import Field

from lorebank.wire.fields import MAX_MESSAGES, Context, Id, Metadata, Page, RequestModel, ResponseModel, TagList
from lorebank.wire.retain import Message

MAX_IDLE_TTL_S = 366 * 86_400.0
SessionState = Literal["open", "closed"]


class OpenSessionRequest(RequestModel):
    """Body of POST sessions. Without a `session_id` the session gets one; what is given holds for all its turns."""

    session_id: Id | None = None
    tags: TagList = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    context: Context | None = None
    idle_ttl_s: Annotated[float, Field(gt=0, le=MAX_IDLE_TTL_S)] | None = None
    operation_id: Id | None = None


class AppendTurnsRequest(RequestModel):
    """Body of POST sessions/{session_id}/turns: turns to add at the end, in order."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    operation_id: Id | None = None


class SessionResponse(ResponseModel):
    """A session; its text is that of the document `document_id`."""

    session_id: str
    bank_id: str
    document_id: str
    state: SessionState
    turns: int
    chunks: int
    text_bytes: int
    created_at: str
    last_at: str
    idle_ttl_s: float
    expires_at: str | None = None
    """When it is closed unless turns come; null once it is closed."""
    closed_at: str | None = None
    closed_by: str | None = None
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    context: str | None = None


class SessionListResponse(Page):
    """One page of sessions, last appended to first."""

    items: list[SessionResponse]


class AppendTurnsResponse(ResponseModel):
    """Receipt of an append: turns `first_turn` to `turns - 1`, counted from 0, are stored and searchable."""

    session_id: str
    operation_id: str
    first_turn: int
    turns: int
    chunks: int
    seq: int
    durability: Literal["process", "disk"] | None = None
    replayed: bool = False
    """True: the operation had been done before, and this is its receipt."""


class DeleteSessionResponse(ResponseModel):
    """A session is gone; with `memory_units_deleted` units of its document, 0 if that was kept."""

    success: bool
    session_id: str
    memory_units_deleted: int
