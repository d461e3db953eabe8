"""Sessions: live conversations that grow a document turn by turn, at a cost that does not depend on its length.

A session's document has the session's id. The first append makes it; each further one writes a part: the list of its
own chunks. Once the session has rested, or is closed, its parts are folded into the document: whatever depends on the
whole is done then, and only then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from memory.commands import AppendTurns, Item, Retain
from memory.drafting import ITEM_SEPARATOR, DocumentDraft, draft_documents
from memory.encoding import decode_chunks, encode_chunks, instant_from_text, instant_to_micros, instant_to_text
from memory.errors import Conflict, NotFound, StoreDamaged, TooLarge
from memory.ids import Scope, unit_id
from memory.ingest import document_hash
from memory.placing import STRIDE
from memory.policy import BankPolicy
from memory.records import ChunkEntry, Document, Record, RecordKind

SessionState = Literal["open", "closed"]
OPEN: SessionState = "open"
CLOSED: SessionState = "closed"


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a session without looking at its turns.

    `parts` are the appends that are not in the document's record yet; `version` is that record's, 0 before the first
    append. `position`, `tail` and `text_bytes` say where the next append goes on. `resting` is false between an append
    and the fold after it.
    """

    id: str
    created_at: datetime
    last_at: datetime
    idle_ttl_s: float
    state: SessionState = OPEN
    closed_at: datetime | None = None
    closed_by: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None
    turns: int = 0
    chunks: int = 0
    parts: int = 0
    version: int = 0
    text_bytes: int = 0
    position: int = 0
    tail: str = ""
    resting: bool = True

    @property
    def expires_at(self) -> datetime:
        """When it is closed unless somebody appends."""
        return self.last_at + timedelta(seconds=self.idle_ttl_s)

    def due_at(self, policy: BankPolicy) -> datetime | None:
        """When its owner must look at it: to fold it, or to close it; None once it is closed."""
        if self.state == CLOSED:
            return None
        folded = self.last_at + timedelta(seconds=policy.session_debounce_s)
        return self.expires_at if self.resting else min(folded, self.expires_at)


# -- receipts


@dataclass(frozen=True, slots=True)
class AppendReceipt:
    """The acknowledgement of an append: turns `first_turn` to `turns - 1`, from 0, are stored and searchable."""

    operation_id: str
    session_id: str
    seq: int
    first_turn: int
    turns: int
    chunks: int
    """Chunks added."""
    tokens: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class DeleteSessionReceipt:
    """The acknowledgement of a session's end for good."""

    operation_id: str
    session_id: str
    units_deleted: int


# -- records


@dataclass(frozen=True, slots=True)
class SessionPart:
    """The chunks of one append; `version` is the one that the document will have once they are folded in."""

    session_id: str
    version: int
    chunks: tuple[ChunkEntry, ...]
    tail: str


def encode_session(session: Session) -> Record:
    """Its record; sessions are listed by their last append."""
    body = {
        "state": session.state,
        "created_at": instant_to_text(session.created_at),
        "last_at": instant_to_text(session.last_at),
        "idle_ttl_s": session.idle_ttl_s,
        "closed_at": instant_to_text(session.closed_at) if session.closed_at else None,
        "closed_by": session.closed_by,
        "tags": list(session.tags),
        "metadata": dict(session.metadata),
        "context": session.context,
        **{name: getattr(session, name) for name in _COUNTS},
    }
    order = instant_to_micros(session.last_at)
    return Record(RecordKind.SESSION, session.id, body, order=order, status=session.state)


_COUNTS = ("turns", "chunks", "parts", "version", "text_bytes", "position", "tail", "resting")


def decode_session(record: Record) -> Session:
    """Session of a record."""
    body = record.body
    return Session(
        id=record.key,
        created_at=instant_from_text(body["created_at"]),
        last_at=instant_from_text(body["last_at"]),
        idle_ttl_s=body["idle_ttl_s"],
        state=body["state"],
        closed_at=instant_from_text(body["closed_at"]) if body["closed_at"] else None,
        closed_by=body["closed_by"],
        tags=tuple(body["tags"]),
        metadata=body["metadata"],
        context=body["context"],
        **{name: body[name] for name in _COUNTS},
    )


def part_key(session_id: str, number: int) -> str:
    """Key of a session's part; ids hold no control characters."""
    return f"{session_id}\n{number}"


def part_keys(session: Session) -> tuple[str, ...]:
    """Keys of the parts that are not folded in."""
    return tuple(part_key(session.id, number) for number in range(session.parts))


def encode_part(part: SessionPart, number: int) -> Record:
    """Record of a session's part."""
    body: dict[str, Any] = {"session": part.session_id, "version": part.version, "tail": part.tail}
    return Record(RecordKind.SESSION_PART, part_key(part.session_id, number), body | encode_chunks(part.chunks))


def decode_part(body: Mapping[str, Any]) -> SessionPart:
    """Part of a record's body."""
    return SessionPart(body["session"], body["version"], decode_chunks(body), body["tail"])


# -- rules


def get_open(session: Session | None, session_id: str) -> Session:
    """The session, if it takes turns.

    Raises:
        NotFound: there is none.
        Conflict: it is closed.
    """
    if session is None:
        raise NotFound(f"no session {session_id!r}")
    if session.state == CLOSED:
        raise Conflict(f"session {session_id!r} is closed ({session.closed_by}): open another")
    return session


def check_room(session: Session, turns: int, text_bytes: int, policy: BankPolicy) -> None:
    """See that an append leaves the session within its bounds.

    Raises:
        TooLarge: it would have too many turns or bytes.
    """
    if session.turns + turns > policy.session_turns:
        raise TooLarge(
            f"session {session.id!r} has {session.turns} turns, {policy.session_turns} are the most: close it and"
            " open another"
        )
    if session.text_bytes + text_bytes > policy.session_bytes:
        raise TooLarge(
            f"session {session.id!r} has {session.text_bytes} bytes, {policy.session_bytes} are the most: close it and"
            " open another"
        )


def turn_times(session: Session, turns: int, now: datetime) -> tuple[datetime, ...]:
    """Times of an append's turns, each later than the one before, whatever the clock says."""
    start = max(now, session.last_at + timedelta(microseconds=1))
    return tuple(start + timedelta(microseconds=number) for number in range(turns))


def draft_turns(scope: Scope, session: Session, command: AppendTurns, now: datetime) -> DocumentDraft:
    """Drafts of an append's chunks; a turn without a time gets one of its own, later than all before it.

    Raises:
        Unprocessable: every turn is blank.
    """
    times = turn_times(session, len(command.messages), now)
    messages = tuple(
        message if message.timestamp else replace(message, timestamp=at)
        for message, at in zip(command.messages, times, strict=True)
    )
    item = Item(
        content=messages,
        document_id=session.id,
        context=session.context,
        metadata=session.metadata,
        tags=session.tags,
        update_mode="append",
    )
    return draft_documents(scope, Retain(command.operation_id, (item,)), now)[0]


def list_turns(
    scope: Scope, session: Session, draft: DocumentDraft, taken: Mapping[str, int]
) -> tuple[tuple[ChunkEntry, ...], str]:
    """Entries of an append's chunks, behind all others, and the tail after them.

    taken: how often chunks of a digest stand in the document already, where they do.
    """
    seen = dict(taken)
    entries: list[ChunkEntry] = []
    for number, chunk in enumerate(draft.chunks):
        occurrence = seen.get(chunk.digest, 0)
        seen[chunk.digest] = occurrence + 1
        follows = session.chunks and number == 0
        separator = session.tail + ITEM_SEPARATOR + chunk.separator if follows else chunk.separator
        entries.append(
            ChunkEntry(
                unit_id=unit_id(scope, session.id, chunk.digest, occurrence),
                digest=chunk.digest,
                content_hash=chunk.content_hash,
                position=session.position + STRIDE * (number + 1),
                separator=separator,
                speaker=chunk.speaker,
                type=chunk.type,
                item=chunk.item,
            )
        )
    return tuple(entries), draft.tail


def text_growth(session: Session, draft: DocumentDraft) -> int:
    """By how many bytes an append makes the document's text longer: what stood at its end stays there."""
    between = len(ITEM_SEPARATOR) if session.chunks else 0
    return between + sum(len((c.separator + c.text).encode()) for c in draft.chunks) + len(draft.tail.encode())


def with_parts(document: Document, parts: Sequence[SessionPart], text_bytes: int) -> Document:
    """The document with the turns that are not in its record yet.

    Raises:
        StoreDamaged: a part is of another version.
    """
    if any(part.version != document.version + 1 for part in parts):
        raise StoreDamaged(f"parts of session {document.id!r} belong to another version than its document")
    if not parts:
        return document
    chunks = (*document.chunks, *(entry for part in parts for entry in part.chunks))
    tail = parts[-1].tail
    return replace(document, chunks=chunks, tail=tail, content_hash=document_hash(chunks, tail), text_bytes=text_bytes)
