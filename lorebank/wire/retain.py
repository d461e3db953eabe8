"""Retain: what a caller hands over to be remembered, and the receipt."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator
from pydantic_core import PydanticCustomError

from lorebank.wire.fields import (
    MAX_ENTITIES,
    MAX_ITEMS,
    MAX_MESSAGES,
    Content,
    Context,
    Id,
    Instant,
    Metadata,
    RequestModel,
    ResponseModel,
    TagList,
    TagName,
    Text,
    check_content_bytes,
    utf8_bytes,
)

UpdateMode = Literal["replace", "append"]
Stage = Literal["accepted", "extracted"]
ScopeMode = Literal["per_tag", "combined", "all_combinations", "shared"]


def _timestamp_shape(value: Any) -> str:
    return "unset" if value == "unset" else "instant"


Timestamp = Annotated[
    Annotated[Instant, Tag("instant")] | Annotated[Literal["unset"], Tag("unset")],
    Discriminator(_timestamp_shape),
]
"""An aware UTC instant, or `unset` for content that belongs to no time; absent means now."""


class EntityInput(RequestModel):
    """An entity the caller names for an item."""

    text: Id
    type: Text | None = None


class TextBlock(RequestModel):
    """A run of text within an item, kept verbatim."""

    type: Literal["text"]
    text: Text

    @field_validator("type", mode="before")
    @classmethod
    def _only_text(cls, value: Any) -> Any:
        if value != "text":
            raise PydanticCustomError("unsupported_block", "only content blocks of type text are supported")
        return value


class Message(RequestModel):
    """One turn of a dialogue; who speaks comes from `name`, else from `role`."""

    role: Id | None = None
    content: Content
    name: Id | None = None
    timestamp: Timestamp | None = None
    metadata: Metadata = Field(default_factory=dict)


def _check_blocks(blocks: list[TextBlock]) -> list[TextBlock]:
    if not any(block.text.strip() for block in blocks):
        raise PydanticCustomError("blank", "content must not be blank")
    check_content_bytes(sum(utf8_bytes(block.text) for block in blocks))
    return blocks


def _check_messages(messages: list[Message]) -> list[Message]:
    check_content_bytes(sum(utf8_bytes(message.content) for message in messages))
    return messages


def _content_shape(value: Any) -> str | None:
    """Which of the three forms of content a raw value wants to be; one list holds one form."""
    if isinstance(value, str):
        return "text"
    if not isinstance(value, list):
        return None
    first = value[0] if value else None
    if isinstance(first, Message) or (isinstance(first, dict) and ("content" in first or "role" in first)):
        return "messages"
    return "blocks"


_Blocks = Annotated[list[TextBlock], Field(max_length=MAX_MESSAGES), AfterValidator(_check_blocks)]
_Messages = Annotated[list[Message], Field(max_length=MAX_MESSAGES), AfterValidator(_check_messages)]
ItemContent = Annotated[
    Annotated[Content, Tag("text")] | Annotated[_Blocks, Tag("blocks")] | Annotated[_Messages, Tag("messages")],
    Discriminator(
        _content_shape,
        custom_error_type="content_shape",
        custom_error_message="content must be a text, a list of text blocks or a list of messages",
    ),
]


class RetainItem(RequestModel):
    """One thing to remember; items of a request that share a document_id are its parts, in order."""

    content: ItemContent
    timestamp: Timestamp | None = None
    context: Context | None = None
    metadata: Metadata = Field(default_factory=dict)
    document_id: Id | None = None
    entities: Annotated[list[EntityInput], Field(max_length=MAX_ENTITIES)] = Field(default_factory=list)
    resolve_entities: bool = True
    tags: TagList = Field(default_factory=list)
    observation_scopes: ScopeMode | list[list[TagName]] | None = None
    strategy: Id | None = None
    update_mode: UpdateMode = "replace"


class RetainRequest(RequestModel):
    """Body of POST memories. `wait_for` holds the answer until that stage is reached; `async` answers at once."""

    items: Annotated[list[RetainItem], Field(min_length=1, max_length=MAX_ITEMS)]
    async_: bool = Field(default=False, alias="async")
    document_tags: TagList = Field(default_factory=list)
    operation_id: Id | None = None
    wait_for: Stage | None = None


class TokenUsage(ResponseModel):
    """LLM tokens one request has cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    thoughts_tokens: int = 0


class RetainedDocument(ResponseModel):
    """What a retain made of one document: its new version, and how many chunks were added, kept and retired."""

    document_id: str
    version: int
    seq: int
    added: int
    kept: int
    retired: int


class RetainResponse(ResponseModel):
    """Receipt of a retain: `items_count` is the number sent, `stage` how far they were when it was written."""

    success: bool
    bank_id: str
    items_count: int
    async_: bool = Field(alias="async")
    operation_id: str | None = None
    operation_ids: list[str] | None = None
    usage: TokenUsage | None = None
    document_ids: list[str] | None = None
    seq: int | None = None
    stage: Stage | None = None
    durability: Literal["process", "disk"] | None = None
    replayed: bool | None = None
    """True: the operation had been done before, and this is its receipt."""
    documents: list[RetainedDocument] | None = None
