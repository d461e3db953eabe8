"""From a document to the windows that are asked for, and from what was found in them to fact units and back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from memory.commands import Retain
from memory.document_reading import DocumentPart
from memory.drafting import content_hash, draft_documents
from memory.extraction.candidates import Category
from memory.extraction.port import ExtractionProfile, SourceTurn, WindowFact, WindowRequest
from memory.extraction.stored import StoredWindow, claim_of, claim_row
from memory.ids import Scope, digest, point_id
from memory.knowledge import LiveFact
from memory.records import Document, Source, Unit, UnitKind
from memory.supersession import Validity
from memory.timeline import Span
from memory.windows import Window, WindowTurn, cut_windows

CONTEXT_TURNS = 2
"""Turns before a window that explain it."""
EXTRACT = "extract"


@dataclass(frozen=True, slots=True)
class DocumentWindows:
    """A document's windows in order, each with the chunks it holds."""

    part: DocumentPart
    windows: tuple[Window, ...]

    def chunks_of(self, window: Window) -> tuple[Unit, ...]:
        """The chunks of a window."""
        return self.part.chunks[window.first : window.last]


def windows_of(part: DocumentPart) -> DocumentWindows:
    """Cut a document that was read whole."""
    turns = [WindowTurn(chunk.id, chunk.content_hash, len(chunk.text)) for chunk in part.chunks]
    return DocumentWindows(part, cut_windows(turns))


def window_request(
    scope: Scope, document: DocumentWindows, window: Window, profile: ExtractionProfile, operation_id: str
) -> WindowRequest:
    """What an extractor is asked for one window."""
    chunks = document.part.chunks
    before = chunks[max(0, window.first - CONTEXT_TURNS) : window.first]
    given = {name: "" for chunk in document.chunks_of(window) for name in chunk.entities}
    return WindowRequest(
        scope.tenant,
        scope.bank,
        operation_id,
        window.hash,
        tuple(_turn(chunk) for chunk in document.chunks_of(window)),
        tuple(_turn(chunk) for chunk in before),
        _with_given(profile, tuple(given.items())),
        document.part.document.context or "",
    )


def fact_units(scope: Scope, document_id: str, found: Iterable[tuple[StoredWindow, Sequence[Unit]]]) -> list[Unit]:
    """Fact units of a document's windows, each with the chunks it holds; a fact told twice by a turn is one.

    Equal facts of equal turns have equal ids, whatever window they were found in.
    """
    units: dict[str, Unit] = {}
    for stored, chunks in found:
        ids: dict[int, str] = {}
        for number, fact in enumerate(stored.found.facts):
            cited = [chunks[turn] for turn in fact.turns if turn < len(chunks)]
            if not cited or not fact.fact.text.strip():
                continue
            causes = dict.fromkeys(ids[cause] for cause in fact.causes if cause in ids)
            unit = _unit(scope, document_id, fact, cited, tuple(causes))
            ids[number] = unit.id
            units.setdefault(unit.id, unit)
    return list(units.values())


def fact_id(scope: Scope, document_id: str, text: str, cited: Sequence[str]) -> str:
    """Id of a fact: its document, its text as it was found, and the chunks that it cites."""
    return point_id(scope, "unit", document_id, EXTRACT, digest(text, *cited).hex())


def live_fact(unit: Unit) -> LiveFact:
    """A stored fact as knowledge is derived from it."""
    occurred = Span(unit.occurred_start, unit.occurred_end) if unit.occurred_start and unit.occurred_end else None
    claims = tuple(claim_of(row) for row in unit.claims)
    sources = tuple(source.unit_id for source in unit.sources)
    return LiveFact(
        unit.id,
        unit.seq,
        _said_at(unit),
        occurred,
        claims,
        unit.mentions,
        unit.document_id,
        sources,
        unit.sketch or "",
        unit.causes,
        unit.tags,
        unit.scoping or "",
    )


def is_expired(unit: Unit, now: datetime) -> bool:
    """Whether a unit is past its time."""
    return unit.expires_at is not None and unit.expires_at <= now


def validity_of(unit: Unit) -> Validity | None:
    """When a stored fact holds; None if it fills no slot."""
    return Validity(unit.valid_from, unit.valid_to, unit.superseded_by) if unit.valid_from else None


def preview_document(scope: Scope, command: Retain, now: datetime) -> DocumentPart:
    """The first document of a retain as it would be stored, for an extraction that is not applied.

    Raises:
        Unprocessable: it is blank.
    """
    draft = draft_documents(scope, command, now)[0]
    chunks = tuple(
        Unit(
            id=point_id(scope, "preview", str(number)),
            kind=UnitKind.CHUNK,
            type=chunk.type,
            text=chunk.text,
            document_id=draft.id,
            content_hash=chunk.content_hash,
            position=number,
            context=chunk.context,
            speaker=chunk.speaker,
            role=chunk.role,
            mentioned_at=chunk.mentioned_at,
            recorded_at=now,
            entities=chunk.entities,
        )
        for number, chunk in enumerate(draft.chunks)
    )
    return DocumentPart(Document(draft.id, 1, 0, (), draft.tail, "", 0, now, now, context=draft.context), chunks)


def _said_at(unit: Unit) -> datetime:
    said = unit.mentioned_at or unit.recorded_at
    assert said is not None  # every fact is recorded at some time
    return said


def _unit(scope: Scope, document_id: str, found: WindowFact, cited: Sequence[Unit], causes: tuple[str, ...]) -> Unit:
    first, fact = cited[0], found.fact
    occurred = fact.occurred
    labels = tuple(f"{label}:{value}" for label, value in found.labels)
    return Unit(
        id=fact_id(scope, document_id, fact.text, [chunk.id for chunk in cited]),
        kind=UnitKind.FACT,
        type=fact.type,
        text=fact.text,
        document_id=document_id,
        content_hash=content_hash(fact.text, None),
        position=first.position,
        context=first.context,
        born_version=first.born_version,
        mentioned_at=first.mentioned_at,
        recorded_at=first.recorded_at,
        occurred_start=occurred.start if occurred else None,
        occurred_end=occurred.end if occurred else None,
        category=fact.category.value,
        expires_at=occurred.end if occurred and fact.category is Category.CONTEXT else None,
        confidence=fact.confidence,
        language=found.language,
        tags=tuple(dict.fromkeys((*(tag for chunk in cited for tag in chunk.tags), *labels))),
        metadata=first.metadata,
        actor_ids=first.actor_ids,
        scoping=first.scoping,
        sources=tuple(Source(chunk.id, chunk.seq, chunk.content_hash) for chunk in cited),
        mentions=found.entities,
        claims=tuple(claim_row(claim) for claim in fact.claims),
        causes=causes,
    )


def _with_given(profile: ExtractionProfile, given: tuple[tuple[str, str], ...]) -> ExtractionProfile:
    return ExtractionProfile(
        profile.mode, profile.mission, profile.instructions, profile.labels, profile.known_entities, given
    )


def _turn(chunk: Unit) -> SourceTurn:
    return SourceTurn(chunk.id, chunk.text, chunk.mentioned_at, chunk.speaker, chunk.role, chunk.position)
