"""What the core answers -> what clients read: plain mappings, ready to be encoded."""

from collections.abc import Mapping, Sequence
from typing import Any

from memory.encoding import encode_unit
from memory.entities import entity_key
from memory.recall import FoundFact, Ranked
from memory.records import Unit, UnitKind

_CHUNK = UnitKind.CHUNK.value


def result_row(result: Ranked) -> dict[str, Any]:
    """One result of recall; the payload's times are RFC 3339 already."""
    row = shared_fields(result.id, result.payload)
    sources, facts = result.payload.get("sources"), result.facts
    row["source_fact_ids"] = [source["unit_id"] for source in sources] if sources else None
    if facts or len(row["entities"]) > 1:
        row["entities"] = list(dict.fromkeys([*row["entities"], *names_in(result)]))
    row["facts"] = [fact_row(fact) for fact in facts] if facts else None
    row["scores"] = {
        "final": result.final,
        "reranker": result.reranker,
        "semantic": result.semantic,
        "keyword": result.keyword,
    }
    if result.bank:
        row["bank_id"] = result.bank
    return row


def fact_row(fact: FoundFact) -> dict[str, Any]:
    """What was extracted from a result."""
    get = fact.payload.get
    return {
        "id": fact.id,
        "text": fact.payload["text"],
        "type": fact.payload["type"],
        "category": get("category"),
        "occurred_start": get("occurred_start"),
        "occurred_end": get("occurred_end"),
        "valid_from": get("valid_from"),
        "valid_to": get("valid_to"),
        "semantic": fact.semantic,
    }


def names_in(result: Ranked) -> list[str]:
    """Whom and what the facts of a result mention, by the names they use."""
    return [name for fact in result.facts for name, _ in fact.payload.get("mentions", ())]


def entity_rows(results: Sequence[Ranked]) -> dict[str, Any]:
    """Entities that the facts of results mention, by name."""
    found: dict[str, Any] = {}
    for result in results:
        for fact in result.facts:
            keys = fact.payload.get("entities", ())
            for place, (name, _) in enumerate(fact.payload.get("mentions", ())):
                key = entity_key(name)
                if key not in keys:  # a name given to another entity by hand
                    key = keys[min(place, len(keys) - 1)]
                found.setdefault(name, {"entity_id": key, "canonical_name": name, "observations": []})
    return found


def unit_row(unit: Unit) -> dict[str, Any]:
    """One row of the memory listing, where `entities` is a comma-separated text."""
    row = unit_detail(unit)
    return {
        **row,
        "fact_type": row["type"],
        "entities": ", ".join(row["entities"]),
        "consolidated_at": None,
        "consolidation_failed_at": None,
        "invalidation_reason": None,
        "invalidated_at": None,
        "edited_at": None,
    }


def unit_detail(unit: Unit) -> dict[str, Any]:
    """One unit in full, where `entities` is a list of names."""
    payload = encode_unit(unit)
    fields = shared_fields(unit.id, payload)
    return {
        **fields,
        "context": payload.get("context", ""),
        "date": payload.get("occurred_start") or payload.get("mentioned_at") or "",
        "state": "valid",
        "updated_at": payload.get("recorded_at"),
        "superseded_by": payload.get("superseded_by"),
        "source_memory_ids": [source.unit_id for source in unit.sources],
    }


def chunk_row(bank: str, unit: Unit, index: int) -> dict[str, Any]:
    """One chunk of a document, verbatim."""
    return {
        "chunk_id": unit.id,
        "document_id": unit.document_id,
        "bank_id": bank,
        "chunk_index": index,
        "chunk_text": unit.text,
        "created_at": encode_unit(unit).get("recorded_at", ""),
    }


def shared_fields(unit_id: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What every form of a unit has on the wire."""
    get = payload.get
    kind = payload["kind"]
    is_chunk = kind == _CHUNK
    return {
        "id": unit_id,
        "text": payload["text"],
        "type": payload["type"],
        "kind": kind,
        "entities": get("entities", []) if is_chunk else [name for name, _ in get("mentions", ())],
        "context": get("context"),
        "occurred_start": get("occurred_start"),
        "occurred_end": get("occurred_end"),
        "mentioned_at": get("mentioned_at"),
        "document_id": get("document_id"),
        "metadata": get("metadata", {}),
        "chunk_id": unit_id if is_chunk else None,
        "tags": get("tags", []),
        "speaker": get("speaker"),
        "role": get("role"),
        "seq": get("seq"),
        "proof_count": get("proof_count", 1),
        "valid_from": get("valid_from"),
        "valid_to": get("valid_to"),
    }
