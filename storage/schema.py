"""Collections, vectors, payload keys, indexes and the schema version: the one list of what a directory holds."""

from collections.abc import Iterable
from typing import Literal

from memory.errors import Unprocessable

SCHEMA_VERSION = 2

UNITS = "units"
RECORDS = "records"

DENSE = "dense"
LEXICAL = "lexical"
UNUSED = "unused"

TENANT = "tenant"
BANK = "bank"
BANK_KEY = "bank_key"
STATE = "state"
SEQ = "seq"
EPOCH = "epoch"
POSITION = "position"
DOCUMENT_ID = "document_id"
TOKENS = "tokens"
"""Payload key of a unit's packed token vectors, in base64: as a multivector they took longer to write and to read."""


def dense_name(space: str) -> str:
    """Name of the sentence vectors of a space; those that a store was made with have the bare name."""
    return f"{DENSE}-{space}" if space else DENSE


def tokens_key(space: str) -> str:
    """Payload key of the token vectors of a space."""
    return f"{TOKENS}-{space}" if space else TOKENS


def space_of(name: str) -> str | None:
    """The space of a vector's name; None: it is no sentence vector."""
    bare, _, space = name.partition("-")
    return space if bare == DENSE else None


def spaces_of(names: Iterable[str]) -> frozenset[str]:
    """The spaces of vectors' names."""
    return frozenset(space for name in names if (space := space_of(name)) is not None)


IndexKind = Literal["tenant", "keyword", "integer", "datetime"]

UNIT_INDEXES: dict[str, IndexKind] = {
    BANK_KEY: "tenant",
    STATE: "keyword",
    "kind": "keyword",
    "type": "keyword",
    "document_id": "keyword",
    "entities": "keyword",
    "tags": "keyword",
    "superseded_by": "keyword",
    "source_ids": "keyword",
    "link_ids": "keyword",
    SEQ: "integer",
    EPOCH: "integer",
    POSITION: "integer",
}
"""Payload indexes of units: what is filtered, ordered or counted by, and nothing else.

Each costs a dozen files, of which the embedded engine syncs eight and more in every flush. What an opened directory
lacks is made, what it has too many is dropped. Only the tenant's takes part in graphs; flags are keywords, no booleans.
"""

COUNTED: tuple[IndexKind, ...] = ("keyword", "integer")
"""Indexes whose values can be counted."""


def check_counted(field: str) -> None:
    """See that the values of a field of units can be counted: engines refuse others, or find none, each in its own way.

    Raises:
        Unprocessable: the field has no such index.
    """
    if UNIT_INDEXES.get(field) not in COUNTED:
        raise Unprocessable(f"values of {field!r} cannot be counted: it has no index for that")


KIND = "kind"
KEY = "key"
BODY = "body"
ORDER = "order"
STATUS = "status"
DUE_AT = "due_at"
COMMIT = "commit"
SETTLED = "settled"
NONCE = "nonce"

RECORD_INDEXES: dict[str, IndexKind] = {
    BANK_KEY: "tenant",
    TENANT: "keyword",
    KIND: "keyword",
    STATUS: "keyword",
    SEQ: "integer",
    EPOCH: "integer",
    ORDER: "integer",
    COMMIT: "integer",
    SETTLED: "integer",
    DUE_AT: "datetime",
}
"""Payload indexes of records; `body` is one JSON string, everything that is filtered by stands beside it."""

EMBEDDED_UNIT_INDEXES = {field: kind for field, kind in UNIT_INDEXES.items() if field != EPOCH}
EMBEDDED_RECORD_INDEXES = {
    field: kind for field, kind in RECORD_INDEXES.items() if field not in (SEQ, EPOCH, COMMIT, SETTLED)
}
"""Those of the embedded engine. What guards writes is judged by the store there; a server judges it by filters."""

FULL_SCAN_UNITS = 20_000
"""Banks up to this size are scanned exactly; graphs exist for bigger ones only."""
HNSW_PAYLOAD_M = 16

REMOVED = "removed"
"""Status of a removed record: it stays, emptied, so that a late write of a former owner finds it and is refused."""

HEAD_EXISTS = "exists"
HEAD_DELETED = "deleted"
HEAD_EMPTY = "empty"

RESERVED_KINDS = ("counter",)
"""Kinds of points that are the store's own and belong to no bank; they have no bank key."""
