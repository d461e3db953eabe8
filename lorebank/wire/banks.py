"""Banks: profile, settings, listing, statistics, entities and tags."""

from typing import Annotated, Any, Literal

from pydantic import Field

from lorebank.wire.fields import BankScope, Context, Page, RequestModel, ResponseModel, TagName, Text, Trait
from lorebank.wire.recall import EntityObservation, Watermarks
from lorebank.wire.retain import ScopeMode

ExtractionMode = Literal["concise", "verbose", "custom", "verbatim", "chunks"]
ChunkChars = Annotated[int, Field(ge=1, le=1_000_000)]

TRAITS = ("skepticism", "literalism", "empathy")
NEUTRAL_TRAIT = 3


class Disposition(RequestModel):
    """The three traits of a bank, 1 to 5 each, 3 being neutral."""

    skepticism: Trait
    literalism: Trait
    empathy: Trait


class UpdateDispositionRequest(RequestModel):
    """Body of PUT profile (deprecated upstream; PUT bank does the same)."""

    disposition: Disposition


class AddBackgroundRequest(RequestModel):
    """Body of POST background (deprecated upstream): text to add to the mission."""

    content: Context
    update_disposition: bool = True


class BankUpdateRequest(RequestModel):
    """Body of PUT and PATCH bank: only the fields that are set change anything."""

    name: Text | None = None
    disposition: Disposition | None = None
    disposition_skepticism: Trait | None = None
    disposition_literalism: Trait | None = None
    disposition_empathy: Trait | None = None
    mission: Context | None = None
    background: Context | None = None
    reflect_mission: Context | None = None
    retain_mission: Context | None = None
    retain_extraction_mode: ExtractionMode | None = None
    retain_custom_instructions: Context | None = None
    retain_chunk_size: ChunkChars | None = None
    retain_structured_chunk_size: ChunkChars | None = None
    retain_max_attachments_per_chunk: Annotated[int, Field(ge=0, le=1000)] | None = None
    enable_observations: bool | None = None
    observations_mission: Context | None = None
    default_observation_scopes: ScopeMode | list[list[TagName]] | None = None
    consolidation_paused: bool | None = None
    enable_text_search: bool | None = None
    enable_temporal_retrieval: bool | None = None
    enable_graph_retrieval: bool | None = None
    enable_reranking: bool | None = None
    scope: BankScope | None = None

    def mission_text(self) -> str | None:
        """The mission this request sets: reflect_mission, else mission, else background; None changes nothing."""
        return next((text for text in (self.reflect_mission, self.mission, self.background) if text is not None), None)

    def traits(self) -> dict[str, int]:
        """The traits this request sets by name; a flat field wins over the legacy `disposition` object."""
        set_here = {} if self.disposition is None else {name: getattr(self.disposition, name) for name in TRAITS}
        for name in TRAITS:
            flat = getattr(self, f"disposition_{name}")
            if flat is not None:
                set_here[name] = flat
        return set_here


class BankProfileResponse(ResponseModel):
    """Name, disposition and mission of a bank; `background` echoes the mission for older clients; `scope` is ours."""

    bank_id: str
    name: str
    disposition: Disposition
    mission: str
    background: str | None = None
    scope: BankScope | None = None


class BackgroundResponse(ResponseModel):
    """The mission after POST background."""

    mission: str
    background: str | None = None
    disposition: Disposition | None = None


class BankListItem(ResponseModel):
    """One bank of the listing."""

    bank_id: str
    name: str | None = None
    disposition: Disposition
    mission: str | None = None
    scope: BankScope | None = None
    created_at: str | None = None
    updated_at: str | None = None
    fact_count: int = 0
    last_document_at: str | None = None
    last_write_at: str | None = None


class BankListResponse(Page):
    """One page of banks."""

    banks: list[BankListItem]


class BankStatsResponse(ResponseModel):
    """Counts over one bank; `watermarks` is ours."""

    bank_id: str
    total_nodes: int
    total_links: int
    total_documents: int
    nodes_by_fact_type: dict[str, int]
    links_by_link_type: dict[str, int]
    links_by_fact_type: dict[str, int]
    links_breakdown: dict[str, dict[str, int]]
    pending_operations: int
    failed_operations: int
    operations_by_status: dict[str, int] = Field(default_factory=dict)
    last_consolidated_at: str | None = None
    last_memory_write_at: str | None = None
    pending_consolidation: int = 0
    failed_consolidation: int = 0
    total_observations: int = 0
    watermarks: Watermarks | None = None


class EntityListItem(ResponseModel):
    """One canonical entity."""

    id: str
    canonical_name: str
    mention_count: int
    first_seen: str | None = None
    last_seen: str | None = None
    metadata: dict[str, Any] | None = None


class EntityListResponse(Page):
    """One page of entities."""

    items: list[EntityListItem]


class EntityDetailResponse(EntityListItem):
    """One entity with what was observed about it."""

    observations: list[EntityObservation]


class TagItem(ResponseModel):
    """A tag and the number of units that carry it."""

    tag: str
    count: int


class ListTagsResponse(Page):
    """One page of tags."""

    items: list[TagItem]
