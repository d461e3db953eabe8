"""Plans of sessions: open, append, fold, close, delete."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from memory.commands import AppendTurns, DeleteSession, OpenSession
from memory.drafting import DocumentDraft
from memory.encoding import encode_document, instant_to_micros
from memory.ingest import LIVE, BankView, Embedded, bare_plan, document_hash, head_after, new_unit, profile_change
from memory.operations import completed_operation
from memory.plans import Event, Plan
from memory.policy import sooner
from memory.records import ChunkEntry, Document, Head, Record, RecordKind
from memory.sessions import (
    CLOSED,
    AppendReceipt,
    DeleteSessionReceipt,
    Session,
    SessionPart,
    check_room,
    encode_part,
    encode_session,
    list_turns,
    part_keys,
    text_growth,
    turn_times,
)
from memory.stages import Derived, StageWork
from memory.staging import drop_documents, hold_document, release_document

APPEND = "append_turns"
OPEN_TASK = "open_session"
DELETE_TASK = "delete_session"
FOLD = "fold_session"


@dataclass(frozen=True, slots=True)
class Whole:
    """A session's document with every turn, the status of its record, and its stage work."""

    document: Document
    status: str = LIVE
    work: StageWork | None = None


def plan_open(view: BankView, command: OpenSession, now: datetime) -> tuple[Plan, Session]:
    """Plan that begins a session."""
    ttl_s = view.policy.session_idle_ttl_s if command.idle_ttl_s is None else command.idle_ttl_s
    session = Session(
        id=command.session_id,
        created_at=now,
        last_at=now,
        idle_ttl_s=ttl_s,
        tags=command.tags,
        metadata=command.metadata,
        context=command.context,
    )
    operation = completed_operation(command.operation_id, OPEN_TASK, command.fingerprint(), now, {"items_count": 0})
    head = _due(head_after(view, view.head.seq + 1, (), (), 0, now), view, session)
    plan = Plan(
        command=OPEN_TASK,
        operation_id=command.operation_id,
        seq=view.head.seq + 1,
        head_after=head,
        records=(operation, encode_session(session)),
        events=(Event("session.opened", command.operation_id, now),),
    )
    return plan, session


def plan_append(
    view: BankView,
    command: AppendTurns,
    session: Session,
    draft: DocumentDraft,
    taken: Mapping[str, int],
    embedded: Mapping[str, Embedded],
    work: StageWork | None,
    now: datetime,
) -> tuple[Plan, AppendReceipt]:
    """Plan that adds turns; its size depends on theirs alone. The first append makes the document.

    taken: see `list_turns`; embedded: vectors by content hash; work: the document's, where this append is the first
    since the session rested.

    Raises:
        TooLarge: the session would be over its bounds.
    """
    growth = text_growth(session, draft)
    check_room(session, len(command.messages), growth, view.policy)
    seq = view.head.seq + 1
    entries, tail = list_turns(view.scope, session, draft, taken)
    after = replace(
        session,
        last_at=turn_times(session, len(command.messages), now)[-1],
        turns=session.turns + len(command.messages),
        chunks=session.chunks + len(entries),
        parts=session.parts + 1 if session.version else 0,
        version=session.version or 1,
        text_bytes=session.text_bytes + growth,
        position=entries[-1].position,
        tail=tail,
        resting=False,
    )
    version = after.version + 1 if session.version else 1
    document = Document(
        id=session.id,
        version=version,
        seq=seq,
        chunks=entries,
        tail=tail,
        content_hash=document_hash(entries, tail),
        text_bytes=after.text_bytes,
        created_at=now,
        updated_at=now,
        tags=session.tags,
        metadata=session.metadata,
        context=session.context,
        open=True,
    )
    add = tuple(
        new_unit(entry, chunk, document, embedded[chunk.content_hash], seq, view.head.epoch, now)
        for entry, chunk in zip(entries, draft.chunks, strict=True)
    )
    add = tuple(replace(new, unit=replace(new.unit, session=session.id)) for new in add)
    receipt = AppendReceipt(
        operation_id=command.operation_id,
        session_id=session.id,
        seq=seq,
        first_turn=session.turns,
        turns=after.turns,
        chunks=len(entries),
        tokens=sum(new.unit.text_tokens for new in add),
    )
    if session.version:
        turns = encode_part(SessionPart(session.id, version, entries, tail), session.parts)
    else:
        turns = _document_record(document, LIVE, now)
    operation = completed_operation(command.operation_id, APPEND, command.fingerprint(), now, _append_body(receipt))
    records = [turns, encode_session(after), operation, *profile_change(view, seq, entries, ())]
    head = _due(head_after(view, seq, entries, (), 0 if session.version else 1, now), view, after)
    if session.resting:
        staged = hold_document(view.scope, view.policy, work, session.id, seq, now, command.operation_id)
        records.extend(staged.records)
        head = staged.on(head)
    plan = Plan(APPEND, command.operation_id, seq, head, add=add, records=tuple(records))
    return plan, receipt


def plan_fold(view: BankView, operation_id: str, session: Session, whole: Whole, now: datetime) -> Plan:
    """Plan that takes a session's parts into its document, whose stages may begin."""
    return _rest(view, operation_id, session, whole, now)


def plan_close(
    view: BankView, operation_id: str, session: Session, whole: Whole | None, closed_by: str, now: datetime
) -> tuple[Plan, Session]:
    """Plan that ends a session, and takes its parts into its document; `whole` None: it has none."""
    closed = replace(session, state=CLOSED, closed_at=now, closed_by=closed_by)
    event = "session.expired" if closed_by == "expiry" else "session.closed"
    if whole is None:
        plan = bare_plan(view, "close_session", operation_id, now, (encode_session(closed),))
    else:
        plan = replace(_rest(view, operation_id, closed, whole, now), command="close_session")
        version = whole.document.version + 1
        closed = replace(closed, parts=0, resting=True, version=version)
    return replace(plan, events=(Event(event, operation_id, now),)), closed


def plan_delete_session(
    view: BankView, command: DeleteSession, session: Session, whole: Whole | None, now: datetime
) -> tuple[Plan, int]:
    """Plan that removes a session, and its document unless it is to be kept; how many units it removes.

    whole: the document as far as it is there; of a closed session it may have been deleted.
    """
    events = (Event("session.deleted", command.operation_id, now),)
    if command.keep_memory or whole is None:
        open_ = whole is not None and session.state != CLOSED
        plan = (
            _rest(view, command.operation_id, session, whole, now, closing=True)
            if open_ and whole
            else bare_plan(view, FOLD, command.operation_id, now)
        )
        kept = tuple(record for record in plan.records if record.kind is not RecordKind.SESSION)
        remove = (*plan.remove, (RecordKind.SESSION, session.id))
        records = (*kept, _deletion(command, 0, now))
        return replace(plan, command=DELETE_TASK, records=records, remove=remove, events=events), 0
    staged = drop_documents({session.id: whole.work} if whole.work else {}, now)
    gone: tuple[ChunkEntry | Derived, ...] = (*whole.document.chunks, *staged.retire)
    seq = view.head.seq + 1
    plan = Plan(
        command=DELETE_TASK,
        operation_id=command.operation_id,
        seq=seq,
        head_after=head_after(view, seq, (), gone, -1, now),
        retire=tuple(unit.unit_id for unit in gone),
        records=(
            _deletion(command, len(gone), now),
            *profile_change(view, seq, (), whole.document.chunks),
            *staged.records,
        ),
        remove=(
            (RecordKind.DOCUMENT, session.id),
            (RecordKind.SESSION, session.id),
            *_parts(session),
            *staged.remove,
        ),
        events=events,
    )
    return plan, len(gone)


def append_receipt_of(operation: Record) -> AppendReceipt:
    """The receipt given for an append that was done before."""
    body = operation.body
    return AppendReceipt(
        operation_id=operation.key,
        session_id=body["session"],
        seq=body["seq"],
        first_turn=body["first_turn"],
        turns=body["turns"],
        chunks=body["chunks"],
        tokens=body["tokens"],
        replayed=True,
    )


def deletion_receipt_of(operation: Record) -> DeleteSessionReceipt:
    """The receipt given for a deletion that was done before."""
    return DeleteSessionReceipt(operation.key, operation.body["session"], operation.body["units_deleted"])


def _deletion(command: DeleteSession, units: int, now: datetime) -> Record:
    body = {"items_count": 1, "session": command.session_id, "units_deleted": units}
    return completed_operation(command.operation_id, DELETE_TASK, command.fingerprint(), now, body)


def _append_body(receipt: AppendReceipt) -> dict[str, str | int]:
    return {
        "items_count": receipt.turns - receipt.first_turn,
        "session": receipt.session_id,
        "document_id": receipt.session_id,
        "seq": receipt.seq,
        "first_turn": receipt.first_turn,
        "turns": receipt.turns,
        "chunks": receipt.chunks,
        "tokens": receipt.tokens,
    }


def _rest(
    view: BankView, operation_id: str, session: Session, whole: Whole, now: datetime, *, closing: bool = False
) -> Plan:
    """The document with all its turns in one record, its stages released, its parts removed."""
    plan = bare_plan(view, FOLD, operation_id, now)
    open_ = session.state != CLOSED and not closing
    old = whole.document
    document = replace(old, version=old.version + 1, seq=plan.seq, updated_at=now, open=open_)
    rested = replace(session, parts=0, resting=True, version=document.version)
    records = [_document_record(document, whole.status, now), encode_session(rested)]
    head = plan.head_after
    retired: tuple[str, ...] = ()
    remove = _parts(session)
    if not session.resting:
        staged = release_document(view.scope, view.policy, whole.work, session.id, plan.seq, now)
        records.extend(staged.records)
        head = staged.on(head_after(view, plan.seq, (), staged.retire, 0, now))
        retired = tuple(unit.unit_id for unit in staged.retire)
        remove = (*remove, *staged.remove)
    head = _due(head, view, rested)
    return replace(plan, head_after=head, records=tuple(records), remove=remove, retire=retired)


def _document_record(document: Document, status: str, now: datetime) -> Record:
    return Record(
        RecordKind.DOCUMENT, document.id, encode_document(document), order=instant_to_micros(now), status=status
    )


def _parts(session: Session) -> tuple[tuple[RecordKind, str], ...]:
    return tuple((RecordKind.SESSION_PART, key) for key in part_keys(session))


def _due(head: Head, view: BankView, session: Session) -> Head:
    return replace(head, due_at=sooner(head.due_at, session.due_at(view.policy)))
