"""Audit of one bank's units: each by itself, and what documents and other units will be compared with."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.breaches import Audit, BreachKind, DocumentsSeen, Listed
from memory.cascade import DERIVED
from memory.drafting import TIMELESS, chunk_digest, content_hash, lexical_text
from memory.encoding import decode_unit
from memory.ids import bucket_of_id, digest
from memory.records import ChunkEntry, Head, Unit, UnitKind, UnitState

NORM_TOLERANCE = 1e-3
_SEEN = struct.Struct(">qQI8s8s8s8s")
_LISTED = b"listed"
_OTHER = b"other"
_WORDS = "keyword vector: it is not that of the text"
_OWNER = "its payload names another tenant or bank than its bank key"
Payload = Mapping[str, Any]


class UnitAudit:
    """Looks at every unit once and keeps some 60 bytes of each."""

    def __init__(self, audit: Audit, head: Head) -> None:
        self._audit = audit
        self._head = head
        self._seen: dict[str, bytes] = {}
        self._hidden: dict[str, Unit] = {}  # whole, for a repair makes those live that a document lists; they are few
        self._references: list[tuple[str, str, BreachKind, str]] = []
        self._successors: dict[str, str] = {}
        self._bad_vectors: set[str] = set()
        self._unlike: set[str] = set()
        self._suspects: dict[str, BreachKind] = {}
        """Units with a breach of their own: what documents say of them is not compared."""

    def look(self, point: str, payload: Payload) -> UnitState | None:
        """Check one unit by itself; its state, None if it cannot be read."""
        audit = self._audit
        audit.units += 1
        try:
            unit = _decoded(point, payload)
        except (KeyError, ValueError, TypeError, AttributeError) as exc:
            self._suspect(point, BreachKind.UNREADABLE, f"the payload cannot be read: {exc!r}")
            self._seen[point] = _OTHER
            return None
        audit.highest_epoch = max(audit.highest_epoch, unit.epoch)
        if unit.epoch > self._head.epoch:
            what = f"epoch {unit.epoch} is above the head's {self._head.epoch}"
            audit.report(BreachKind.EPOCH, point, what, repairable=True)
        if unit.state is not UnitState.LIVE:
            self._seen[point] = _OTHER
            self._hidden[point] = unit
            return unit.state
        self._look_at_live(unit, payload)
        return unit.state

    def look_at_vectors(self, asked: Iterable[str], found: Mapping[str, NDArray[np.float32]], dim: int | None) -> None:
        """Check sentence vectors, float32, (dim,) each: there, finite, of the right length and norm."""
        for point in asked:
            self._audit.vectors += 1
            vector = found.get(point)
            if vector is None:
                wrong = "there is none"
            elif not np.isfinite(vector).all():
                wrong = "it is not finite"
            elif dim is not None and vector.shape != (dim,):
                wrong = f"it has {vector.shape[0]} numbers instead of {dim}"
            elif abs(float(np.linalg.norm(vector)) - 1) > NORM_TOLERANCE:
                wrong = f"its length is {float(np.linalg.norm(vector)):.3g} instead of 1"
            else:
                continue
            self._bad_vectors.add(point)
            self._audit.report(BreachKind.VECTOR, point, f"sentence vector: {wrong}", repairable=True)

    def texts_of(self, points: Iterable[tuple[str, Payload]], wanted: frozenset[str]) -> dict[str, str]:
        """What the keyword lane should find units by; without those whose text or speaker cannot be relied on."""
        return {
            point: lexical_text(payload["text"], payload.get("speaker"))
            for point, payload in points
            if point in wanted and point not in self._suspects
        }

    def look_at_words(self, unlike: frozenset[str]) -> None:
        """Remember units whose keyword vector is not that of their text; documents are asked about them first."""
        self._unlike |= unlike

    def listed(self, document_id: str, version: int, entry: ChunkEntry) -> int | None:
        """Compare a unit with the document that lists it; bytes of its text, None if that is not to be relied on."""
        point, audit = entry.unit_id, self._audit
        seen = self._seen.get(point)
        where = f"document {document_id!r}, unit {point}"
        if seen is None:
            audit.report(BreachKind.CHUNK_MISSING, where, "the document lists a unit that is not there")
            return None
        if seen == _LISTED:
            audit.report(BreachKind.CHUNK_TWICE, where, "the unit is listed already, here or in another document")
            return None
        self._seen[point] = _LISTED
        if point in self._hidden:
            unit = self._hidden.pop(point)
            audit.report(BreachKind.CHUNK_NOT_LIVE, where, f"the unit is {unit.state.value}", repairable=True)
            audit.salvage[point] = unit
            return None
        if point in self._bad_vectors:
            audit.remake[point] = Listed(document_id, entry)
        if seen == _OTHER:  # unreadable
            return None
        position, born, text_bytes, text, fields, *digests = _SEEN.unpack(seen)
        if point in self._suspects:
            if self._suspects[point] is BreachKind.OWNER:
                audit.report(BreachKind.OWNER, where, _OWNER, repairable=True)
                audit.remake[point] = Listed(document_id, entry)
        elif text != _short(entry.content_hash):
            audit.report(BreachKind.CHUNK_DIFFERS, where, "the unit's text is not the one the document lists")
        elif fields != _fields(document_id, entry.speaker, entry.type.value):
            what = "the unit's document, speaker or type is not the one the document lists"
            audit.report(BreachKind.CHUNK_DIFFERS, where, what, repairable=True)
            audit.remake[point] = Listed(document_id, entry)
        elif any(digests[0]) and _short(entry.digest) not in digests:
            audit.report(BreachKind.CHUNK_DIFFERS, where, "the unit's attributes are not those its id stands for")
        else:
            if point in self._unlike:
                audit.report(BreachKind.VECTOR, point, _WORDS, repairable=True)
                audit.remake[point] = Listed(document_id, entry)
            if position != entry.position:
                what = f"the unit stands at {position}, its document says {entry.position}"
                audit.report(BreachKind.POSITION, where, what, repairable=True)
                audit.moves[point] = entry.position
            if born > version:
                what = f"the unit was born in version {born}, its document is at {version}"
                audit.report(BreachKind.DOCUMENT_VERSION, where, what)
            return int(text_bytes)
        return None

    def unlisted(self) -> list[str]:
        """Live chunks that no document has asked for."""
        return [point for point, seen in self._seen.items() if len(seen) == _SEEN.size]

    def look_at_orphan(self, unit: Unit, documents: DocumentsSeen) -> None:
        """Report a unit that no document lists; where the document has no record, its text is all that is left."""
        audit, point, suspect = self._audit, unit.id, self._suspects.get(unit.id)
        if suspect in {BreachKind.ID, BreachKind.UNIT_TEXT} or unit.document_id in documents.unreadable:
            return  # reported, or no orphan as far as anyone can tell
        kind, what = BreachKind.ORPHAN, f"its document {unit.document_id!r} does not list it"
        gone = documents.deleted.get(unit.document_id, -1) > unit.seq  # its removed record may have been swept
        sweep = self._head.deleted or gone or unit.document_id in documents
        if self._head.deleted:
            kind, what = BreachKind.TOMBSTONE, "the bank was deleted"
        elif suspect is BreachKind.OWNER:
            kind, what = BreachKind.OWNER, _OWNER
        elif not sweep:
            what = f"its document {unit.document_id!r} has no record"
        audit.report(kind, point, what, repairable=sweep)
        if sweep:
            audit.retire.append(point)

    def conclude(self) -> None:
        """Report what is left over, and references to nowhere."""
        audit = self._audit
        for point, unit in self._hidden.items():
            if unit.state is UnitState.PENDING:
                what = f"a plan of epoch {unit.epoch} inserted it and never committed"
                audit.report(BreachKind.PENDING, point, what, repairable=True)
            else:
                audit.report(BreachKind.RETIRED, point, "it is retired and nothing keeps it", repairable=True)
                audit.retire.append(point)
        for point, target, kind, what in self._references:
            if target not in self._seen:
                audit.report(kind, point, f"{what} {target}, which is not there")
        self._look_at_chains()

    def _look_at_live(self, unit: Unit, payload: Payload) -> None:
        audit, point, scope = self._audit, unit.id, self._audit.scope
        audit.highest_seq = max(audit.highest_seq, unit.seq)
        if unit.seq > self._head.seq:
            what = f"seq {unit.seq} is above the head's {self._head.seq}"
            audit.report(BreachKind.SEQ, point, what, repairable=True)
        if not _of_bucket(point, scope.bucket):
            self._suspect(point, BreachKind.ID, "the id is not of this bank's bucket")
        elif (payload.get("tenant"), payload.get("bank")) != (scope.tenant, scope.bank):
            self._suspects[point] = BreachKind.OWNER
        elif unit.kind is UnitKind.CHUNK and unit.content_hash != content_hash(unit.text, unit.speaker):
            self._suspect(point, BreachKind.UNIT_TEXT, "the text is not the one its hash was made of")
        self._look_at_slot(unit)
        self._references.extend((point, link.to, BreachKind.REFERENCE, "a link leads to") for link in unit.links)
        self._references.extend((point, s.unit_id, BreachKind.REFERENCE, "it was made of") for s in unit.sources)
        if unit.kind is UnitKind.CHUNK:
            self._seen[point] = _packed(unit, payload)
        else:  # derived units are in no document's list
            self._seen[point] = _LISTED
            audit.counted.update(("units", DERIVED, f"type:{unit.type.value}"))

    def _look_at_slot(self, unit: Unit) -> None:
        if unit.superseded_by is not None:
            self._references.append((unit.id, unit.superseded_by, BreachKind.SLOT, "it is superseded by"))
            self._successors[unit.id] = unit.superseded_by
            if unit.valid_to is None:
                self._audit.report(BreachKind.SLOT, unit.id, "it is superseded and yet holds without end")
        if unit.valid_from and unit.valid_to and unit.valid_to < unit.valid_from:
            self._audit.report(BreachKind.SLOT, unit.id, "it ends before it begins")

    def _look_at_chains(self) -> None:
        """A chain of supersessions ends; one that does not is reported at its lowest id."""
        done: set[str] = set()
        for start in sorted(self._successors):
            path: list[str] = []
            at: str | None = start
            while at is not None and at not in done:
                done.add(at)
                path.append(at)
                at = self._successors.get(at)
            if at is not None and at in path:
                where = min(path[path.index(at) :])
                self._audit.report(BreachKind.SLOT, where, "units supersede each other in a circle")

    def _suspect(self, point: str, kind: BreachKind, what: str) -> None:
        self._suspects[point] = kind
        self._audit.report(kind, point, what)


def _decoded(point: str, payload: Payload) -> Unit:
    unit = decode_unit(point, payload)
    numbers = (unit.seq, unit.epoch, unit.position, unit.born_version)
    texts = (unit.text, unit.document_id, unit.content_hash)
    if not all(isinstance(number, int) for number in numbers) or not all(isinstance(text, str) for text in texts):
        raise TypeError("a number or a text is none")
    if not 0 <= unit.born_version < 1 << 32 or not -(1 << 63) <= unit.position < 1 << 63:
        raise ValueError("a number is out of range")
    return unit


def _packed(unit: Unit, payload: Payload) -> bytes:
    digests = [_short(value) for value in _digests(unit, payload)] or [b"\0" * 8]
    return _SEEN.pack(
        unit.position,
        unit.born_version,
        len(unit.text.encode()),
        _short(unit.content_hash),
        _fields(unit.document_id, unit.speaker, unit.type.value),
        digests[0],
        digests[-1],
    )


def _digests(unit: Unit, payload: Payload) -> list[str]:
    """What the chunk's digest may be: whether its time was given is not stored, and of entities their types are not."""
    if unit.entities:
        return []
    given = (TIMELESS,) if unit.mentioned_at is None else ("", str(payload["mentioned_at"]))
    metadata, tags = dict(unit.metadata), unit.tags
    return [chunk_digest(unit.text, unit.speaker, unit.role, at, unit.context, tags, metadata, ()) for at in given]


def _short(text: str) -> bytes:
    return digest(text)[:8]


def _fields(document_id: str, speaker: str | None, type_: str) -> bytes:
    return digest(document_id, "" if speaker is None else f"={speaker}", type_)[:8]


def _of_bucket(point: str, bucket: int) -> bool:
    try:
        return bucket_of_id(point) == bucket
    except ValueError:
        return False
