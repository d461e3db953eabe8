"""Reading a document whole while its owner may be replacing it."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from memory.encoding import decode_document
from memory.errors import StoreDamaged
from memory.records import Document, Record, RecordKind, Unit
from memory.store_calls import Call, GetChunks, GetRecords

_ATTEMPTS = 8


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
class ReadDocument:
    """Procedure: the document's record, then its chunks; again from the start where a replace removed some between.

    `chunks` is a range of the document's list, as of a slice.
    """

    document_id: str
    chunks: tuple[int, int | None] = (0, None)

    def steps(self) -> Generator[Call[Any], Any, DocumentPart | None]:
        """The document, or None where there is none.

        Raises:
            StoreDamaged: chunks stay missing, so it was no replace.
        """
        missing = 0
        for _ in range(_ATTEMPTS):
            records: dict[str, Record] = yield GetRecords(RecordKind.DOCUMENT, (self.document_id,))
            if self.document_id not in records:
                return None
            document = decode_document(self.document_id, records[self.document_id].body)
            wanted = tuple(entry.unit_id for entry in document.chunks[slice(*self.chunks)])
            units: dict[str, Unit] = (yield GetChunks(wanted)) if wanted else {}
            missing = sum(unit not in units for unit in wanted)
            if not missing:
                return DocumentPart(document, tuple(units[unit] for unit in wanted))
        raise StoreDamaged(
            f"document {self.document_id!r} has lost {missing} of its {len(document.chunks)} chunks; retain it again"
        )
