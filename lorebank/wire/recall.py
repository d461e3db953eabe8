"""Recall: a query with its filters and options, and the ranked units it returns."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from lorebank.wire.fields import (
    MAX_BANKS,
    MAX_LIMIT,
    MAX_TAG_LEAVES,
    MAX_TOKENS,
    BankScope,
    Budget,
    Id,
    Instant,
    Query,
    RecallType,
    RequestModel,
    ResponseModel,
    TagList,
    TagsMatch,
    Text,
    check_depth,
)

Floor = Annotated[float, Field(allow_inf_nan=False)]
TokenCount = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
TokenCountOrAll = Annotated[int, Field(ge=-1, le=MAX_TOKENS)]


class TagLeaf(RequestModel):
    """Units whose tags match a list."""

    tags: TagList
    match: TagsMatch = "any_strict"
    resolve: Literal["exact", "fuzzy"] = "exact"


class TagAnd(RequestModel):
    """All children must match."""

    and_: list["TagGroup"] = Field(alias="and", min_length=1, max_length=MAX_TAG_LEAVES)


class TagOr(RequestModel):
    """At least one child must match."""

    or_: list["TagGroup"] = Field(alias="or", min_length=1, max_length=MAX_TAG_LEAVES)


class TagNot(RequestModel):
    """The child must not match."""

    not_: "TagGroup" = Field(alias="not")


_GROUP_SHAPES: dict[type, str] = {TagLeaf: "tags", TagAnd: "and", TagOr: "or", TagNot: "not"}


def _group_shape(value: Any) -> str | None:
    """The one key that says which node of the tree a raw value is."""
    if isinstance(value, dict):
        keys = [key for key in _GROUP_SHAPES.values() if key in value]
        return keys[0] if len(keys) == 1 else None
    return _GROUP_SHAPES.get(type(value))


TagGroup = Annotated[
    Annotated[TagLeaf, Tag("tags")]
    | Annotated[TagAnd, Tag("and")]
    | Annotated[TagOr, Tag("or")]
    | Annotated[TagNot, Tag("not")],
    Discriminator(
        _group_shape,
        custom_error_type="tag_group",
        custom_error_message="a tag group has exactly one of the keys tags, and, or, not",
    ),
]
TagGroups = Annotated[list[TagGroup], BeforeValidator(check_depth)]
"""Boolean trees over tags; all trees of the list must match."""


def _leaf_count(groups: Iterable[TagGroup]) -> int:
    count = 0
    for group in groups:
        match group:
            case TagLeaf():
                count += 1
            case TagAnd():
                count += _leaf_count(group.and_)
            case TagOr():
                count += _leaf_count(group.or_)
            case TagNot():
                count += _leaf_count([group.not_])
    return count


class TagFilter(RequestModel):
    """The tag fields that recall and reflect share: a flat list or boolean trees, never both."""

    tags: TagList | None = None
    tags_match: TagsMatch = "any"
    tag_groups: TagGroups | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.tags and self.tag_groups:
            raise PydanticCustomError("exclusive", "tags and tag_groups exclude each other")
        if self.tag_groups and _leaf_count(self.tag_groups) > MAX_TAG_LEAVES:
            raise PydanticCustomError("too_large", f"tag_groups must not exceed {MAX_TAG_LEAVES} leaves")
        return self


class EntityIncludeOptions(RequestModel):
    """Entities of the results."""

    max_tokens: TokenCount = 500


class ChunkIncludeOptions(RequestModel):
    """Chunks the results come from."""

    max_tokens: TokenCount = 8192


class SourceFactsIncludeOptions(RequestModel):
    """Facts under the observations among the results; -1 means no bound."""

    max_tokens: TokenCountOrAll = 4096
    max_tokens_per_observation: TokenCountOrAll = -1


class IncludeOptions(RequestModel):
    """What comes with the results: entities unless the key is null, chunks and source facts if asked for."""

    entities: EntityIncludeOptions | None = Field(default_factory=EntityIncludeOptions)
    chunks: ChunkIncludeOptions | None = None
    source_facts: SourceFactsIncludeOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Keep nulls: `entities: null` means off, the key left out means on."""
        return data


class MinScores(RequestModel):
    """Inclusive score floors: semantic and keyword cut their lane, the others cut the ranked results."""

    semantic: Floor | None = None
    keyword: Floor | None = None
    reranker: Floor | None = None
    final: Floor | None = None


class TemporalWindow(RequestModel):
    """A window that ranks units dated inside it higher; it filters nothing."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise PydanticCustomError("order", "end must not be before start")
        return self


class RecallRequest(TagFilter):
    """Body of POST banks/BANK/memories/recall; no `types` (null or empty) means all but `reflection`.

    `query_timestamp` stays text, because one that parse_instant refuses is answered with 400 instead of 422. `recipe`
    is ours: how candidates are ranked, by name; left out, the server's best. Ours too: `as_of`, what the bank held
    then; `min_seq`, of an acknowledgement: no older answer, or one that says that it is stale.
    """

    query: Query
    types: list[RecallType] | None = None
    prefer_observations: bool = False
    budget: Budget = "mid"
    max_tokens: TokenCount = 4096
    trace: bool = False
    query_timestamp: Text | None = None
    include: IncludeOptions = Field(default_factory=IncludeOptions)
    min_scores: MinScores | None = None
    temporal_window: TemporalWindow | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] | None = None
    min_seq: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    recipe: Text | None = None
    as_of: Instant | None = None


class StackRecallRequest(RecallRequest):
    """Body of POST memories/recall: over several banks, or over those seen from a scope, the nearest first.

    `min_seqs` is `min_seq` by bank.
    """

    banks: Annotated[list[Id], Field(min_length=1, max_length=MAX_BANKS)] | None = None
    scope: BankScope | None = None
    min_seqs: Annotated[dict[Id, Annotated[int, Field(ge=0, lt=2**63)]], Field(max_length=MAX_BANKS)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _one_choice_of_banks(self) -> Self:
        if (self.banks is None) == (self.scope is None):
            raise PydanticCustomError("stack", "give either banks or scope")
        if self.banks is not None and len(set(self.banks)) < len(self.banks):
            raise PydanticCustomError("stack", "banks must differ")
        if self.min_seq is not None:
            raise PydanticCustomError("stack", "every bank has seqs of its own: give min_seqs, by bank")
        return self


class RecallScores(ResponseModel):
    """`final` ranks; semantic is a cosine, keyword a saturated BM25, None where a lane did not see the unit."""

    final: float
    reranker: float | None = None
    semantic: float | None = None
    keyword: float | None = None


class RecalledFact(ResponseModel):
    """What was extracted from a result, and holds; `semantic` is its cosine to the query."""

    id: str
    text: str
    type: str
    category: str | None = None
    occurred_start: str | None = None
    occurred_end: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    semantic: float | None = None


class RecallResult(ResponseModel):
    """One unit. The fields from `kind` on are ours; times are ISO 8601 texts."""

    id: str
    text: str
    type: str | None = None
    entities: list[str] | None = None
    context: str | None = None
    occurred_start: str | None = None
    occurred_end: str | None = None
    mentioned_at: str | None = None
    document_id: str | None = None
    metadata: dict[str, str] | None = None
    chunk_id: str | None = None
    tags: list[str] | None = None
    source_fact_ids: list[str] | None = None
    scores: RecallScores | None = None
    kind: Literal["chunk", "fact", "observation", "reflection"] | None = None
    speaker: str | None = None
    role: str | None = None
    seq: int | None = None
    proof_count: int | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    facts: list[RecalledFact] | None = None
    bank_id: str | None = None


class EntityObservation(ResponseModel):
    """Something observed about an entity."""

    text: str
    mentioned_at: str | None = None


class EntityState(ResponseModel):
    """What is known about one entity among the results."""

    entity_id: str
    canonical_name: str
    observations: list[EntityObservation]


class ChunkData(ResponseModel):
    """A chunk that results come from; `truncated` if the token budget cut its text."""

    id: str
    text: str
    chunk_index: int
    truncated: bool = False


class Watermarks(ResponseModel):
    """Highest seq below which each stage is complete, with the number of documents that failed."""

    accepted: int
    extracted: int
    consolidated: int
    failed_count: int = 0


class RecallResponse(ResponseModel):
    """Ranked units, best first, with what was asked to be included.

    Ours: `stale`, where `min_seq` was not reached in time; `history_incomplete`, where something that was there `as_of`
    is gone; `reranked`, whether the deployment's cross-encoder answered in time; `banks` that were asked, the nearest
    first, and those of them that are `missing_banks`.
    """

    results: list[RecallResult]
    trace: dict[str, Any] | None = None
    entities: dict[str, EntityState] | None = None
    chunks: dict[str, ChunkData] | None = None
    source_facts: dict[str, RecallResult] | None = None
    source_facts_truncated: bool | None = None
    watermarks: Watermarks | None = None
    stale: bool | None = None
    history_incomplete: bool | None = None
    reranked: bool | None = None
    banks: list[str] | None = None
    missing_banks: list[str] | None = None
