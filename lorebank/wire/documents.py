"""Documents, their chunks, and the listing of memory units."""

from typing import Any

from pydantic import Field

from lorebank.wire.fields import OpenResponseModel, Page, RequestModel, ResponseModel, TagList


class MemoryUnitListItem(OpenResponseModel):
    """One row of the memory listing; `entities` is a comma-separated text as upstream sends it."""

    id: str
    text: str = ""
    context: str = ""
    date: str = ""
    fact_type: str | None = None
    document_id: str | None = None
    mentioned_at: str | None = None
    occurred_start: str | None = None
    occurred_end: str | None = None
    entities: str = ""
    chunk_id: str | None = None
    proof_count: int = 1
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] | None = None
    consolidated_at: str | None = None
    consolidation_failed_at: str | None = None
    state: str = "valid"
    invalidation_reason: str | None = None
    invalidated_at: str | None = None
    edited_at: str | None = None
    updated_at: str | None = None
    source_memory_ids: list[str] = Field(default_factory=list)
    kind: str | None = None
    speaker: str | None = None
    role: str | None = None
    seq: int | None = None


class ListMemoryUnitsResponse(Page):
    """One page of memory units."""

    items: list[MemoryUnitListItem]


class MemoryUnitResponse(OpenResponseModel):
    """One memory unit; here `entities` is a list of names."""

    id: str
    text: str
    context: str = ""
    date: str = ""
    type: str | None = None
    document_id: str | None = None
    mentioned_at: str | None = None
    occurred_start: str | None = None
    occurred_end: str | None = None
    entities: list[str] = Field(default_factory=list)
    chunk_id: str | None = None
    proof_count: int = 1
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] | None = None
    state: str = "valid"
    source_memory_ids: list[str] = Field(default_factory=list)
    kind: str | None = None
    speaker: str | None = None
    role: str | None = None
    seq: int | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    superseded_by: str | None = None


class DocumentListItem(OpenResponseModel):
    """One document without its text."""

    id: str
    bank_id: str = ""
    content_hash: str | None = None
    created_at: str = ""
    updated_at: str = ""
    text_length: int = 0
    memory_unit_count: int = 0
    retain_params: dict[str, Any] | None = None
    document_metadata: dict[str, Any] | None = None
    tags: list[str] = Field(default_factory=list)
    matched_fields: list[str] = Field(default_factory=list)


class ListDocumentsResponse(Page):
    """One page of documents; `total_is_estimate` if a search stopped at its cap."""

    items: list[DocumentListItem]
    total_is_estimate: bool = False


class DocumentResponse(ResponseModel):
    """One document with its text, byte for byte as retained; `seq` and `stage` are ours."""

    id: str
    bank_id: str
    original_text: str | None
    content_hash: str | None
    created_at: str
    updated_at: str
    memory_unit_count: int
    nodes_by_fact_type: dict[str, int] | None = None
    tags: list[str] = Field(default_factory=list)
    document_metadata: dict[str, Any] | None = None
    retain_params: dict[str, Any] | None = None
    observation_scopes: str | list[list[str]] | None = None
    seq: int | None = None
    stage: str | None = None


class UpdateDocumentRequest(RequestModel):
    """Body of PATCH document: its new tags."""

    tags: TagList | None = None


class UpdateDocumentResponse(ResponseModel):
    """Answer of PATCH document."""

    success: bool = True


class DeleteDocumentResponse(ResponseModel):
    """A document is gone with its units and what was derived from them."""

    success: bool
    message: str
    document_id: str
    memory_units_deleted: int


class ChunkResponse(ResponseModel):
    """One chunk of a document, verbatim."""

    chunk_id: str
    document_id: str
    bank_id: str
    chunk_index: int
    chunk_text: str
    created_at: str


class ListChunksResponse(Page):
    """One page of the chunks of a document, in order."""

    items: list[ChunkResponse]
