"""Deterministic ids: UUIDv8 that carry the bank's bucket, so that replays overwrite and a bare id finds its shard.

Layout (RFC 9562, section 5.8): bits 0-9 the bucket of (tenant, bank); the remaining custom bits are SHA-256 over the
length-prefixed parts, the tenant first. Length prefixes keep ("ab", "c") and ("a", "bc") apart.
"""

import hashlib
import uuid
from dataclasses import dataclass

BUCKET_BITS = 10
BUCKETS = 1 << BUCKET_BITS
SHARD_KEYS = 64
"""Shard keys `bucket-00` ... `bucket-63` on a Qdrant server: the top six bits of the bucket."""

_VERSION = 8


@dataclass(frozen=True, slots=True)
class Scope:
    """Address of one bank of one tenant. Every read and write of the store carries one."""

    tenant: str
    bank: str

    @property
    def key(self) -> str:
        """The bank's partition key in the store: unambiguous whatever characters the two names hold."""
        return f"{len(self.tenant)}:{self.tenant}/{self.bank}"

    @property
    def bucket(self) -> int:
        """0 ... 1023, the same on every machine."""
        return bucket_of(self.tenant, self.bank)


DEFAULT_TENANT = "default"
"""Whose banks are meant where no tenant is named."""
SYSTEM = Scope("", "")
"""Scope of the deployment's own records (the ring); no caller can name it, tenant and bank being empty."""


def scope_of_key(key: str) -> Scope:
    """The bank of a partition key.

    Raises:
        ValueError: `key` is none.
    """
    length, colon, names = key.partition(":")
    tenant, bank = names[: int(length)], names[int(length) + 1 :]
    scope = Scope(tenant, bank)
    if not colon or scope.key != key:
        raise ValueError(f"{key!r} is no bank's partition key")
    return scope


def digest(*parts: str | bytes) -> bytes:
    """SHA-256 over the length-prefixed parts, 32 bytes."""
    sha = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        sha.update(len(raw).to_bytes(8, "big"))
        sha.update(raw)
    return sha.digest()


def bucket_of(tenant: str, bank: str) -> int:
    """Bucket of a bank, 0 ... 1023."""
    return int.from_bytes(digest("bucket", tenant, bank)[:2], "big") >> (16 - BUCKET_BITS)


def point_id(scope: Scope, *parts: str) -> str:
    """UUIDv8 of (tenant, bank, parts) as its canonical string."""
    custom = int.from_bytes(digest(scope.tenant, scope.bank, *parts)[:16], "big")
    value = (scope.bucket << (128 - BUCKET_BITS)) | (custom & ((1 << (128 - BUCKET_BITS)) - 1))
    value = value & ~(0xF << 76) | (_VERSION << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def unit_id(scope: Scope, document_id: str, content: str, occurrence: int) -> str:
    """Id of a chunk: the same text with the same attributes at the same document is the same unit.

    `content` is the hex digest of everything the caller gave for it; `occurrence` numbers equal ones from 0.
    """
    return point_id(scope, "unit", document_id, content, str(occurrence))


def record_id(scope: Scope, kind: str, key: str) -> str:
    """Id of a record: one per (bank, kind, key)."""
    return point_id(scope, "record", kind, key)


def first_id(bucket: int) -> str:
    """The lowest id that a point of the bucket could have, as a string; strings of ids are ordered as ids are."""
    return str(uuid.UUID(int=min(bucket << (128 - BUCKET_BITS), (1 << 128) - 1)))


def bucket_of_id(point: str) -> int:
    """Bucket a bare id belongs to.

    Raises:
        ValueError: `point` is not a UUID of version 8.
    """
    value = uuid.UUID(point)
    if value.version != _VERSION:
        raise ValueError(f"{point} is not an id of this store (UUID version {value.version}, expected {_VERSION})")
    return value.int >> (128 - BUCKET_BITS)


def shard_key_of(bucket: int) -> str:
    """Shard key on a Qdrant server."""
    return f"bucket-{bucket * SHARD_KEYS // BUCKETS:02d}"
