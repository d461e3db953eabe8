"""Directives: rules of a bank's owner that reflect follows before everything else."""

from typing import Annotated

from pydantic import Field

from lorebank.wire.fields import Id, Page, RequestModel, ResponseModel, TagList, Text

MAX_RULE_CHARS = 8_000
"""Of one directive."""
RuleName = Annotated[Text, Field(min_length=1, max_length=256)]
Rule = Annotated[Text, Field(min_length=1, max_length=MAX_RULE_CHARS)]
Priority = Annotated[int, Field(strict=True, ge=-1_000_000, le=1_000_000)]


class CreateDirectiveRequest(RequestModel):
    """Body of POST directives. Without tags it always holds, with tags where a request asks for them."""

    name: RuleName
    content: Rule
    priority: Priority = 0
    is_active: bool = True
    tags: TagList = Field(default_factory=list)
    operation_id: Id | None = None
    """Ours: sent again under it, nothing is created twice."""


class UpdateDirectiveRequest(RequestModel):
    """Body of PATCH directive: fields left out stay."""

    name: RuleName | None = None
    content: Rule | None = None
    priority: Priority | None = None
    is_active: bool | None = None
    tags: TagList | None = None


class DirectiveResponse(ResponseModel):
    """One directive."""

    id: str
    bank_id: str
    name: str
    content: str
    priority: int = 0
    is_active: bool = True
    tags: list[str] = Field(default_factory=list)
    created_at: str | None = None
    updated_at: str | None = None


class DirectiveListResponse(Page):
    """One page of directives, highest priority first."""

    items: list[DirectiveResponse]
