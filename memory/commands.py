"""Commands: what callers want done to a bank, as frozen dataclasses that can be sent again without doing it twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from memory.ids import digest

UpdateMode = Literal["replace", "append"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue: a turn."""

    content: str
    role: str | None = None
    name: str | None = None
    timestamp: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to retain. Items of a request that share a `document_id` are that document's parts, in order.

    `timestamp` None means "now"; `timeless` means the content has no time of its own.
    """

    content: str | tuple[Message, ...]
    document_id: str | None = None
    timestamp: datetime | None = None
    timeless: bool = False
    context: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    entities: tuple[tuple[str, str | None], ...] = ()
    update_mode: UpdateMode = "replace"


@dataclass(frozen=True, slots=True)
class Retain:
    """Store items; one request is one plan."""

    operation_id: str
    items: tuple[Item, ...]
    document_tags: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Hex digest of everything but the operation id: tells a retry from another command."""
        return digest(repr((self.items, self.document_tags))).hex()


@dataclass(frozen=True, slots=True)
class DeleteDocument:
    """Remove a document with its units."""

    operation_id: str
    document_id: str


@dataclass(frozen=True, slots=True)
class DeleteBank:
    """Remove a bank with all it holds; a tombstone stays."""

    operation_id: str


@dataclass(frozen=True, slots=True)
class UpdateBank:
    """Create a bank or change its profile; keys absent from `profile` stay as they are."""

    operation_id: str
    profile: Mapping[str, Any]

    def fingerprint(self) -> str:
        """Hex digest of the changes."""
        return digest(repr(sorted(self.profile.items()))).hex()


@dataclass(frozen=True, slots=True)
class RepairBank:
    """Take the bank anew, settle and sweep it, and mend what an audit finds and can be mended."""

    operation_id: str


Command = Retain | DeleteDocument | DeleteBank | UpdateBank | RepairBank


@dataclass(frozen=True, slots=True)
class DocumentReceipt:
    """What became of one document of a retain."""

    document_id: str
    version: int
    seq: int
    added: int
    kept: int
    retired: int


@dataclass(frozen=True, slots=True)
class RetainReceipt:
    """The acknowledgement of a retain: everything in it is stored and searchable."""

    operation_id: str
    seq: int
    documents: tuple[DocumentReceipt, ...]
    tokens: int
    """Tokens embedded."""
    replayed: bool = False
    """True where the operation id was known: nothing was done again."""


@dataclass(frozen=True, slots=True)
class DeleteReceipt:
    """The acknowledgement of a delete."""

    operation_id: str
    seq: int
    units_deleted: int
    documents_deleted: int


@dataclass(frozen=True, slots=True)
class RepairReceipt:
    """The acknowledgement of a repair: what was done under which seq; what could not be is left for the next audit."""

    operation_id: str
    epoch: int
    seq: int
    retired: int
    remade: int
    """Units written anew, with new vectors."""
    revived: int
    """Units that a document lists, made live again."""
    records: int
    """Documents and other records rewritten or emptied."""
