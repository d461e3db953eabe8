"""From a retain command to document drafts: chunks with speaker, time and digest. Pure, before any read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from memory.chunking import Piece, Pieces, cut_message, cut_passages, shared_speaker_form, speaker_prefix
from memory.commands import GivenDocument, Item, Message, Retain, UpdateMode
from memory.encoding import instant_to_text
from memory.errors import Unprocessable
from memory.ids import Scope, digest, point_id
from memory.records import UnitType

ITEM_SEPARATOR = "\n"
"""Stands between the parts of a document in its original text."""
TIMELESS = "timeless"
"""Stands in a chunk's digest for the time of what has none."""
AGENT_ROLES = frozenset({"assistant", "ai", "agent", "model", "tool", "function"})
"""Who speaks with one of these roles is the agent itself: its turns are of type experience."""


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A chunk without a place and a vector yet. `digest` covers all that was given, `content_hash` what is embedded."""

    text: str
    separator: str
    digest: str
    content_hash: str
    item: int
    type: UnitType
    speaker: str | None
    role: str | None
    mentioned_at: datetime | None
    context: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    entities: tuple[str, ...]
    recorded_at: datetime | None = None
    """When it was first stored; None: now."""
    session: str | None = None
    scoping: str | None = None

    @property
    def dense_text(self) -> str:
        """What of it is embedded."""
        return dense_text(self.text, self.speaker)


@dataclass(frozen=True, slots=True)
class DocumentDraft:
    """A document as the caller wants it (replace), or what is to follow its end (append)."""

    id: str
    mode: UpdateMode
    chunks: tuple[ChunkDraft, ...]
    tail: str
    tags: tuple[str, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None
    version: int = 1
    """Of a document that is new."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    """None: now."""


def draft_documents(scope: Scope, command: Retain, now: datetime) -> tuple[DocumentDraft, ...]:
    """Documents of a command in order of first mention.

    Raises:
        Unprocessable: items of one document disagree on `update_mode`, all of them are blank, or one of them is a whole
            document.
    """
    groups: dict[str, list[tuple[int, Item]]] = {}
    for index, item in enumerate(command.items):
        document_id = item.document_id or point_id(scope, "document", command.operation_id, str(index))
        groups.setdefault(document_id, []).append((index, item))
    return tuple(_draft(document_id, parts, command.document_tags, now) for document_id, parts in groups.items())


def dense_text(text: str, speaker: str | None) -> str:
    """What of a chunk is embedded: without the speaker's name in front, which would swamp the vector."""
    if speaker and speaker_prefix(text) == speaker:
        return text.split(":", 1)[1].strip() or text
    return text


def lexical_text(text: str, speaker: str | None) -> str:
    """What of a chunk the keyword lane indexes: who spoke, and the words."""
    return text if speaker is None or speaker_prefix(text) == speaker else f"{speaker}: {text}"


def content_hash(text: str, speaker: str | None) -> str:
    """Hex digest of a chunk's text and of what of it is embedded."""
    return digest(text, dense_text(text, speaker)).hex()


def chunk_digest(
    text: str,
    speaker: str | None,
    role: str | None,
    given: str,
    context: str | None,
    tags: Sequence[str],
    metadata: Mapping[str, str],
    entities: tuple[tuple[str, str | None], ...],
) -> str:
    """Hex digest of everything the caller gave for a chunk; `given` is its time as text, TIMELESS, or empty for now."""
    attributes = (repr(sorted(tags)), repr(sorted(metadata.items())), repr(entities))
    return digest(text, speaker or "", role or "", given, context or "", *attributes).hex()


def _draft(
    document_id: str, parts: Sequence[tuple[int, Item]], document_tags: tuple[str, ...], now: datetime
) -> DocumentDraft:
    modes = {item.update_mode for _, item in parts}
    if len(modes) > 1:
        raise Unprocessable(f"items of document {document_id!r} disagree on update_mode (replace and append)")
    if isinstance(parts[0][1].content, GivenDocument) and len(parts) == 1:
        return _given(document_id, parts[0][1].content)
    if any(isinstance(item.content, GivenDocument) for _, item in parts):
        raise Unprocessable(f"document {document_id!r} is given whole, and other items for it")
    prefixed = shared_speaker_form([item.content for _, item in parts if isinstance(item.content, str)])
    chunks: list[ChunkDraft] = []
    between = ""
    for index, item in parts:
        tags = tuple(dict.fromkeys((*item.tags, *document_tags)))
        for turn in _turns(item, prefixed=prefixed):
            pieces = turn.pieces
            for piece in pieces.items:
                chunks.append(_chunk(piece, between, index, item, turn, tags, now))
                between = ""
            between += pieces.tail + ITEM_SEPARATOR
    if not chunks:
        raise Unprocessable(f"document {document_id!r} has no text: every item is blank")
    return DocumentDraft(
        id=document_id,
        mode=modes.pop(),
        chunks=tuple(chunks),
        tail=between.removesuffix(ITEM_SEPARATOR),
        tags=tuple(dict.fromkeys(tag for chunk in chunks for tag in chunk.tags)),
        metadata=parts[0][1].metadata if len(parts) == 1 else {},
        context=parts[0][1].context,
    )


def _given(document_id: str, given: GivenDocument) -> DocumentDraft:
    if not given.chunks:
        raise Unprocessable(f"document {document_id!r} has no chunks")
    chunks = tuple(
        ChunkDraft(
            text=chunk.text,
            separator=chunk.separator,
            digest=chunk.digest,
            content_hash=content_hash(chunk.text, chunk.speaker),
            item=chunk.item,
            type=chunk.type,
            speaker=chunk.speaker,
            role=chunk.role,
            mentioned_at=chunk.mentioned_at,
            context=chunk.context,
            tags=chunk.tags,
            metadata=chunk.metadata,
            entities=chunk.entities,
            recorded_at=chunk.recorded_at,
            session=chunk.session,
        )
        for chunk in given.chunks
    )
    return DocumentDraft(
        id=document_id,
        mode="replace",
        chunks=chunks,
        tail=given.tail,
        tags=given.tags,
        metadata=given.metadata,
        context=given.context,
        version=given.version,
        created_at=given.created_at,
        updated_at=given.updated_at,
    )


@dataclass(frozen=True, slots=True)
class _Turn:
    pieces: Pieces
    speaker: str | None
    role: str | None
    timestamp: datetime | None
    metadata: Mapping[str, str]


def _turns(item: Item, *, prefixed: bool) -> Iterator[_Turn]:
    """A message list gives a turn each; a string one turn if its speaker is known, else passages."""
    if isinstance(item.content, tuple):
        yield from (_message_turn(message, item) for message in item.content)
        return
    assert isinstance(item.content, str)
    role = item.metadata.get("role")
    speaker = item.metadata.get("speaker") or (speaker_prefix(item.content) if prefixed else None)
    cut = cut_message if speaker or role else cut_passages
    yield _Turn(cut(item.content), speaker or role, role, item.timestamp, item.metadata)


def _message_turn(message: Message, item: Item) -> _Turn:
    metadata = {**item.metadata, **message.metadata}
    speaker = message.name or message.metadata.get("speaker") or message.role
    return _Turn(cut_message(message.content), speaker, message.role, message.timestamp or item.timestamp, metadata)


def _chunk(
    piece: Piece, between: str, index: int, item: Item, turn: _Turn, tags: tuple[str, ...], now: datetime
) -> ChunkDraft:
    speaker = turn.speaker or piece.speaker
    role = turn.role
    given = TIMELESS if item.timeless else instant_to_text(turn.timestamp) if turn.timestamp else ""
    agent = (role or speaker or "").lower() in AGENT_ROLES
    entities = tuple(name for name, _ in item.entities)
    return ChunkDraft(
        text=piece.text,
        separator=between + piece.separator,
        digest=chunk_digest(piece.text, speaker, role, given, item.context, tags, turn.metadata, item.entities),
        content_hash=content_hash(piece.text, speaker),
        item=index,
        type=UnitType.EXPERIENCE if agent else UnitType.WORLD,
        speaker=speaker,
        role=role,
        mentioned_at=None if item.timeless else turn.timestamp or now,
        context=item.context,
        tags=tags,
        metadata=turn.metadata,
        entities=entities,
        scoping=item.scoping,
    )
