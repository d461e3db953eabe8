"""Answers about how far a bank's stages are, and the events of its commits."""

from lorebank.wire.fields import ResponseModel

MAX_COMMIT = 2**53
"""Numbers of commits are below this."""


class StageWatermark(ResponseModel):
    """How far one stage is: every document up to seq `watermark` has passed it, or was given up on."""

    watermark: int
    lag: int
    pending: int
    failed_count: int


class WatermarksResponse(ResponseModel):
    """Watermarks of a bank's stages; `accepted` is the seq of the last searchable document."""

    bank_id: str
    accepted: int
    stages: dict[str, StageWatermark]


class EventItem(ResponseModel):
    """Something that happened by commit `commit`; types are such as `retain.completed` or `operation.failed`."""

    commit: int
    type: str
    operation_id: str
    at: str


class EventListResponse(ResponseModel):
    """Events of the commits after the one asked for, oldest first; `last` is where to go on.

    `missed`: commits in between are no longer kept, and their events with them.
    """

    bank_id: str
    items: list[EventItem]
    last: int
    missed: bool
