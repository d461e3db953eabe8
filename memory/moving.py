"""What a bank held -> the same in another place: unit ids of that bank, sequence numbers behind those it has given.

Ids are made of their bank's name, and windows are hashed over them, so that both are made anew: they are what they
would be had everything been retained there, so that what is retained or extracted again is known again. Who knows all
units of the bank gives `ids`; where a bank comes back to its own place, nothing is rewritten.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memory.encoding import decode_document, encode_document
from memory.facts import fact_id
from memory.ids import Scope, point_id, unit_id
from memory.known_facts import is_extracted
from memory.records import Document, Record, RecordKind, Source, Unit, UnitKind
from memory.restore_commands import RestoredDocument
from memory.windows import WindowTurn, cut_windows

NewId = Callable[[str], str]
"""The new id of a unit; whatever is no unit's id stays."""
LEFT_BEHIND = frozenset(
    {
        RecordKind.HEAD,
        RecordKind.COMMIT,
        RecordKind.RECALL_PROFILE,
        RecordKind.RING,
        RecordKind.IDENTITY,
        RecordKind.SPENDING,
        RecordKind.ADDRESS,
        RecordKind.SPACES,
    }
)
"""Records that are a bank's or a deployment's own: who writes, what was committed, what is counted, which scope."""


def chunk_ids(scope: Scope, document: Document) -> dict[str, str]:
    """Ids that a document's chunks have in a bank, by their old ones."""
    seen: dict[str, int] = {}
    found = {}
    for entry in document.chunks:
        occurrence = seen.get(entry.digest, 0)
        seen[entry.digest] = occurrence + 1
        found[entry.unit_id] = unit_id(scope, document.id, entry.digest, occurrence)
    return found


def derived_id(source: Scope, target: Scope, unit: Unit, told: Sequence[str], ids: NewId) -> str:
    """Id of a derived unit in another bank. told: texts it had before it was corrected by hand."""
    if is_extracted(unit):
        cited = [one.unit_id for one in unit.sources]
        for text in (unit.text, *told):
            if fact_id(source, unit.document_id, text, cited) == unit.id:
                return fact_id(target, unit.document_id, text, [ids(one) for one in cited])
    return point_id(target, "unit", "moved", unit.id)


@dataclass(frozen=True, slots=True)
class Move:
    """Rewrites units and records of a bank; `base` is what its sequence numbers are behind."""

    base: int
    ids: NewId

    def unit(self, unit: Unit) -> Unit:
        """A unit in its new place. What follows from the other facts is left out of facts: it is found again there."""
        links = () if is_extracted(unit) else tuple(replace(link, to=self.ids(link.to)) for link in unit.links)
        superseded_by = None if is_extracted(unit) or unit.superseded_by is None else self.ids(unit.superseded_by)
        return replace(
            unit,
            id=self.ids(unit.id),
            seq=unit.seq + self.base,
            links=links,
            superseded_by=superseded_by,
            sources=tuple(Source(self.ids(s.unit_id), s.seq + self.base, s.content_hash) for s in unit.sources),
            causes=tuple(self.ids(cause) for cause in unit.causes),
        )

    def record(self, record: Record, windows: Mapping[str, str] | None = None) -> Record:
        """A record in its new place; windows: hashes of a document's windows there by those here."""
        names = windows or {}

        def name(text: str) -> str:
            return names.get(text) or self.ids(text)

        body = _renamed(_shifted(record.kind, record.body, self.base), name)
        order = record.order - self.base if record.kind is RecordKind.STAGES else record.order
        return replace(record, key=name(record.key), body=body, order=order)

    def document(self, records: Sequence[Record], units: Sequence[Unit]) -> RestoredDocument:
        """A document with what was derived from it: its record first; its chunks first, in order.

        One that a session still adds to is taken over with all its turns in its record, as after a fold.
        """
        first, *others = records
        document = decode_document(first.key, first.body)
        chunks = [unit for unit in units if unit.kind is UnitKind.CHUNK]
        if document.open:
            attached = any(one.kind is RecordKind.SESSION for one in others)
            document = replace(document, open=attached)
            first = replace(first, body=encode_document(document))
            units = [replace(unit, born_version=min(unit.born_version, document.version)) for unit in units]
            others = [_folded(one, document) if one.kind is RecordKind.SESSION else one for one in others]
        moved = [self.unit(unit) for unit in units]
        now = [unit for unit in moved if unit.kind is UnitKind.CHUNK]
        pairs = zip(_windows(chunks), _windows(now), strict=True)
        windows = dict(pairs)
        kept = [one for one in others if one.kind is not RecordKind.WINDOW or one.key in windows]
        return RestoredDocument(tuple(self.record(one, windows) for one in (first, *kept)), tuple(moved))


def _windows(chunks: Sequence[Unit]) -> list[str]:
    turns = [WindowTurn(chunk.id, chunk.content_hash, len(chunk.text)) for chunk in chunks]
    return [window.hash for window in cut_windows(turns)]


def _folded(session: Record, document: Document) -> Record:
    """The session goes on where its document, read at another moment, ends."""
    last = document.chunks[-1].position if document.chunks else 0
    at = {"chunks": len(document.chunks), "position": last, "tail": document.tail, "text_bytes": document.text_bytes}
    return replace(session, body={**session.body, **at, "parts": 0, "version": document.version})


def _renamed(value: Any, name: NewId) -> Any:
    if isinstance(value, str):
        return name(value)
    if isinstance(value, Mapping):
        return {key: _renamed(inner, name) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(inner, name) for inner in value]
    return value


def _shifted(kind: RecordKind, body: Mapping[str, Any], base: int) -> Mapping[str, Any]:
    """A record's body with its sequence numbers behind `base`; 0 is none and stays."""
    if not base:
        return body
    after = dict(body)
    for field in ("seq", "seen_seq"):
        if after.get(field):
            after[field] += base
    if sources := after.get("sources"):
        after["sources"] = [_shifted_source(source, base) for source in sources]
    if kind is RecordKind.OPERATION and after.get("documents"):
        after["documents"] = [[*row[:2], row[2] + base, *row[3:]] for row in after["documents"]]
    after.pop("ahead", None)  # of a consolidation's cursor: what it spares is looked at once more
    if kind is RecordKind.CURATION:
        after["unit"] = _shifted(RecordKind.REDERIVE, after["unit"], base)
    return after


def _shifted_source(source: Any, base: int) -> Any:
    """A source as a unit holds it, as a mental model does, or a bare id."""
    if isinstance(source, Mapping):
        return {**source, "seq": source["seq"] + base}
    return source if isinstance(source, str) else [source[0], source[1] + base, *source[2:]]
