"""Plans of retains, deletions and changes of a bank: from merged drafts and the bank's view to what is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from memory.bank_profile import is_reranking
from memory.cascade import DERIVED
from memory.commands import (
    DeleteBank,
    DeleteDocument,
    DeleteReceipt,
    DocumentReceipt,
    Retain,
    RetainReceipt,
    UpdateBank,
)
from memory.drafting import ITEM_SEPARATOR, ChunkDraft, dense_text, lexical_text
from memory.encoding import encode_document, encode_recall_profile, instant_to_micros
from memory.healing import DAMAGED
from memory.ids import Scope, digest
from memory.merging import Merge, refuse_open
from memory.operations import completed_operation
from memory.plans import Event, Plan
from memory.policy import BankPolicy, sooner
from memory.protocol import SEQ_BLOCK
from memory.receipts import delete_body, retain_body
from memory.records import (
    ChunkEntry,
    Document,
    Embedding,
    Head,
    RecallProfile,
    Record,
    RecordKind,
    Unit,
    UnitKind,
    Vectors,
)
from memory.retention import RULES
from memory.stages import Derived, StageWork
from memory.staging import accept_documents, drop_documents
from memory.store_calls import NewUnit

RECALL_PROFILE_KEY = "recall"
LIVE = "live"
"""Status of a document record all of whose chunks are there."""


@dataclass(frozen=True, slots=True)
class BankView:
    """What the owner knows of its bank when a command takes its turn."""

    scope: Scope
    head: Head
    recall_profile: RecallProfile
    policy: BankPolicy = field(default_factory=BankPolicy)


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was made of a chunk's text outside the turn: float32, (dim,), L2-normalised; its length; token vectors."""

    dense: NDArray[np.float32]
    text_tokens: int
    tokens: bytes = b""
    space: str = ""
    also: tuple[Embedding, ...] = ()

    @classmethod
    def of(cls, made: Embedding, text_tokens: int) -> Self:
        """What an embedder made of a text of that length."""
        return cls(made.dense, text_tokens, made.tokens, made.space, made.also)


def plan_retain(
    view: BankView,
    command: Retain,
    merges: Sequence[Merge],
    embedded: Mapping[str, Embedded],
    now: datetime,
    works: Mapping[str, StageWork] | None = None,
    stale: AbstractSet[str] = frozenset(),
) -> tuple[Plan, RetainReceipt]:
    """Plan of a retain whose new chunks' vectors are in `embedded` by content hash, and the receipt to give for it.

    works: the stage work of the documents, where they have any; stale: windows with a stored answer that lose a turn.
    """
    seqs = [view.head.seq + 1 + number for number in range(len(merges))]
    seq = seqs[-1]
    documents = [_next_document(merge, number, now) for merge, number in zip(merges, seqs, strict=True)]
    add = tuple(
        new_unit(entry, chunk, document, embedded[chunk.content_hash], seq, view.head.epoch, now)
        for merge, document in zip(merges, documents, strict=True)
        for entry, chunk in merge.new
    )
    receipt = RetainReceipt(
        operation_id=command.operation_id,
        seq=seq,
        documents=tuple(
            DocumentReceipt(d.id, d.version, d.seq, len(m.new), len(m.entries) - len(m.new), len(m.retired))
            for m, d in zip(merges, documents, strict=True)
        ),
        tokens=sum(new.unit.text_tokens for new in add),
    )
    added = [entry for merge in merges for entry, _ in merge.new]
    retired = [entry for merge in merges for entry in merge.retired]
    records = [
        Record(
            RecordKind.DOCUMENT,
            d.id,
            encode_document(d),
            order=instant_to_micros(d.updated_at),
            status=DAMAGED if merge.damaged else LIVE,
        )
        for merge, d in zip(merges, documents, strict=True)
    ]
    staged = accept_documents(
        view.scope, view.policy, works or {}, {d.id: d.seq for d in documents}, now, command.operation_id, stale
    )
    body = retain_body(receipt, documents, len(command.items))
    if staged.operations:
        body["children"] = list(staged.operations)
    records.append(completed_operation(command.operation_id, "retain", command.fingerprint(), now, body))
    records.extend(profile_change(view, seq, added, retired))
    documents_more = sum(merge.old is None for merge in merges)
    head = head_after(view, seq, added, (*retired, *staged.retire), documents_more, now)
    plan = Plan(
        command="retain",
        operation_id=command.operation_id,
        seq=seq,
        head_after=staged.on(head),
        add=add,
        retire=(*(entry.unit_id for entry in retired), *(unit.unit_id for unit in staged.retire)),
        moves={unit: at for merge in merges for unit, at in merge.moves.items()},
        records=(*records, *staged.records),
        remove=staged.remove,
        events=(Event("retain.completed", command.operation_id, now),),
    )
    return plan, receipt


def plan_delete_document(
    view: BankView, command: DeleteDocument, document: Document, now: datetime, work: StageWork | None = None
) -> tuple[Plan, DeleteReceipt]:
    """Plan that removes a document with its units.

    Raises:
        Conflict: it is that of an open session.
    """
    seq = view.head.seq + 1
    refuse_open(document)
    staged = drop_documents({document.id: work} if work else {}, now)
    gone: tuple[ChunkEntry | Derived, ...] = (*document.chunks, *staged.retire)
    receipt = DeleteReceipt(command.operation_id, seq, len(gone), 1)
    body = delete_body(receipt)
    operation = completed_operation(command.operation_id, "delete_document", document.id, now, body)
    plan = Plan(
        command="delete_document",
        operation_id=command.operation_id,
        seq=seq,
        head_after=head_after(view, seq, (), gone, -1, now),
        retire=tuple(unit.unit_id for unit in gone),
        records=(operation, *profile_change(view, seq, (), document.chunks), *staged.records),
        remove=((RecordKind.DOCUMENT, document.id), *staged.remove),
        events=(Event("document.deleted", command.operation_id, now),),
    )
    return plan, receipt


def plan_delete_bank(view: BankView, command: DeleteBank, now: datetime) -> tuple[Plan, DeleteReceipt]:
    """Plan that removes everything of a bank; its head stays as a tombstone whose epoch and seq only grow."""
    seq = view.head.seq + 1
    counters = view.head.counters
    receipt = DeleteReceipt(command.operation_id, seq, counters.get("units", 0), counters.get("documents", 0))
    emptied = head_after(view, seq, (), (), 0, now)
    head = replace(emptied, deleted=True, exists=False, profile={}, counters={})
    events = (Event("bank.deleted", command.operation_id, now),)
    return Plan("delete_bank", command.operation_id, seq, head, clear=True, events=events), receipt


def plan_update_bank(view: BankView, command: UpdateBank, now: datetime) -> Plan:
    """Plan that creates a bank or changes its profile."""
    seq = view.head.seq + 1
    head = head_after(view, seq, (), (), 0, now)
    head = replace(head, profile={**view.head.profile, **command.profile})
    operation = completed_operation(command.operation_id, "update_bank", command.fingerprint(), now, {"seq": seq})
    reranking = is_reranking(head.profile)
    retention = None if head.profile.get(RULES) is None else tuple(head.profile[RULES])
    recalled = replace(view.recall_profile, reranking=reranking, retention=retention)
    records = (profile_record(replace(recalled, seq=seq)),) if recalled != view.recall_profile else ()
    if retention:
        head = replace(head, due_at=sooner(head.due_at, now))
    return Plan("update_bank", command.operation_id, seq, head, records=(operation, *records))


def unit_vectors(unit: Unit, made: Embedding) -> Vectors:
    """What a unit is found by, given what the embedder made of it; only evidence is ranked token by token."""
    ranked = unit.kind is UnitKind.CHUNK
    also = made.also if ranked else tuple(replace(one, tokens=b"") for one in made.also)
    tokens = made.tokens if ranked else b""
    return Vectors(made.dense, lexical_text(unit.text, unit.speaker), tokens, made.space, also)


def unit_dense_text(unit: Unit) -> str:
    """What of a unit is embedded."""
    return dense_text(unit.text, unit.speaker)


def document_hash(chunks: Sequence[ChunkEntry], tail: str) -> str:
    """Hex digest of a document's chunks, with what stands between and after them."""
    return digest(*(entry.separator + entry.digest for entry in chunks), tail).hex()


def _next_document(merge: Merge, seq: int, now: datetime) -> Document:
    old, draft = merge.old, merge.draft
    appended = old is not None and draft.mode == "append"
    tags = tuple(dict.fromkeys((*old.tags, *draft.tags))) if old and appended else draft.tags
    return Document(
        id=merge.document_id,
        version=old.version + 1 if old else draft.version,
        seq=seq,
        chunks=merge.entries,
        tail=merge.tail,
        content_hash=document_hash(merge.entries, merge.tail),
        text_bytes=_text_bytes(merge),
        created_at=old.created_at if old else draft.created_at or now,
        updated_at=draft.updated_at or now,
        tags=tags,
        metadata=old.metadata if old and appended else draft.metadata,
        context=old.context if old and appended else draft.context,
    )


def _text_bytes(merge: Merge) -> int:
    drafted = sum(len((c.separator + c.text).encode()) for c in merge.draft.chunks) + len(merge.tail.encode())
    if merge.old and merge.draft.mode == "append":
        return merge.old.text_bytes + len(ITEM_SEPARATOR) + drafted
    return drafted


def new_unit(
    entry: ChunkEntry,
    chunk: ChunkDraft,
    document: Document,
    embedded: Embedded,
    seq: int,
    epoch: int,
    now: datetime,
) -> NewUnit:
    """The unit of a chunk, with what it is found by."""
    unit = Unit(
        id=entry.unit_id,
        kind=UnitKind.CHUNK,
        type=chunk.type,
        text=chunk.text,
        document_id=document.id,
        content_hash=chunk.content_hash,
        position=entry.position,
        context=chunk.context,
        born_version=document.version,
        seq=seq,
        epoch=epoch,
        speaker=chunk.speaker,
        role=chunk.role,
        session=chunk.session,
        mentioned_at=chunk.mentioned_at,
        recorded_at=chunk.recorded_at or now,
        entities=chunk.entities,
        tags=chunk.tags,
        metadata=chunk.metadata,
        text_tokens=embedded.text_tokens,
        scoping=chunk.scoping,
    )
    made = Embedding(embedded.dense, embedded.tokens, embedded.space, embedded.also)
    return NewUnit(unit, unit_vectors(unit, made))


def head_after(
    view: BankView,
    seq: int,
    added: Sequence[ChunkEntry | Derived],
    retired: Sequence[ChunkEntry | Derived],
    documents: int,
    now: datetime,
) -> Head:
    """The head of a plan: seq, counters, and due early enough for the operation that the plan records."""
    head = view.head
    counters = Counter(head.counters)
    counters["documents"] += documents
    for entries, sign in ((added, 1), (retired, -1)):
        for entry in entries:
            counters["units"] += sign
            counters[f"type:{entry.type.value}"] += sign
            counters[DERIVED] += sign * isinstance(entry, Derived)
    return replace(
        head,
        seq=seq,
        seq_end=head.seq_end if seq < head.seq_end else seq + SEQ_BLOCK,
        deleted=False,
        exists=True,
        counters={name: count for name, count in counters.items() if count},
        created_at=head.created_at if head.exists else now,
        updated_at=now,
        due_at=sooner(head.due_at, view.policy.operations_due(now)),
    )


def bare_plan(
    view: BankView,
    command: str,
    operation_id: str,
    now: datetime,
    records: Sequence[Record] = (),
    due: datetime | None = None,
) -> Plan:
    """A plan that touches no units: the next seq, the head with it, due by then at the latest, and some records."""
    seq = view.head.seq + 1
    head = head_after(view, seq, (), (), 0, now)
    return Plan(command, operation_id, seq, replace(head, due_at=sooner(head.due_at, due)), records=tuple(records))


def counted(plan: Plan, changes: Mapping[str, int]) -> Plan:
    """The plan, with so many more of what the head counts."""
    counters = Counter(plan.head_after.counters)
    counters.update(changes)
    head = replace(plan.head_after, counters={name: count for name, count in counters.items() if count})
    return replace(plan, head_after=head)


def profile_change(
    view: BankView, seq: int, added: Sequence[ChunkEntry], retired: Sequence[ChunkEntry]
) -> list[Record]:
    """The recall profile's record, where who speaks in the bank changes."""
    speakers = Counter(view.recall_profile.speakers)
    speakers.update(entry.speaker for entry in added if entry.speaker)
    speakers.subtract(entry.speaker for entry in retired if entry.speaker)
    counted = {name: count for name, count in speakers.items() if count > 0}
    if counted == dict(view.recall_profile.speakers):
        return []
    return [profile_record(replace(view.recall_profile, speakers=counted, seq=seq))]


def profile_record(profile: RecallProfile) -> Record:
    """The record that recall reads."""
    return Record(RecordKind.RECALL_PROFILE, RECALL_PROFILE_KEY, encode_recall_profile(profile))
