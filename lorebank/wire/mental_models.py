"""Mental models: standing questions with stored answers that are refreshed."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lorebank.wire.fields import (
    MAX_LIMIT,
    Budget,
    FactType,
    Id,
    JsonObject,
    Page,
    Query,
    RequestModel,
    ResponseModel,
    TagList,
    TagsMatch,
    Text,
)
from lorebank.wire.recall import TagGroups
from lorebank.wire.reflect import ReflectTrace
from lorebank.wire.retain import TokenUsage

ModelName = Annotated[Text, Field(min_length=1, max_length=256)]
ModelId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Cron = Annotated[Text, Field(min_length=1, max_length=100)]
ContentTokens = Annotated[int, Field(ge=256, le=8192)]
Detail = Literal["metadata", "content", "full"]
RefreshMode = Literal["full", "delta"]


class MentalModelTrigger(RequestModel):
    """When and how a mental model is refreshed by itself; times of schedules are UTC."""

    budget: Budget | None = None
    mode: RefreshMode = "full"
    refresh_after_consolidation: bool = False
    """When new evidence has come and the bank has been quiet for a moment."""
    refresh_cron: Cron | None = None
    full_refresh_cron: Cron | None = None
    min_refresh_interval_seconds: Annotated[int, Field(ge=0)] | None = None
    fact_types: list[FactType] | None = None
    exclude_mental_models: bool = False
    exclude_mental_model_ids: Annotated[list[Id], Field(max_length=MAX_LIMIT)] | None = None
    tags_match: TagsMatch | None = None
    tag_groups: TagGroups | None = None
    response_schema: JsonObject | None = None
    keep_trace: bool = False


class CreateMentalModelRequest(RequestModel):
    """Body of POST mental-models; its first refresh is made in the background."""

    id: ModelId | None = None
    name: ModelName
    source_query: Query
    tags: TagList = Field(default_factory=list)
    max_tokens: ContentTokens = 2048
    trigger: MentalModelTrigger = Field(default_factory=MentalModelTrigger)
    operation_id: Id | None = None
    """Ours: sent again under it, nothing is created twice."""


class UpdateMentalModelRequest(RequestModel):
    """Body of PATCH mental-model: fields left out stay."""

    name: ModelName | None = None
    source_query: Query | None = None
    tags: TagList | None = None
    max_tokens: ContentTokens | None = None
    trigger: MentalModelTrigger | None = None


class RefreshMentalModelRequest(RequestModel):
    """Body of POST refresh: `mode` full makes it anew this once."""

    mode: RefreshMode | None = None


class CreateMentalModelResponse(ResponseModel):
    """The mental model, and the operation of its first refresh."""

    mental_model_id: str | None = None
    operation_id: str


class AsyncOperationSubmitResponse(ResponseModel):
    """An operation that is done in the background."""

    operation_id: str
    status: str


class MentalModelResponse(ResponseModel):
    """One mental model; how much of it depends on `detail`."""

    id: str
    bank_id: str
    name: str
    source_query: str | None = None
    content: str | None = None
    tags: list[str] = Field(default_factory=list)
    max_tokens: int | None = None
    trigger: dict[str, Any] | None = None
    last_refreshed_at: str | None = None
    last_memory_seen_at: str | None = None
    last_refresh_failed_at: str | None = None
    last_full_refreshed_at: str | None = None
    created_at: str | None = None
    is_knowledge_page: bool = False
    reflect_response: dict[str, Any] | None = None
    is_stale: bool | None = None
    version: int | None = None
    refreshing: bool | None = None
    failure: str | None = None


class MentalModelListResponse(Page):
    """One page of mental models, newest first."""

    items: list[MentalModelResponse]


class MentalModelVersion(ResponseModel):
    """A content that was replaced at `replaced_at`."""

    version: int
    previous_content: str
    changed_at: str
    refreshed_at: str | None = None
    source_query: str | None = None


class MentalModelHistory(ResponseModel):
    """Earlier contents, the latest first; on the wire they are a list."""

    items: list[MentalModelVersion]

    @model_validator(mode="before")
    @classmethod
    def _of_a_list(cls, data: Any) -> Any:
        return {"items": data} if isinstance(data, list) else data


class DryRunRefreshResponse(ResponseModel):
    """What a refresh would do; nothing was written."""

    mental_model_id: str
    name: str
    requested_mode: str
    effective_mode: str
    mode_fallback_reason: str | None = None
    outcome: str
    would_persist: bool
    scope: dict[str, Any]
    window: dict[str, Any]
    facts: dict[str, Any]
    based_on: dict[str, list[dict[str, Any]]] | None = None
    current_content: str
    candidate_content: str
    preview_content: str
    diff: str
    delta_operations: dict[str, Any] | None = None
    trace: ReflectTrace | dict[str, Any]
    usage: TokenUsage | None = None
    duration_ms: int = 0
    warnings: list[str] = Field(default_factory=list)
