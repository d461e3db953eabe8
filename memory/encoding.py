"""Records of a bank <-> JSON-ready mappings: the one place that names their fields on disk.

Absent and empty fields are left out, so that a payload costs only what it says. Instants are RFC 3339 strings in UTC.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from memory.records import (
    ChunkEntry,
    Document,
    Head,
    Link,
    RecallProfile,
    Relinked,
    Source,
    Unit,
    UnitKind,
    UnitState,
    UnitType,
)

_INSTANTS = (
    "occurred_start",
    "occurred_end",
    "mentioned_at",
    "recorded_at",
    "valid_from",
    "valid_to",
    "expires_at",
)
_SCALARS = (
    "text",
    "document_id",
    "content_hash",
    "position",
    "context",
    "born_version",
    "window",
    "seq",
    "epoch",
    "speaker",
    "role",
    "session",
    "superseded_by",
    "category",
    "confidence",
    "language",
    "sketch",
    "proof_count",
    "text_tokens",
    "scoping",
)


def instant_to_text(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds, so that text order is time order."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant_from_text(value: str) -> datetime:
    """Aware instant in UTC."""
    return datetime.fromisoformat(value).astimezone(UTC)


def instant_to_micros(value: datetime) -> int:
    """Microseconds since 1970: the sort key of listings by time."""
    return int(value.astimezone(UTC).timestamp() * 1_000_000)


def encode_unit(unit: Unit) -> dict[str, Any]:
    """Mapping of a unit without its id."""
    payload: dict[str, Any] = {"kind": unit.kind.value, "type": unit.type.value, "state": unit.state.value}
    for name in _SCALARS:
        value = getattr(unit, name)
        if value is not None:
            payload[name] = value
    for name in _INSTANTS:
        value = getattr(unit, name)
        if value is not None:
            payload[name] = instant_to_text(value)
    if unit.tags:
        payload["tags"] = list(unit.tags)
    if unit.entities:
        payload["entities"] = list(unit.entities)
    if unit.metadata:
        payload["metadata"] = dict(unit.metadata)
    if unit.actor_ids:
        payload["actor_ids"] = dict(unit.actor_ids)
    if unit.links:
        payload["links"] = [_link(link) for link in unit.links]
        payload["link_ids"] = [link.to for link in unit.links]
    if unit.sources:
        payload["sources"] = [
            {"unit_id": source.unit_id, "seq": source.seq, "content_hash": source.content_hash}
            for source in unit.sources
        ]
        payload["source_ids"] = [source.unit_id for source in unit.sources]
    if unit.mentions:
        payload["mentions"] = [list(mention) for mention in unit.mentions]
    if unit.causes:
        payload["causes"] = list(unit.causes)
    if unit.claims:
        payload["claims"] = [list(claim) for claim in unit.claims]
    return payload


def encode_relinked(relinked: Relinked) -> dict[str, Any]:
    """The keys of a unit's mapping that say what it points at; null where it points at nothing any more."""
    return {
        "links": [_link(link) for link in relinked.links],
        "link_ids": [link.to for link in relinked.links],
        "superseded_by": relinked.superseded_by,
        "valid_from": instant_to_text(relinked.valid_from) if relinked.valid_from else None,
        "valid_to": instant_to_text(relinked.valid_to) if relinked.valid_to else None,
        "entities": list(relinked.entities),
    }


def decode_relinked(unit_id: str, payload: Mapping[str, Any]) -> Relinked:
    """Inverse of encode_relinked."""
    since, until = payload.get("valid_from"), payload["valid_to"]
    return Relinked(
        unit_id,
        _links_of(payload),
        payload["superseded_by"],
        instant_from_text(until) if until else None,
        instant_from_text(since) if since else None,
        tuple(payload.get("entities", ())),
    )


def decode_unit(point_id: str, payload: Mapping[str, Any]) -> Unit:
    """Unit of a mapping; fields of a later schema version are ignored."""
    values: dict[str, Any] = {name: payload[name] for name in _SCALARS if name in payload}
    for name in _INSTANTS:
        if payload.get(name) is not None:
            values[name] = instant_from_text(payload[name])
    return Unit(
        id=point_id,
        kind=UnitKind(payload["kind"]),
        type=UnitType(payload["type"]),
        state=UnitState(payload["state"]),
        tags=tuple(payload.get("tags", ())),
        entities=tuple(payload.get("entities", ())),
        metadata=payload.get("metadata", {}),
        actor_ids=payload.get("actor_ids", {}),
        links=_links_of(payload),
        sources=tuple(Source(s["unit_id"], s["seq"], s["content_hash"]) for s in payload.get("sources", ())),
        mentions=tuple((name, type_) for name, type_ in payload.get("mentions", ())),
        causes=tuple(payload.get("causes", ())),
        claims=tuple(tuple(claim) for claim in payload.get("claims", ())),
        **values,
    )


def _link(link: Link) -> dict[str, Any]:
    return {"to": link.to, "type": link.type, "weight": link.weight}


def _links_of(payload: Mapping[str, Any]) -> tuple[Link, ...]:
    return tuple(Link(link["to"], link["type"], link["weight"]) for link in payload.get("links", ()))


def encode_head(head: Head) -> dict[str, Any]:
    """Mapping of a head."""
    return {
        "epoch": head.epoch,
        "commit": head.commit,
        "settled": head.settled,
        "commits": {str(number): key for number, key in head.commits.items()},
        "seq": head.seq,
        "seq_end": head.seq_end,
        "due_at": instant_to_text(head.due_at) if head.due_at else None,
        "deleted": head.deleted,
        "exists": head.exists,
        "profile": dict(head.profile),
        "counters": dict(head.counters),
        "created_at": instant_to_text(head.created_at) if head.created_at else None,
        "updated_at": instant_to_text(head.updated_at) if head.updated_at else None,
        **({"incomplete_before": instant_to_text(head.incomplete_before)} if head.incomplete_before else {}),
    }


def decode_head(body: Mapping[str, Any]) -> Head:
    """Head of a mapping."""
    return Head(
        epoch=body["epoch"],
        commit=body["commit"],
        settled=body["settled"],
        commits={int(number): key for number, key in body["commits"].items()},
        seq=body["seq"],
        seq_end=body["seq_end"],
        due_at=instant_from_text(body["due_at"]) if body["due_at"] else None,
        deleted=body["deleted"],
        exists=body["exists"],
        profile=body["profile"],
        counters=body["counters"],
        created_at=instant_from_text(body["created_at"]) if body["created_at"] else None,
        updated_at=instant_from_text(body["updated_at"]) if body["updated_at"] else None,
        incomplete_before=instant_from_text(body["incomplete_before"]) if body.get("incomplete_before") else None,
    )


def encode_chunks(chunks: Sequence[ChunkEntry]) -> dict[str, Any]:
    """Mapping of a list of chunks: arrays in field order, speakers by number."""
    speakers: dict[str | None, int] = {}
    rows = [
        [
            entry.unit_id,
            entry.digest,
            entry.content_hash,
            entry.position,
            entry.separator,
            speakers.setdefault(entry.speaker, len(speakers)),
            entry.type.value,
            entry.item,
        ]
        for entry in chunks
    ]
    return {"speakers": list(speakers), "chunks": rows}


def decode_chunks(body: Mapping[str, Any]) -> tuple[ChunkEntry, ...]:
    """List of chunks of a mapping."""
    speakers = body["speakers"]
    return tuple(
        ChunkEntry(unit, digest, content, position, separator, speakers[speaker], UnitType(type_), item)
        for unit, digest, content, position, separator, speaker, type_, item in body["chunks"]
    )


def encode_document(document: Document) -> dict[str, Any]:
    """Mapping of a document."""
    body = {
        "version": document.version,
        "seq": document.seq,
        **encode_chunks(document.chunks),
        "tail": document.tail,
        "content_hash": document.content_hash,
        "text_bytes": document.text_bytes,
        "created_at": instant_to_text(document.created_at),
        "updated_at": instant_to_text(document.updated_at),
        "tags": list(document.tags),
        "metadata": dict(document.metadata),
        "context": document.context,
    }
    return body | {"open": True} if document.open else body


def decode_document(document_id: str, body: Mapping[str, Any]) -> Document:
    """Document of a mapping."""
    return Document(
        id=document_id,
        version=body["version"],
        seq=body["seq"],
        chunks=decode_chunks(body),
        tail=body["tail"],
        content_hash=body["content_hash"],
        text_bytes=body["text_bytes"],
        created_at=instant_from_text(body["created_at"]),
        updated_at=instant_from_text(body["updated_at"]),
        tags=tuple(body["tags"]),
        metadata=body["metadata"],
        context=body["context"],
        open=body.get("open", False),
    )


def encode_recall_profile(profile: RecallProfile) -> dict[str, Any]:
    """Mapping of a recall profile."""
    body = {"speakers": dict(profile.speakers), "seq": profile.seq, "reranking": profile.reranking}
    return body if profile.retention is None else body | {"retention": list(profile.retention)}


def decode_recall_profile(body: Mapping[str, Any]) -> RecallProfile:
    """Recall profile of a mapping."""
    own = body.get("retention")
    return RecallProfile(
        speakers=body["speakers"],
        seq=body["seq"],
        reranking=body.get("reranking", True),
        retention=None if own is None else tuple(own),
    )
