"""Reads transcripts: NDJSON, one document a line, as `lorebank backfill` and jobs/backfill.py take them.

A line is {"document_id", "timestamp"?, "context"?, "tags"?, "metadata"?} and either "content" (a text) or "messages"
([{"role"?, "name"?, "content", "timestamp"?, "metadata"?}]).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Self

import orjson
from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from lorebank.wire import MAX_MESSAGES, Message, RetainItem, problem_of_validation
from lorebank.wire.fields import Content, Context, Id, Metadata, RequestModel, TagList
from lorebank.wire.retain import Timestamp

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Transcript(RequestModel):
    """One document of a transcript file. Unknown keys are refused, so that a misspelt one loses nothing."""

    model_config = ConfigDict(extra="forbid")

    document_id: Id
    timestamp: Timestamp | None = None
    context: Context | None = None
    tags: TagList = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    content: Content | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.content is None) == (self.messages is None):
            raise PydanticCustomError("content_shape", "needs either content or messages")
        return self

    def to_item(self) -> RetainItem:
        """The document as an item of a retain request."""
        fields = {name: getattr(self, name) for name in self.model_fields_set - {"messages"}}
        return RetainItem.model_validate({**fields, "content": self.content or self.messages})


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a document, and why."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.reason}"


def read_transcripts(lines: Iterable[bytes]) -> Iterator[Transcript | BadLine]:
    """One result a line, in order; blank lines give none. Line numbers start at 1.

    A document_id that an earlier line of the same file used is a bad line: the later would replace the earlier.
    """
    number_of: dict[str, int] = {}
    for number, raw in enumerate(lines, start=1):
        line = raw.removeprefix(_BYTE_ORDER_MARK) if number == 1 else raw
        if not line.strip():
            continue
        read = _read_line(number, line)
        if isinstance(read, Transcript):
            earlier = number_of.setdefault(read.document_id, number)
            if earlier != number:
                read = BadLine(number, f"document_id {read.document_id!r} is already used on line {earlier}")
        yield read


def _read_line(number: int, line: bytes) -> Transcript | BadLine:
    try:
        return Transcript.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as exc:
        return BadLine(number, f"not JSON: {exc.msg} at column {exc.colno}")
    except ValidationError as exc:
        return BadLine(number, problem_of_validation(exc).detail)
