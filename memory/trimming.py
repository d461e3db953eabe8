"""Plans that take chunks past their time out of documents; a document that loses all of them goes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from memory.commands import DeleteDocument
from memory.encoding import encode_document
from memory.ingest import BankView, document_hash, head_after, plan_delete_document, profile_change
from memory.plans import Event, Plan
from memory.records import Document, Record, RecordKind, Unit
from memory.stages import StageWork, encode_work


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A document as it is stored, what of it goes, and what depends on that.

    record: the document's; gone: chunks by id; windows: hashes of stored answers that are about a chunk that goes.
    """

    record: Record
    document: Document
    gone: Mapping[str, Unit]
    work: StageWork | None = None
    windows: frozenset[str] = frozenset()


def without(document: Document, gone: Mapping[str, Unit]) -> Document:
    """The document without some of its chunks, otherwise as it was."""
    kept = tuple(entry for entry in document.chunks if entry.unit_id not in gone)
    left = (entry for entry in document.chunks if entry.unit_id in gone)
    lost_bytes = sum(len((entry.separator + gone[entry.unit_id].text).encode()) for entry in left)
    size = document.text_bytes - lost_bytes
    return replace(document, chunks=kept, content_hash=document_hash(kept, document.tail), text_bytes=size)


def plan_trim(view: BankView, operation_id: str, trimmed: Trimmed, now: datetime) -> Plan:
    """Plan that takes chunks out of a document, which is otherwise as it was; what was derived from them goes, too."""
    document, gone = trimmed.document, trimmed.gone
    trim = without(document, gone)
    if not trim.chunks:
        delete = DeleteDocument(operation_id, document.id)
        plan, _ = plan_delete_document(view, delete, document, now, trimmed.work)
        written = tuple(record for record in plan.records if record.key != operation_id)
        return replace(plan, command="expire", records=written)
    seq = view.head.seq + 1
    left = [entry for entry in document.chunks if entry.unit_id in gone]
    after = replace(trim, version=document.version + 1, seq=seq)
    records = [replace(trimmed.record, body=encode_document(after))]
    if trimmed.work is not None and trimmed.windows:
        windows = tuple(window for window in trimmed.work.windows if window not in trimmed.windows)
        records.append(encode_work(replace(trimmed.work, windows=windows)))
    return Plan(
        command="expire",
        operation_id=operation_id,
        seq=seq,
        head_after=head_after(view, seq, (), left, 0, now),
        retire=tuple(entry.unit_id for entry in left),
        records=(*records, *profile_change(view, seq, (), left)),
        remove=tuple((RecordKind.WINDOW, window) for window in sorted(trimmed.windows)),
        events=(Event("document.expired", operation_id, now),),
    )
