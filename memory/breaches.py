"""What an audit of a bank can find: kinds of breaches, each named once, and what a repair needs to know of them."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from memory.ids import Scope
from memory.records import ChunkEntry, Document, Head, Relinked, Unit


class BreachKind(StrEnum):
    """One name per broken invariant, as reports show it."""

    NO_HEAD = "no head"
    HEAD_UNREADABLE = "head unreadable"
    HEAD_KEYS = "head keys"
    HEAD_EXISTS = "head existence"
    SEQ_BLOCK = "seq block"
    COUNTERS = "counters"
    DUE = "due time"
    UNSETTLED = "unsettled commit"
    COMMITS = "commit numbers"
    COMMIT_MISSING = "commit missing"
    HISTORY = "history length"
    ID = "id"
    OWNER = "owner"
    UNREADABLE = "unreadable"
    SEQ = "seq"
    EPOCH = "epoch"
    PENDING = "pending leftover"
    RETIRED = "retired leftover"
    ORPHAN = "orphan"
    UNIT_TEXT = "unit text"
    VECTOR = "vector"
    REFERENCE = "reference"
    SLOT = "slot"
    ANSWER = "stored answer"
    OBSERVATION = "observation"
    CHUNK_MISSING = "chunk missing"
    CHUNK_NOT_LIVE = "chunk not live"
    CHUNK_TWICE = "chunk listed twice"
    CHUNK_DIFFERS = "chunk differs"
    POSITION = "position"
    DOCUMENT_MISSING = "document missing"
    DOCUMENT_ORDER = "document order"
    DOCUMENT_HASH = "document hash"
    DOCUMENT_SIZE = "document size"
    DOCUMENT_VERSION = "document version"
    RECALL_PROFILE = "recall profile"
    OPERATION = "operation"
    TOMBSTONE = "tombstone"
    REMOVED = "removed record"
    STRAY = "stray points"


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken invariant: `what` says how, `where` names the unit, record or field."""

    kind: BreachKind
    bank: Scope
    what: str
    where: str
    repairable: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A chunk as its document lists it."""

    document_id: str
    entry: ChunkEntry


@dataclass(slots=True)
class DocumentsSeen:
    """Documents of a bank that have a record: what operations say of them, those removed, those that cannot be read."""

    live: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Id -> version, seq."""
    removed: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    deleted: dict[str, int] = field(default_factory=dict)
    """Id -> seq of its last deletion that an operation tells of; its removed record may have been swept."""

    def __contains__(self, document_id: object) -> bool:
        return document_id in self.live or document_id in self.removed or document_id in self.unreadable


@dataclass(slots=True)
class Audit:
    """What was seen of one bank: its breaches, and by id what a repair acts on."""

    scope: Scope
    head: Head | None = None
    moved: bool = False
    """Whether the head changed meanwhile: what was found may then be the way of a write, and is no finding."""
    breaches: list[Breach] = field(default_factory=list)
    units: int = 0
    records: int = 0
    vectors: int = 0
    """Sentence vectors looked at."""

    highest_seq: int = 0
    highest_epoch: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    """What the head's counters should say."""
    speakers: Counter[str] = field(default_factory=Counter)
    """What the recall profile should say."""
    retire: list[str] = field(default_factory=list)
    """Units that have no place in the bank."""
    uncount: Counter[str] = field(default_factory=Counter)
    """What the head counts of those that a repair retires as plans do."""
    remake: dict[str, Listed] = field(default_factory=dict)
    """Live units whose text is right and something else is not."""
    salvage: dict[str, Unit] = field(default_factory=dict)
    """Units that a document lists and that are not live; the sweep of leftovers would take them."""
    moves: dict[str, int] = field(default_factory=dict)
    """Units that do not stand where their document says -> position."""
    documents: set[str] = field(default_factory=set)
    """Documents whose hash or size is to be computed anew."""
    rebuild: dict[str, Document] = field(default_factory=dict)
    """Documents whose record is lost, as they were."""
    rewrite: set[tuple[str, str]] = field(default_factory=set)
    """Kind and key of records that are right but for whose they say they are."""
    relink: list[Relinked] = field(default_factory=list)
    """Facts whose standing among the others is to be written anew."""
    remove: set[tuple[str, str]] = field(default_factory=set)
    """Kind and key of records that have no place in the bank, or should be empty."""

    def report(self, kind: BreachKind, where: str, what: str, *, repairable: bool = False) -> None:
        """Add a breach."""
        self.breaches.append(Breach(kind, self.scope, what, where, repairable))

    @property
    def in_flight(self) -> bool:
        """Whether some of what was found is also seen while the owner is writing a plan."""
        epoch = self.head.epoch if self.head else 0
        waiting = (BreachKind.PENDING, BreachKind.UNSETTLED)
        return any(breach.kind in waiting for breach in self.breaches) and epoch > 0
