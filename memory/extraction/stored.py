"""What was found in a window, as it is stored once under the window's hash, and read again whenever it is applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memory.encoding import instant_from_text, instant_to_text
from memory.extraction.candidates import CandidateFact, Category, Claim
from memory.extraction.port import Extracted, Usage, WindowFact
from memory.records import Record, RecordKind, UnitType
from memory.timeline import Span


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """An answer, and the units of the turns it is about: what is stored of them must go when one of them does."""

    units: tuple[str, ...]
    found: Extracted


def encode_window(document_id: str, stored: StoredWindow) -> Record:
    """Its record, under the window's hash."""
    found = stored.found
    body = {
        "document_id": document_id,
        "units": list(stored.units),
        "extractor": found.extractor,
        "usage": [found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.calls],
        "facts": [_encode_fact(fact) for fact in found.facts],
    }
    return Record(RecordKind.WINDOW, found.window, body)


def decode_window(record: Record) -> StoredWindow:
    """Inverse of encode_window."""
    body = record.body
    facts = tuple(_decode_fact(fact) for fact in body["facts"])
    return StoredWindow(tuple(body["units"]), Extracted(record.key, facts, body["extractor"], Usage(*body["usage"])))


def _encode_fact(found: WindowFact) -> dict[str, Any]:
    fact = found.fact
    occurred = fact.occurred
    body: dict[str, Any] = {
        "statement": fact.statement,
        "text": fact.text,
        "type": fact.type.value,
        "category": fact.category.value,
        "confidence": fact.confidence,
        "sentence": fact.sentence,
        "subject": fact.subject,
        "occurred": [instant_to_text(occurred.start), instant_to_text(occurred.end)] if occurred else None,
        "claims": [list(claim_row(claim)) for claim in fact.claims],
        "mentions": list(fact.mentions),
        "turns": list(found.turns),
        "entities": [list(entity) for entity in found.entities],
        "quote": found.quote,
        "language": found.language,
        "labels": [list(label) for label in found.labels],
        "causes": list(found.causes),
    }
    return {key: value for key, value in body.items() if value not in (None, [])}


def _decode_fact(body: Mapping[str, Any]) -> WindowFact:
    occurred = body.get("occurred")
    fact = CandidateFact(
        statement=body["statement"],
        text=body["text"],
        type=UnitType(body["type"]),
        category=Category(body["category"]),
        confidence=body["confidence"],
        sentence=body["sentence"],
        subject=body["subject"],
        occurred=Span(instant_from_text(occurred[0]), instant_from_text(occurred[1])) if occurred else None,
        claims=tuple(claim_of(row) for row in body.get("claims", ())),
        mentions=tuple(body.get("mentions", ())),
    )
    return WindowFact(
        fact,
        tuple(body["turns"]),
        tuple((name, kind) for name, kind in body.get("entities", ())),
        body.get("quote"),
        body.get("language"),
        tuple((label, value) for label, value in body.get("labels", ())),
        tuple(body.get("causes", ())),
    )


ClaimRow = tuple[str, str, str | None, bool, bool, bool]


def claim_row(claim: Claim) -> ClaimRow:
    """A claim as units and windows hold it."""
    return claim.subject, claim.attribute, claim.value, claim.holds, claim.replaces, claim.happened


def claim_of(row: Any) -> Claim:
    """Inverse of claim_row."""
    return Claim(*row)
