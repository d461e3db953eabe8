"""Commands: what callers want done to a bank, as frozen dataclasses that can be sent again without doing it twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from memory.consolidating.commands import ConsolidationCommand
from memory.ids import digest
from memory.records import UnitType
from memory.reflect_commands import ReflectCommand
from memory.restore_commands import MovingCommand
from memory.stage_commands import StageCommand

UpdateMode = Literal["replace", "append"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue: a turn."""

    content: str
    role: str | None = None
    name: str | None = None
    timestamp: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GivenChunk:
    """A chunk as another bank has it; `digest` is of all that was given for it, by which it is known again here."""

    text: str
    separator: str
    digest: str
    item: int
    type: UnitType
    speaker: str | None = None
    role: str | None = None
    mentioned_at: datetime | None = None
    recorded_at: datetime | None = None
    context: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    entities: tuple[str, ...] = ()
    session: str | None = None


@dataclass(frozen=True, slots=True)
class GivenDocument:
    """A whole document as another bank has it: taken over as it is, nothing is cut anew."""

    chunks: tuple[GivenChunk, ...]
    tail: str
    version: int
    created_at: datetime
    updated_at: datetime
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None


Content = str | tuple[Message, ...] | GivenDocument


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to retain. Items of a request that share a `document_id` are that document's parts, in order.

    `timestamp` None means "now"; `timeless` means the content has no time of its own. A GivenDocument is the only item
    of its document, and brings all of these itself.
    """

    content: Content
    document_id: str | None = None
    timestamp: datetime | None = None
    timeless: bool = False
    context: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    entities: tuple[tuple[str, str | None], ...] = ()
    update_mode: UpdateMode = "replace"
    scoping: str | None = None
    """As memory.consolidating.scopes has it; None: as the bank says."""


@dataclass(frozen=True, slots=True)
class Retain:
    """Store items; one request is one plan."""

    operation_id: str
    items: tuple[Item, ...]
    document_tags: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Hex digest of everything but the operation id: tells a retry from another command."""
        return digest(repr((self.items, self.document_tags))).hex()


@dataclass(frozen=True, slots=True)
class DeleteDocument:
    """Remove a document with its units."""

    operation_id: str
    document_id: str


@dataclass(frozen=True, slots=True)
class DeleteBank:
    """Remove a bank with all it holds; a tombstone stays."""

    operation_id: str


@dataclass(frozen=True, slots=True)
class UpdateBank:
    """Create a bank or change its profile; keys absent from `profile` stay as they are."""

    operation_id: str
    profile: Mapping[str, Any]

    def fingerprint(self) -> str:
        """Hex digest of the changes."""
        return digest(repr(sorted(self.profile.items()))).hex()


@dataclass(frozen=True, slots=True)
class RepairBank:
    """Take the bank anew, settle and sweep it, and mend what an audit finds and can be mended."""

    operation_id: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Begin a session; `tags`, `metadata`, `context` are those of all turns. idle_ttl_s None: the deployment's."""

    operation_id: str
    session_id: str
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None
    idle_ttl_s: float | None = None

    def fingerprint(self) -> str:
        """Tells a retry from another command."""
        given = (self.session_id, self.tags, sorted(self.metadata.items()), self.context, self.idle_ttl_s)
        return digest(repr(given)).hex()


@dataclass(frozen=True, slots=True)
class AppendTurns:
    """Add turns to the end of a session, in order."""

    operation_id: str
    session_id: str
    messages: tuple[Message, ...]

    def fingerprint(self) -> str:
        """Tells a retry from another command."""
        return digest(self.session_id, repr(self.messages)).hex()


@dataclass(frozen=True, slots=True)
class CloseSession:
    """End a session; its document stays and is an ordinary one from then on."""

    operation_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class DeleteSession:
    """Remove a session, and its document with all its turns unless `keep_memory`."""

    operation_id: str
    session_id: str
    keep_memory: bool = False

    def fingerprint(self) -> str:
        """Tells a retry from another command."""
        return digest(self.session_id, repr(self.keep_memory)).hex()


SessionCommand = OpenSession | AppendTurns | CloseSession | DeleteSession


@dataclass(frozen=True, slots=True)
class CancelOperation:
    """What is left of `target` is not done."""

    operation_id: str
    target: str
    verb: ClassVar[str] = "cancel"


@dataclass(frozen=True, slots=True)
class RetryOperation:
    """What `target` failed at, or was cancelled before, is done again."""

    operation_id: str
    target: str
    verb: ClassVar[str] = "retry"


@dataclass(frozen=True, slots=True)
class DeleteOperation:
    """`target` is forgotten; a command under its id would be done anew."""

    operation_id: str
    target: str
    verb: ClassVar[str] = "delete"


FollowOperation = CancelOperation | RetryOperation | DeleteOperation


@dataclass(frozen=True, slots=True)
class CurateFact:
    """Correct a fact, or say that it is not true (state `invalidated`) or is after all (`valid`).

    `changes` has the fields to set: text, context, occurred_start, occurred_end, mentioned_at, entities.
    """

    operation_id: str
    unit_id: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    state: Literal["valid", "invalidated"] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CurateEntity:
    """Say how an entity is known: fields of `changes` are name, type, aliases, user_id.

    `merge` are keys of entities that are the same one: their names mean this one from now on.
    """

    operation_id: str
    key: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    merge: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListEntities:
    """What the bank knows of its entities, most mentioned first; with `key`, of that one."""

    limit: int
    offset: int = 0
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ReprocessDocument:
    """Find the facts of a document anew: what is stored of its windows is forgotten."""

    operation_id: str
    document_id: str


CurationCommand = CurateFact | CurateEntity | ListEntities | ReprocessDocument


Command = (
    Retain
    | DeleteDocument
    | DeleteBank
    | UpdateBank
    | RepairBank
    | SessionCommand
    | FollowOperation
    | StageCommand
    | CurationCommand
    | ReflectCommand
    | ConsolidationCommand
    | MovingCommand
)


@dataclass(frozen=True, slots=True)
class DocumentReceipt:
    """What became of one document of a retain."""

    document_id: str
    version: int
    seq: int
    added: int
    kept: int
    retired: int


@dataclass(frozen=True, slots=True)
class RetainReceipt:
    """The acknowledgement of a retain: everything in it is stored and searchable."""

    operation_id: str
    seq: int
    documents: tuple[DocumentReceipt, ...]
    tokens: int
    """Tokens embedded."""
    replayed: bool = False
    """True where the operation id was known: nothing was done again."""


@dataclass(frozen=True, slots=True)
class DeleteReceipt:
    """The acknowledgement of a delete."""

    operation_id: str
    seq: int
    units_deleted: int
    documents_deleted: int


@dataclass(frozen=True, slots=True)
class RepairReceipt:
    """The acknowledgement of a repair: what was done under which seq; what could not be is left for the next audit."""

    operation_id: str
    epoch: int
    seq: int
    retired: int
    remade: int
    """Units written anew, with new vectors."""
    revived: int
    """Units that a document lists, made live again."""
    records: int
    """Documents and other records rewritten or emptied."""


@dataclass(frozen=True, slots=True)
class OperationReceipt:
    """What became of an operation."""

    operation_id: str
    status: str
