"""A document whose record is lost, made again from its chunks, if that gives the very document that was acknowledged.

Chunks know their order and attributes, not what stood between them. What usually stands there is tried; the hash in the
receipt of the document's last retain says whether it is right.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from memory.drafting import TIMELESS, chunk_digest
from memory.encoding import instant_to_text
from memory.ids import Scope, unit_id
from memory.ingest import document_hash
from memory.records import ChunkEntry, Document, Unit

_BETWEEN = ("\n", "\n\n", " ", "")
"""What may stand between all chunks: messages and lines, paragraphs, sentences, pieces of one."""


@dataclass(frozen=True, slots=True)
class LastReceipt:
    """What operations tell of a document as it was last retained; `first_seq` is its seq at version 1."""

    version: int
    seq: int
    content_hash: str
    updated_at: datetime
    created_at: datetime | None
    first_seq: int


def rebuilt(scope: Scope, document_id: str, last: LastReceipt, units: Sequence[Unit]) -> Document | None:
    """The document, or None where it cannot be had exactly.

    Its metadata is what all its chunks have in common; which item of its request a chunk came from is not known.
    """
    ordered = sorted(units, key=lambda unit: unit.position)
    first_seen = min((unit.recorded_at for unit in units if unit.recorded_at), default=last.updated_at)
    if any(after.position == before.position for before, after in pairwise(ordered)):
        return None
    digests = _digests(scope, document_id, ordered)
    if digests is None:
        return None
    for between in _BETWEEN:
        entries = tuple(
            ChunkEntry(
                unit_id=unit.id,
                digest=digest,
                content_hash=unit.content_hash,
                position=unit.position,
                separator=between if number else "",
                speaker=unit.speaker,
                type=unit.type,
                item=0,
            )
            for number, (unit, digest) in enumerate(zip(ordered, digests, strict=True))
        )
        if document_hash(entries, "") == last.content_hash:
            text = between.join(unit.text for unit in ordered)
            return Document(
                id=document_id,
                version=last.version,
                seq=last.seq,
                chunks=entries,
                tail="",
                content_hash=last.content_hash,
                text_bytes=len(text.encode()),
                created_at=last.created_at or first_seen,
                updated_at=last.updated_at,
                tags=tuple(dict.fromkeys(tag for unit in ordered for tag in unit.tags)),
                metadata=_common([unit.metadata for unit in ordered]),
                context=ordered[0].context,
            )
    return None


def _digests(scope: Scope, document_id: str, ordered: Sequence[Unit]) -> list[str] | None:
    """The digest of each chunk, told by its id; None where one is of no known form."""
    seen: Counter[str] = Counter()
    digests: list[str] = []
    for unit in ordered:
        found = next((one for one in _candidates(unit) if unit_id(scope, document_id, one, seen[one]) == unit.id), None)
        if found is None:
            return None
        seen[found] += 1
        digests.append(found)
    return digests


def _candidates(unit: Unit) -> Iterator[str]:
    """Whether a chunk's time was given is not stored, nor the types of its entities."""
    given = (TIMELESS,) if unit.mentioned_at is None else ("", instant_to_text(unit.mentioned_at))
    entities = tuple((name, None) for name in unit.entities)
    for at in given:
        yield chunk_digest(
            unit.text, unit.speaker, unit.role, at, unit.context, unit.tags, dict(unit.metadata), entities
        )


def _common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = mappings
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
