"""Limits, field types and base models that every wire model is built from."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MAX_ITEMS = 1000
"""Items of one retain request."""
MAX_MESSAGES = 10_000
"""Messages, or content blocks, of one item."""
MAX_CONTENT_BYTES = 4 * 1024 * 1024
"""UTF-8 bytes of one item's content, all its messages or blocks together."""
MAX_CONTEXT_BYTES = 64 * 1024
"""UTF-8 bytes of an item's context, a mission or other instruction text."""
MAX_ID_CHARS = 512
"""Characters of a bank, document, operation or entity name."""
MAX_TAGS = 100
"""Tags of one item, request or leaf of a tag group."""
MAX_TAG_CHARS = 256
MAX_ENTITIES = 1000
"""Caller-supplied entities of one item."""
MAX_METADATA_KEYS = 100
MAX_METADATA_BYTES = 64 * 1024
"""UTF-8 bytes of all keys and values of one metadata object."""
MAX_QUERY_CHARS = 20_000
MAX_LIMIT = 1000
"""Results of one recall, rows of one page."""
MAX_TOKENS = 1_000_000
MAX_JSON_DEPTH = 32
"""Nesting of a tag group or a response schema."""
MAX_BANKS = 16
"""Banks of one recall."""
MAX_TAG_LEAVES = 100
"""Leaves of all tag groups of one request."""

TOO_LARGE = "too_large"
"""Type of the validation errors that mean 413 rather than 422."""

Budget = Literal["low", "mid", "high"]
FactType = Literal["world", "experience", "observation"]
RecallType = Literal["world", "experience", "observation", "reflection"]
"""What recall can be asked for; stored reflections come only where they are."""
TagsMatch = Literal["any", "all", "any_strict", "all_strict", "exact"]

_WORD = re.compile(r"\w")


def utf8_bytes(text: str) -> int:
    """Length in UTF-8 bytes.

    Raises:
        PydanticCustomError: the text holds a lone surrogate, which no encoding can carry.
    """
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogate", "text must not contain lone surrogates") from None


def check_text(text: str) -> str:
    """The text itself if it can be encoded as UTF-8; control characters are allowed.

    Raises:
        PydanticCustomError: a lone surrogate.
    """
    utf8_bytes(text)
    return text


def check_content(text: str) -> str:
    """The text itself if it says something; it is kept verbatim.

    Raises:
        PydanticCustomError: blank, a lone surrogate, or over MAX_CONTENT_BYTES.
    """
    if not text.strip():
        raise PydanticCustomError("blank", "content must not be blank")
    check_content_bytes(utf8_bytes(text))
    return text


def check_content_bytes(size_bytes: int) -> None:
    """Refuse content over the limit.

    Raises:
        PydanticCustomError: of type TOO_LARGE.
    """
    if size_bytes > MAX_CONTENT_BYTES:
        raise PydanticCustomError(TOO_LARGE, f"content must not exceed {MAX_CONTENT_BYTES} bytes")


def check_context(text: str) -> str:
    """The text itself if it is short enough for a context, a mission or an instruction.

    Raises:
        PydanticCustomError: a lone surrogate, or over MAX_CONTEXT_BYTES.
    """
    if utf8_bytes(text) > MAX_CONTEXT_BYTES:
        raise PydanticCustomError(TOO_LARGE, f"text must not exceed {MAX_CONTEXT_BYTES} bytes")
    return text


def check_id(text: str) -> str:
    """The id itself if it can be stored and addressed by a URL; spaces and slashes are allowed.

    Raises:
        PydanticCustomError: a ValueError; blank, too long, `.` or `..`, control characters or lone surrogates.
    """
    return _check_name(text, MAX_ID_CHARS)


def check_tag(text: str) -> str:
    """The tag itself if it can be stored.

    Raises:
        PydanticCustomError: blank, too long, control characters or lone surrogates.
    """
    return _check_name(text, MAX_TAG_CHARS)


def _check_name(text: str, max_chars: int) -> str:
    check_text(text)
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    if len(text) > max_chars:
        raise PydanticCustomError("too_long", f"must not exceed {max_chars} characters")
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise PydanticCustomError("control_character", "must not contain control characters")
    if text in {".", ".."}:
        raise PydanticCustomError("dot_segment", "must not be . or .., which URLs drop")
    return text


def check_query(text: str) -> str:
    """The query itself if it holds at least one letter, digit or underscore.

    Raises:
        PydanticCustomError: no word character, too long, or a lone surrogate.
    """
    check_text(text)
    if len(text) > MAX_QUERY_CHARS:
        raise PydanticCustomError(TOO_LARGE, f"query must not exceed {MAX_QUERY_CHARS} characters")
    if not _WORD.search(text):
        raise PydanticCustomError("blank", "query must contain at least one word")
    return text


def check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """The object itself if it is within MAX_METADATA_KEYS and MAX_METADATA_BYTES.

    Raises:
        PydanticCustomError: over a limit, or a lone surrogate.
    """
    if len(metadata) > MAX_METADATA_KEYS:
        raise PydanticCustomError(TOO_LARGE, f"metadata must not exceed {MAX_METADATA_KEYS} keys")
    if sum(utf8_bytes(key) + utf8_bytes(value) for key, value in metadata.items()) > MAX_METADATA_BYTES:
        raise PydanticCustomError(TOO_LARGE, f"metadata must not exceed {MAX_METADATA_BYTES} bytes")
    return metadata


def check_depth(value: Any) -> Any:
    """The JSON value itself if it nests at most MAX_JSON_DEPTH levels and its texts can be encoded.

    Raises:
        PydanticCustomError: nested deeper, or a lone surrogate.
    """
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(node.keys())
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
            elif isinstance(node, str):
                check_text(node)
        if not below:
            return value
        level = below
    raise PydanticCustomError("too_deep", f"must not nest deeper than {MAX_JSON_DEPTH} levels")


def parse_instant(text: str) -> datetime:
    """Aware UTC instant of an ISO 8601 text; one without an offset is read as UTC, a date as its midnight.

    Raises:
        ValueError: not ISO 8601, or outside the years 1 to 9999.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise PydanticCustomError("instant", "must be an ISO 8601 date or time, e.g. 2024-01-15T10:30:00Z") from None
    return _to_utc(moment)


def _to_utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("instant", "must lie within the years 1 to 9999") from None


def _read_instant(value: Any) -> Any:
    if isinstance(value, str):
        return parse_instant(value)
    if isinstance(value, datetime):
        return _to_utc(value)
    raise PydanticCustomError("instant", "must be an ISO 8601 text")


Text = Annotated[str, AfterValidator(check_text)]
Content = Annotated[str, AfterValidator(check_content)]
Context = Annotated[str, AfterValidator(check_context)]
Id = Annotated[str, AfterValidator(check_id)]
TagName = Annotated[str, AfterValidator(check_tag)]
Query = Annotated[str, AfterValidator(check_query)]
Metadata = Annotated[dict[str, str], AfterValidator(check_metadata)]
Instant = Annotated[datetime, BeforeValidator(_read_instant)]
TagList = Annotated[list[TagName], Field(max_length=MAX_TAGS)]
Trait = Annotated[int, Field(strict=True, ge=1, le=5)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(check_depth)]


class RequestModel(BaseModel):
    """Base of what a client sends: unknown fields are ignored and an explicit null means the field's default."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data

    def to_wire(self) -> dict[str, Any]:
        """JSON object of the fields that were set, under their wire names."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class BankScope(RequestModel):
    """Where a memory belongs: to all of a host, to one of its agents, to one of its users, to a user of an agent."""

    host: Id
    agent: Id | None = None
    user: Id | None = None


class ResponseModel(BaseModel):
    """Base of what the server answers: unknown fields of a newer server are ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    def to_wire(self) -> dict[str, Any]:
        """JSON object of all fields under their wire names, nulls included."""
        return self.model_dump(mode="json", by_alias=True)


class OpenResponseModel(ResponseModel):
    """Base of rows that pass fields through which this version does not know."""

    model_config = ConfigDict(extra="allow")


class Page(ResponseModel):
    """The paging fields of every list: `total` counts all rows, `limit` and `offset` echo the request."""

    total: int
    limit: int
    offset: int
