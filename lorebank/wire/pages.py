"""Knowledge pages: mental models in a tree of folders, read as Markdown."""

from typing import Any, Literal

from pydantic import Field, model_validator

from lorebank.wire.fields import Id, Query, RequestModel, ResponseModel, TagList
from lorebank.wire.mental_models import ContentTokens, MentalModelTrigger, ModelName


class CreateFolderRequest(RequestModel):
    """Body of POST folders; without a parent it stands at the top."""

    name: ModelName
    parent_id: Id | None = None
    operation_id: Id | None = None
    """Ours: sent again under it, nothing is created twice."""


class CreatePageRequest(RequestModel):
    """Body of POST pages. Fields of `trigger` that are left out are those of pages: edited when evidence comes."""

    name: ModelName
    source_query: Query
    parent_id: Id | None = None
    tags: TagList | None = None
    max_tokens: ContentTokens | None = None
    trigger: MentalModelTrigger | None = None
    operation_id: Id | None = None
    """Ours: sent again under it, nothing is created twice."""


class UpdateNodeRequest(RequestModel):
    """Body of PATCH node: fields left out stay; `parent_id` null, or empty, moves it to the top."""

    name: ModelName | None = None
    parent_id: Id | Literal[""] | None = None
    source_query: Query | None = None
    tags: TagList | None = None
    max_tokens: ContentTokens | None = None
    trigger: MentalModelTrigger | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """As for all requests, but for the parent."""
        if not isinstance(data, dict):
            return data
        given = {**data, "parent_id": ""} if data.get("parent_id", "") is None else data
        return {key: value for key, value in given.items() if value is not None}


class KnowledgeNode(ResponseModel):
    """A folder with what is in it, or a page."""

    id: str
    kind: Literal["folder", "page"]
    name: str
    parent_id: str | None = None
    mental_model_id: str | None = None
    managed: bool = False
    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    timestamp: str | None = None
    is_stale: bool | None = None
    last_refresh_failed_at: str | None = None
    trigger: dict[str, Any] | None = None
    children: list["KnowledgeNode"] = Field(default_factory=list)


class KnowledgeTreeResponse(ResponseModel):
    """What stands at the top, with all below it."""

    roots: list[KnowledgeNode]


class CreateKnowledgePageResponse(ResponseModel):
    """The page, and the operation of its first refresh."""

    page_id: str
    mental_model_id: str
    operation_id: str | None = None


class KnowledgePageResponse(ResponseModel):
    """A page; `markdown` is all of it: front matter, content, sources."""

    id: str
    name: str
    type: str
    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    timestamp: str | None = None
    body: str | None = None
    markdown: str


class KnowledgePageSearchResult(ResponseModel):
    """A page that speaks to the query; `score` says how it ranked: 1.0 is the first."""

    id: str
    name: str
    mental_model_id: str | None = None
    source_query: str | None = None
    snippet: str
    score: float
    updated_at: str | None = None


class KnowledgePageSearchResponse(ResponseModel):
    """Pages, best first."""

    results: list[KnowledgePageSearchResult]
    total: int


class KnowledgePageBundleFile(ResponseModel):
    """One file: a relative path and its Markdown."""

    path: str
    content: str


class KnowledgePageBundleResponse(ResponseModel):
    """All pages as files, the index first."""

    files: list[KnowledgePageBundleFile]
