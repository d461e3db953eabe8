"""A draft laid over the stored version of its document: which chunks stay, which are new, which go. By their ids."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from memory.drafting import ITEM_SEPARATOR, ChunkDraft, DocumentDraft
from memory.errors import Conflict
from memory.ids import Scope, unit_id
from memory.placing import place
from memory.records import ChunkEntry, Document


@dataclass(frozen=True, slots=True)
class Merge:
    """A draft laid over the stored version: the chunk list as it will be and which of it is new."""

    document_id: str
    old: Document | None
    entries: tuple[ChunkEntry, ...]
    new: tuple[tuple[ChunkEntry, ChunkDraft], ...]
    retired: tuple[ChunkEntry, ...]
    moves: Mapping[str, int]
    draft: DocumentDraft
    tail: str
    damaged: bool = False
    """Whether chunks that are kept are lost."""


def merge_document(
    scope: Scope, old: Document | None, draft: DocumentDraft, missing: frozenset[str] = frozenset()
) -> Merge:
    """Match chunks by id: equal text with equal attributes at its nth occurrence is the same unit and stays.

    A stored chunk that is `missing` counts as retired; where the draft has it, it is made anew.

    Raises:
        Conflict: the document is that of an open session.
    """
    refuse_open(old)
    kept = list(old.chunks) if old and draft.mode == "append" else []
    tail = (old.tail if old else "") if kept else ""
    seen = Counter(entry.digest for entry in kept)
    lost = frozenset() if kept else missing
    by_id = {entry.unit_id: entry for entry in (old.chunks if old else ()) if entry.unit_id not in lost}
    wanted: list[tuple[ChunkEntry, ChunkDraft | None]] = [(entry, None) for entry in kept]
    for number, chunk in enumerate(draft.chunks):
        id_ = unit_id(scope, draft.id, chunk.digest, seen[chunk.digest])
        seen[chunk.digest] += 1
        separator = tail + ITEM_SEPARATOR + chunk.separator if kept and number == 0 else chunk.separator
        entry = ChunkEntry(id_, chunk.digest, chunk.content_hash, 0, separator, chunk.speaker, chunk.type, chunk.item)
        wanted.append((entry, chunk))
    places, moved = place([by_id[e.unit_id].position if e.unit_id in by_id else None for e, _ in wanted])
    entries = tuple(replace(entry, position=at) for (entry, _), at in zip(wanted, places, strict=True))
    ids = {entry.unit_id for entry in entries}
    return Merge(
        document_id=draft.id,
        old=old,
        entries=entries,
        new=tuple(
            (entry, chunk)
            for entry, (_, chunk) in zip(entries, wanted, strict=True)
            if chunk is not None and entry.unit_id not in by_id
        ),
        retired=tuple(entry for entry in (old.chunks if old else ()) if entry.unit_id not in ids - lost),
        moves={entries[index].unit_id: entries[index].position for index in moved},
        draft=draft,
        tail=draft.tail,
        damaged=bool(kept and missing),
    )


def refuse_open(document: Document | None) -> None:
    """A document that an open session adds to is the session's.

    Raises:
        Conflict: it is one.
    """
    if document is not None and document.open:
        raise Conflict(f"document {document.id!r} belongs to an open session: append there, close it or delete it")
