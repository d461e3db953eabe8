"""Reading a document whole while its owner may be replacing it."""

from dataclasses import dataclass

from memory.encoding import decode_document
from memory.errors import StoreDamaged, Unavailable
from memory.protocol import Steps
from memory.records import Document, Head, Record, RecordKind, Unit
from memory.sessions import decode_part, decode_session, part_keys, with_parts
from memory.store_calls import GetChunks, GetRecords, ReadHead

Range = tuple[int, int | None]
"""Of a document's list of chunks, as of a slice."""
ALL: Range = (0, None)
_ATTEMPTS = 8
_PARTS = 256
"""Parts of a session read in one call."""


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """A document and the chunks asked for, in order; of one version, whatever happened meanwhile."""

    document: Document
    chunks: tuple[Unit, ...]

    @property
    def text(self) -> str:
        """The text byte for byte, put together from the chunks.

        Raises:
            ValueError: not all chunks were asked for.
        """
        pairs = zip(self.document.chunks, self.chunks, strict=True)
        return "".join(entry.separator + chunk.text for entry, chunk in pairs) + self.document.tail


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document with every chunk it lists, those of an open session's parts too, and the status of its record."""

    document: Document
    status: str


@dataclass(frozen=True, slots=True)
class ReadStored:
    """Procedure: what is stored of a document, without its units."""

    document_id: str

    def steps(self) -> Steps[StoredDocument | None]:
        """The document, or None where there is none.

        Raises:
            Unavailable: the session that it belongs to kept being folded between the reads.
        """
        for _ in range(_ATTEMPTS):
            records: dict[str, Record] = yield GetRecords(RecordKind.DOCUMENT, (self.document_id,))
            if self.document_id not in records:
                return None
            record = records[self.document_id]
            document = decode_document(self.document_id, record.body)
            whole = (yield from _with_turns(document)) if document.open else document
            if whole is not None:
                return StoredDocument(whole, record.status)
        raise Unavailable(f"document {self.document_id!r} is being written to", 0.1)


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """Procedure: the document's record, then its chunks; again from the start where a plan removed some between.

    Such a plan may stay half applied, if its process was killed, until the bank's next owner applies it; so chunks are
    lost only if the bank was at rest while they were looked for.
    """

    document_id: str
    chunks: Range = ALL

    def steps(self) -> Steps[DocumentPart | None]:
        """The document, or None where there is none.

        Raises:
            StoreDamaged: chunks are missing, and no plan is being applied.
            Unavailable: one is, for longer than this waits; or as ReadStored.
        """
        rested: int | None = None
        for _ in range(_ATTEMPTS):
            stored = yield from ReadStored(self.document_id).steps()
            if stored is None:
                return None
            document = stored.document
            wanted = tuple(entry.unit_id for entry in document.chunks[slice(*self.chunks)])
            units: dict[str, Unit] = (yield GetChunks(wanted)) if wanted else {}
            missing = sum(unit not in units for unit in wanted)
            if not missing:
                return DocumentPart(document, tuple(units[unit] for unit in wanted))
            head: Head | None = yield ReadHead()
            commit = head.commit if head is not None and head.settled == head.commit else None
            if commit is not None and commit == rested:
                raise StoreDamaged(
                    f"document {self.document_id!r} has lost {missing} of its {len(document.chunks)} chunks; retain it"
                    " again"
                )
            rested = commit
        raise Unavailable(f"document {self.document_id!r} is being written to", 0.1)


def _with_turns(document: Document) -> Steps[Document | None]:
    """The document of an open session with the turns that are not in its record; None where it was folded meanwhile."""
    found: dict[str, Record] = yield GetRecords(RecordKind.SESSION, (document.id,))
    if document.id not in found:
        return None
    session = decode_session(found[document.id])
    if session.version != document.version:
        return None
    keys = part_keys(session)
    parts: dict[str, Record] = {}
    for start in range(0, len(keys), _PARTS):
        parts |= yield GetRecords(RecordKind.SESSION_PART, keys[start : start + _PARTS])
    decoded = [decode_part(parts[key].body) for key in keys if key in parts]
    if len(decoded) != len(keys) or any(part.version != document.version + 1 for part in decoded):
        return None
    return with_parts(document, decoded, session.text_bytes)
