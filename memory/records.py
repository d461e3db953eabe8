"""What a bank consists of: units (recall returns them) and records (looked up), as frozen dataclasses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class UnitKind(StrEnum):
    """What a unit is."""

    CHUNK = "chunk"
    FACT = "fact"
    OBSERVATION = "observation"
    REFLECTION = "reflection"


class UnitType(StrEnum):
    """What callers filter by with `types`; a chunk has the type its speaker's facts would have."""

    WORLD = "world"
    EXPERIENCE = "experience"
    OBSERVATION = "observation"
    REFLECTION = "reflection"
    """A stored one: left out of recall unless it is asked for."""


class UnitState(StrEnum):
    """Pending units are stored but invisible; retired ones are out of recall and kept for history."""

    PENDING = "pending"
    LIVE = "live"
    RETIRED = "retired"


class RecordKind(StrEnum):
    """One name per kind of record."""

    HEAD = "head"
    COMMIT = "commit"
    DOCUMENT = "document"
    OPERATION = "operation"
    SESSION = "session"
    SESSION_PART = "session_part"
    STAGES = "stages"
    RECALL_PROFILE = "recall_profile"
    RING = "ring"
    IDENTITY = "identity"
    SPENDING = "spending"
    REDERIVE = "rederive"
    WINDOW = "window"
    CURATION = "curation"
    DIRECTIVE = "directive"
    MENTAL_MODEL = "mental_model"
    MODEL_VERSION = "model_version"
    OBSERVATION = "observation"
    CONSOLIDATION = "consolidation"
    REFLECTION = "reflection"
    FOLDER = "folder"
    ENTITY = "entity"
    ADDRESS = "address"
    SPACES = "spaces"


@dataclass(frozen=True, slots=True)
class Link:
    """Typed, weighted relation from one unit to another."""

    to: str
    type: str
    weight: float


@dataclass(frozen=True, slots=True)
class Source:
    """A unit that another was derived from, as it was then."""

    unit_id: str
    seq: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class Unit:
    """The atomic stored memory. Times are aware UTC; `position` is sparse: only its order within a document counts."""

    id: str
    kind: UnitKind
    type: UnitType
    text: str
    document_id: str
    content_hash: str
    position: int = 0
    state: UnitState = UnitState.PENDING
    context: str | None = None
    born_version: int = 1
    window: str | None = None
    seq: int = 0
    epoch: int = 0
    speaker: str | None = None
    role: str | None = None
    session: str | None = None
    occurred_start: datetime | None = None
    occurred_end: datetime | None = None
    mentioned_at: datetime | None = None
    recorded_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    superseded_by: str | None = None
    category: str | None = None
    confidence: float | None = None
    language: str | None = None
    entities: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    actor_ids: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()
    """Of a fact: names as they stand in it, with their types; `entities` are then the keys of those they mean."""
    claims: tuple[tuple[str, str, str | None, bool, bool, bool], ...] = ()
    """Of a fact: the rows of memory.extraction.candidates.Claim."""
    causes: tuple[str, ...] = ()
    """Of a fact: ids of the facts that it follows from, whether they are live or not."""
    sketch: str | None = None
    """Of a fact: that of its sentence vector, as memory.sketches makes it."""
    proof_count: int = 1
    expires_at: datetime | None = None
    text_tokens: int = 0
    scoping: str | None = None
    """How what is found in it is consolidated with others, as memory.consolidating.scopes has it; None: as its bank."""


@dataclass(frozen=True, slots=True)
class Relinked:
    """What a unit that stays points at, and for how long it holds, once others came or went."""

    unit_id: str
    links: tuple[Link, ...]
    superseded_by: str | None
    valid_to: datetime | None
    valid_from: datetime | None = None
    entities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an embedder makes of a text: the sentence vector, float32, (dim,), L2-normalised; its token vectors.

    tokens: packed by memory.late; empty where the embedder gives none, or the text holds nothing but function words.
    space: key of the vector space (memory.spaces); also: the same of other models, while a store has several.
    """

    dense: NDArray[np.float32]
    tokens: bytes = b""
    space: str = ""
    also: "tuple[Embedding, ...]" = ()

    @property
    def all(self) -> "tuple[Embedding, ...]":
        """One for each space, this one first."""
        return (self, *self.also)

    def in_spaces(self, spaces: Sequence[str]) -> "Embedding | None":
        """The same in these spaces only, the first of them first; None where one is missing."""
        by_space = {one.space: replace(one, also=()) for one in self.all}
        if not all(space in by_space for space in spaces):
            return None
        first, *others = (by_space[space] for space in spaces)
        return replace(first, also=tuple(others))


@dataclass(frozen=True, slots=True)
class Vectors:
    """What a unit is found by: the sentence vector, float32, (dim,), L2-normalised; the text of the keyword lane.

    tokens: as in Embedding; a unit without is ranked by the other two. space, also: as in Embedding.
    """

    dense: NDArray[np.float32]
    lexical: str
    tokens: bytes = b""
    space: str = ""
    also: tuple[Embedding, ...] = ()

    @property
    def embeddings(self) -> tuple[Embedding, ...]:
        """One for each space."""
        return (Embedding(self.dense, self.tokens, self.space), *self.also)


@dataclass(frozen=True, slots=True)
class Record:
    """Something looked up by (bank, kind, key). `body` is JSON-ready; times in it are ISO strings."""

    kind: RecordKind
    key: str
    body: Mapping[str, Any]
    seq: int = 0
    epoch: int = 0
    order: int = 0
    """Sort key of listings, newest first: microseconds since 1970."""
    status: str = ""
    """For kinds that are listed by status (operations); empty elsewhere."""


@dataclass(frozen=True, slots=True)
class Head:
    """A bank's record: who may write, what is committed, what is counted.

    `commit` is the number of the last committed plan, `settled` of the last one applied in full; `commits` names the
    record of each commit after `settled` (and of the last one). `seq_end` is the end of the reserved block of seqs.
    """

    epoch: int = 0
    commit: int = 0
    settled: int = 0
    commits: Mapping[int, str] = field(default_factory=dict)
    seq: int = 0
    seq_end: int = 0
    due_at: datetime | None = None
    deleted: bool = False
    exists: bool = False
    """False until the first plan is committed, and again after a delete of the bank."""
    profile: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    incomplete_before: datetime | None = None
    """What was told before may be gone, and the commits that would say so are not here: the bank was restored."""


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """A chunk in its document's ordered list. `separator` stands between the chunk before (or the start) and it."""

    unit_id: str
    digest: str
    content_hash: str
    position: int
    separator: str
    speaker: str | None
    type: UnitType
    item: int


@dataclass(frozen=True, slots=True)
class Document:
    """What was retained under one id, versioned.

    Its text is the concatenation of separator and chunk in order, then `tail`: byte for byte what was sent.
    """

    id: str
    version: int
    seq: int
    chunks: tuple[ChunkEntry, ...]
    tail: str
    content_hash: str
    text_bytes: int
    created_at: datetime
    updated_at: datetime
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None
    open: bool = False
    """Whether a session is still adding to it; what was appended last then stands in the session's parts."""


@dataclass(frozen=True, slots=True)
class RecallProfile:
    """What recall needs to know of a bank before it reads units: who speaks in it, and how often; its switch."""

    speakers: Mapping[str, int] = field(default_factory=dict)
    seq: int = 0
    reranking: bool = True
    """Whether late interaction ranks in this bank, unless a request names a recipe."""
    retention: tuple[Mapping[str, Any], ...] | None = None
    """The bank's own rules of retention, as its setting has them (memory.retention); None: it has none of its own."""
