"""The keyword arguments of the client methods, and the shapes they take and give."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict

from lorebank.wire import (
    BankScope,
    Budget,
    FactType,
    IncludeOptions,
    Message,
    MinScores,
    RecallType,
    ReflectIncludeOptions,
    RetainItem,
    ScopeMode,
    SessionState,
    Stage,
    TagGroup,
    TagsMatch,
    TemporalWindow,
    TextBlock,
    UpdateMode,
)

Instant = datetime | str
MessageInput = Message | Mapping[str, Any]
ContentInput = str | Sequence[MessageInput | TextBlock]
ItemInput = RetainItem | Mapping[str, Any]


class RetainManyOptions(TypedDict, total=False):
    """What one retain call says about all its items.

    `operation_id` makes the call idempotent; without one, each call makes its own and only its retries share it.
    `async_` answers before the items are stored; `wait_for="extracted"` answers when their facts are stored too.
    """

    operation_id: str | None
    document_tags: Sequence[str] | None
    async_: bool
    wait_for: Stage | None


class SessionOptions(TypedDict, total=False):
    """What is said of a session when it is opened; it holds for all its turns.

    Without a `session_id` the session gets one. It is closed after `idle_ttl_s` without a turn.
    """

    session_id: str | None
    tags: Sequence[str] | None
    metadata: Mapping[str, str] | None
    context: str | None
    idle_ttl_s: float | None
    operation_id: str | None


class RetainOptions(RetainManyOptions, total=False):
    """What one retain call says about its one item; retaining a document_id again replaces that document."""

    document_id: str | None
    timestamp: Instant | Literal["unset"] | None
    context: str | None
    metadata: Mapping[str, str] | None
    entities: Sequence[Mapping[str, str]] | None
    resolve_entities: bool
    tags: Sequence[str] | None
    observation_scopes: ScopeMode | Sequence[Sequence[str]] | None
    strategy: str | None
    update_mode: UpdateMode


class TagFilterOptions(TypedDict, total=False):
    """Which units are considered, by their tags."""

    tags: Sequence[str] | None
    tags_match: TagsMatch
    tag_groups: Sequence[TagGroup | Mapping[str, Any]] | None


class RecallOptions(TagFilterOptions, total=False):
    """How a recall searches, what it filters by and what it returns."""

    types: Sequence[RecallType] | None
    prefer_observations: bool
    budget: Budget
    max_tokens: int
    limit: int | None
    trace: bool
    query_timestamp: Instant | None
    include: IncludeOptions | Mapping[str, Any]
    min_scores: MinScores | Mapping[str, float] | None
    temporal_window: TemporalWindow | Mapping[str, Instant] | None
    min_seq: int | None
    recipe: str | None
    as_of: Instant | None


class StackRecallOptions(RecallOptions, total=False):
    """How a recall over several banks searches; either `banks`, the nearest first, or `scope` says which."""

    banks: Sequence[str] | None
    scope: BankScope | Mapping[str, str] | None
    min_seqs: Mapping[str, int]


class ReflectOptions(TagFilterOptions, total=False):
    """How an answer is made and what comes with it."""

    budget: Budget
    max_tokens: int
    include: ReflectIncludeOptions | Mapping[str, Any]
    response_schema: Mapping[str, Any] | None
    apply_all_directives: bool
    fact_types: Sequence[FactType] | None
    exclude_mental_models: bool
    exclude_mental_model_ids: Sequence[str]
    store: bool
    store_tags: Sequence[str] | None
    operation_id: str


class BankOptions(TypedDict, total=False):
    """Settings of a bank; the traits are 1 to 5, 3 being neutral."""

    name: str
    mission: str
    reflect_mission: str
    retain_mission: str
    observations_mission: str
    disposition_skepticism: int
    disposition_literalism: int
    disposition_empathy: int
    retain_extraction_mode: Literal["concise", "verbose", "custom", "verbatim", "chunks"]
    retain_custom_instructions: str
    retain_chunk_size: int
    enable_observations: bool
    enable_text_search: bool
    enable_temporal_retrieval: bool
    enable_graph_retrieval: bool
    enable_reranking: bool
    scope: BankScope | Mapping[str, str]


class PageOptions(TypedDict, total=False):
    """Which part of a listing; the server has its own default limit."""

    limit: int
    offset: int


class MemoryPageOptions(PageOptions, total=False):
    """Filters of the memory listing; `q` searches the texts."""

    q: str
    type: FactType
    state: str
    consolidation_state: str
    document_id: str
    entity_id: str
    tags: Sequence[str]
    tags_match: TagsMatch


class DocumentPageOptions(PageOptions, total=False):
    """Filters of the document listing; `q` searches ids and texts."""

    q: str
    tags: Sequence[str]
    tags_match: TagsMatch


class OperationPageOptions(PageOptions, total=False):
    """Filters of the operation listing."""

    status: str
    type: str


class SessionPageOptions(PageOptions, total=False):
    """Filter of the session listing."""

    status: SessionState


class TagPageOptions(PageOptions, total=False):
    """Filter of the tag listing; `q` may hold the wildcard *."""

    q: str


class FoundMemory(TypedDict):
    """One result of the search_memory tool: JSON-ready, small enough to hand to a language model."""

    id: str
    text: str
    who: str | None
    when: str | None
    score: float | None
    document_id: str | None
