"""Curation: what callers say of facts and entities, previews of extraction, and the profile of a bank by category."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lorebank.wire.fields import MAX_ENTITIES, Content, Context, Id, Instant, RequestModel, ResponseModel, Text


class UpdateMemoryRequest(RequestModel):
    """Body of PATCH memory: corrections, or `state` to say that it is not true (`invalidated`) or is (`valid`)."""

    text: Content | None = None
    context: Context | None = None
    occurred_start: Instant | None = None
    occurred_end: Instant | None = None
    mentioned_at: Instant | None = None
    entities: Annotated[list[Id], Field(max_length=MAX_ENTITIES)] | None = None
    resolve_entities: bool = True
    state: Literal["valid", "invalidated"] | None = None
    reason: Text | None = None


class MemoryVersion(ResponseModel):
    """What a memory was until it was curated at `at`, and what was changed then."""

    at: str
    state: str
    text: str
    changes: list[str]
    reason: str | None = None


class MemoryHistoryResponse(ResponseModel):
    """How a memory was curated, oldest first."""

    memory_id: str
    state: str
    history: list[MemoryVersion]


class UpdateEntityRequest(RequestModel):
    """Body of PATCH entity: fields left out stay; `aliases` are all names that mean it beside those it is found by."""

    name: Id | None = None
    type: Text | None = None
    aliases: Annotated[list[Id], Field(max_length=MAX_ENTITIES)] | None = None
    user_id: Id | None = None


class MergeEntitiesRequest(RequestModel):
    """Body of POST entity/merge: entities that are the same one."""

    entity_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_ENTITIES)]


class DryRunExtractRequest(RequestModel):
    """Body of POST dry-run-extract: nothing is stored."""

    content: Content
    context: Context | None = None
    timestamp: Instant | None = None
    agent_name: Id | None = None
    retain_mission: Text | None = None
    retain_extraction_mode: Text | None = None
    retain_custom_instructions: Text | None = None


class DryRunExtractResponse(ResponseModel):
    """The facts that would be found."""

    facts: list[dict[str, Any]]
    extractor: str


class ReprocessDocumentResponse(ResponseModel):
    """A document's facts are found anew under this operation."""

    success: bool
    operation_id: str
    items_count: int = 1


class ProfileMemory(ResponseModel):
    """A fact that holds today."""

    id: str
    text: str
    confidence: float | None = None
    mentioned_at: str | None = None
    valid_from: str | None = None


class ProfileMemoriesResponse(ResponseModel):
    """What a bank knows that holds today, by category, the latest first."""

    bank_id: str
    categories: dict[str, list[ProfileMemory]]
