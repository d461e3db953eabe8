"""Reflect: a question answered by reasoning over units, with its evidence."""

from typing import Any

from pydantic import Field

from lorebank.wire.fields import (
    Budget,
    Context,
    FactType,
    Id,
    JsonObject,
    Page,
    Query,
    RequestModel,
    ResponseModel,
    TagList,
)
from lorebank.wire.recall import TagFilter, TokenCount
from lorebank.wire.retain import TokenUsage


class ToolCallsIncludeOptions(RequestModel):
    """The trace of tool calls, with or without their outputs."""

    output: bool = True


class ReflectIncludeOptions(RequestModel):
    """What comes with the answer: an object (even empty) switches a part on, null or absence off."""

    facts: JsonObject | None = None
    tool_calls: ToolCallsIncludeOptions | None = None


class ReflectRequest(TagFilter):
    """Body of POST reflect. `context` is deprecated and read as part of the query."""

    query: Query
    budget: Budget = "low"
    context: Context | None = None
    max_tokens: TokenCount = 4096
    include: ReflectIncludeOptions = Field(default_factory=ReflectIncludeOptions)
    response_schema: JsonObject | None = None
    apply_all_directives: bool = False
    fact_types: list[FactType] | None = None
    exclude_mental_models: bool = False
    exclude_mental_model_ids: list[Id] = Field(default_factory=list)
    stream: bool = False
    """Ours: answer as server-sent events."""
    store: bool = False
    """Ours: keep question, answer and evidence in the bank."""
    store_tags: TagList | None = None
    """Of what is kept; left out: `tags`."""
    operation_id: Id | None = None
    """Of what is kept: sent again under it, it is answered from that."""


class ReflectFact(ResponseModel):
    """A unit the answer is based on."""

    id: str | None = None
    text: str
    type: str | None = None
    context: str | None = None
    occurred_start: str | None = None
    occurred_end: str | None = None
    mentioned_at: str | None = None
    document_id: str | None = None
    chunk_id: str | None = None
    tags: list[str] | None = None
    metadata: dict[str, str] | None = None
    speaker: str | None = None


class ReflectMentalModel(ResponseModel):
    """A mental model the answer is based on."""

    id: str
    text: str
    context: str | None = None


class ReflectDirective(ResponseModel):
    """A directive that applied to the answer."""

    id: str
    name: str
    content: str


class ReflectBasedOn(ResponseModel):
    """The evidence."""

    memories: list[ReflectFact] = Field(default_factory=list)
    mental_models: list[ReflectMentalModel] = Field(default_factory=list)
    directives: list[ReflectDirective] = Field(default_factory=list)


class ReflectToolCall(ResponseModel):
    """One tool call of the loop."""

    tool: str
    input: dict[str, Any]
    output: dict[str, Any] | None = None
    duration_ms: int
    iteration: int = 0


class ReflectLlmCall(ResponseModel):
    """One LLM call of the loop."""

    scope: str
    duration_ms: int


class ReflectTrace(ResponseModel):
    """The calls made, in order."""

    tool_calls: list[ReflectToolCall] = Field(default_factory=list)
    llm_calls: list[ReflectLlmCall] = Field(default_factory=list)


class ReflectResponse(ResponseModel):
    """The answer as Markdown; `mode` (ours) says whether an LLM wrote it (llm) or it quotes (extractive), and why."""

    text: str
    based_on: ReflectBasedOn | None = None
    structured_output: dict[str, Any] | None = None
    structured_output_error: str | None = None
    usage: TokenUsage | None = None
    trace: ReflectTrace | None = None
    mode: str | None = None
    reason: str | None = None
    reflection_id: str | None = None
    """Of what was kept, where that was asked for."""


class ReflectionResponse(ResponseModel):
    """A reflection that was kept. `sources` counts what it rests on: with any of that it goes."""

    id: str
    bank_id: str
    operation_id: str
    query: str
    text: str
    tags: list[str] = Field(default_factory=list)
    created_at: str
    sources: int
    mode: str | None = None
    reason: str | None = None
    usage: TokenUsage | None = None
    structured_output: dict[str, Any] | None = None
    structured_output_error: str | None = None
    based_on: ReflectBasedOn | None = None


class ReflectionListResponse(Page):
    """One page of stored reflections, newest first."""

    items: list[ReflectionResponse]
