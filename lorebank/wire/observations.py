"""Observations: what several facts came to."""

from pydantic import Field

from lorebank.wire.fields import Id, RequestModel, ResponseModel, TagName


class ConsolidationRequest(RequestModel):
    """Body of POST consolidate.

    observation_scopes: facts that have all tags of one of these are consolidated, and no others; left out, empty, or
    with an empty one among them: all facts.
    """

    observation_scopes: list[list[TagName]] | None = None
    operation_id: Id | None = None
    """Ours: the id of the operation that tells of the end."""


class ConsolidationResponse(ResponseModel):
    """The operation that tells of the end; `deduplicated`: that of who asked first."""

    operation_id: str
    deduplicated: bool = False


class RecoverConsolidationResponse(ResponseModel):
    """How many batches are tried again."""

    retried_count: int


class ClearMemoryObservationsResponse(ResponseModel):
    """How many observations were removed."""

    deleted_count: int


class ObservationScope(ResponseModel):
    """A set of tags, and how many observations have exactly these."""

    tags: list[str] = Field(default_factory=list)
    count: int


class ObservationScopesResponse(ResponseModel):
    """A page of the scopes of a bank's observations."""

    scopes: list[ObservationScope]
    total: int
    limit: int
    offset: int
