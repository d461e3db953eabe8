"""Plans that restore what an export holds: whole documents with what was derived from them, then everything else.

Restored units keep the order they had: each is written under a seq of its own, out of a block that the first plan
reserves. That is as safe as a seq that a plan takes: all of them are below the plan's own, and what guards against a
former owner is the epoch, which is this owner's. Chains, entities and links are not taken over but follow from the
facts (memory/known_facts.py), as they do for facts that are found.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from memory.consolidating.plans import CONSOLIDATED, UNCONSOLIDATED, read_cursor
from memory.curation import CURATED
from memory.directives import DIRECTIVES
from memory.encoding import decode_document
from memory.ingest import BankView, head_after, profile_change
from memory.knowledge_pages import FOLDERS
from memory.mental_models import FOLLOWING, MODELS, decode_model
from memory.operations import completed_operation
from memory.plans import Event, Plan
from memory.policy import sooner
from memory.records import ChunkEntry, Record, RecordKind, Unit, UnitKind
from memory.restore_commands import BeginRestore, RestoredDocument, RestoreReceipt, RestoreSlice
from memory.stages import Derived
from memory.staging import STAGED
from memory.store_calls import NewUnit

BEGIN = "begin_restore"
_COUNTED = {
    RecordKind.CURATION: CURATED,
    RecordKind.DIRECTIVE: DIRECTIVES,
    RecordKind.MENTAL_MODEL: MODELS,
    RecordKind.FOLDER: FOLDERS,
}
"""Records whose number stands in the head."""
_WAITING = frozenset(
    {RecordKind.CONSOLIDATION, RecordKind.STAGES, RecordKind.SESSION, RecordKind.MENTAL_MODEL, RecordKind.OPERATION}
)
"""Records that somebody may have to look at when their time comes."""


@dataclass(frozen=True, slots=True)
class StandingHere:
    """What of a slice the bank has, read in the turn: live units, records by kind, documents with their hashes."""

    live: AbstractSet[str]
    records: AbstractSet[tuple[RecordKind, str]]
    documents: Mapping[str, str]


def plan_begin_restore(view: BankView, command: BeginRestore, now: datetime) -> tuple[Plan, RestoreReceipt]:
    """Plan that reserves the seqs of what is to come."""
    base, head = view.head.seq, view.head
    seq = base + command.seqs + 1
    receipt = RestoreReceipt(command.operation_id, seq, base)
    body = {"items_count": 0, "seq": seq, "base": base}
    operation = completed_operation(command.operation_id, BEGIN, command.fingerprint(), now, body)
    after = head_after(view, seq, (), (), 0, now)
    if not head.counters.get("units"):
        after = replace(after, created_at=sooner(after.created_at, command.created_at))
    told = [at for at in (head.incomplete_before, command.incomplete_before) if at is not None]
    after = replace(after, incomplete_before=max(told, default=None))
    events = (Event("bank.restoring", command.operation_id, now),)
    return Plan(BEGIN, command.operation_id, seq, after, records=(operation,), events=events), receipt


def begin_receipt_of(operation: Record) -> RestoreReceipt:
    """The receipt given for a beginning that was made before."""
    return RestoreReceipt(operation.key, operation.body["seq"], operation.body["base"])


def plan_restore(
    view: BankView, command: RestoreSlice, here: StandingHere, made: Mapping[str, NewUnit], now: datetime
) -> tuple[Plan | None, RestoreReceipt]:
    """Plan that writes what of a slice is not there; None where all of it is.

    made: units with their vectors by id, at least those that are not live.
    """
    seq, head = view.head.seq + 1, view.head
    documents = [one for one in command.documents if one.id not in here.documents]
    different = tuple(
        one.id for one in command.documents if one.id in here.documents and here.documents[one.id] != _hash(one)
    )
    wanted = [unit for one in documents for unit in one.units if unit.id not in here.live]
    wanted += [unit for unit in command.units if unit.id not in here.live]
    standing = here.live | {unit.id for unit in wanted}
    kept = [unit for unit in wanted if all(source.unit_id in standing for source in unit.sources)]
    add = tuple(_at(made[unit.id], unit, head.seq, head.epoch) for unit in kept)
    given = [record for one in documents for record in one.records]
    given += command.records
    records = [record for record in given if (record.kind, record.key) not in here.records]
    entries = [entry for one in documents for entry in _entries(one)]
    derived = [Derived(unit.id, unit.type) for unit in kept if unit.kind is not UnitKind.CHUNK]
    receipt = RestoreReceipt(
        command.operation_id,
        seq,
        documents=len(documents),
        there=len(command.documents) - len(documents) - len(different),
        different=different,
        chunks=len(entries),
        derived=len(derived),
        dropped=len(wanted) - len(kept),
        records=len(records),
        tokens=sum(new.unit.text_tokens for new in add),
    )
    if not add and not records:
        return None, replace(receipt, seq=head.seq)
    after = head_after(view, seq, (*entries, *derived), (), len(documents), now)
    counters = Counter(after.counters)
    counters.update(_COUNTED[record.kind] for record in records if record.kind in _COUNTED)
    counters[FOLLOWING] += sum(decode_model(r).follows for r in records if r.kind is RecordKind.MENTAL_MODEL)
    if any(record.kind is RecordKind.STAGES for record in records):
        counters[STAGED] = 1
    for record in records:
        if record.kind is RecordKind.CONSOLIDATION:  # looked at once more from there on; what is before it was taken
            at = max(read_cursor(record).seq, 1)
            counters[CONSOLIDATED], counters[UNCONSOLIDATED] = at - 1, at
    waits = any(record.kind in _WAITING for record in records)
    plan = Plan(
        command="restore",
        operation_id=command.operation_id,
        seq=seq,
        head_after=replace(
            after,
            counters={name: count for name, count in counters.items() if count},
            due_at=sooner(after.due_at, now if waits else None),
        ),
        add=add,
        own_seqs=True,
        records=(*records, *profile_change(view, seq, entries, ())),
    )
    return plan, receipt


def _at(new: NewUnit, unit: Unit, highest: int, epoch: int) -> NewUnit:
    return replace(new, unit=replace(new.unit, seq=min(unit.seq, highest), epoch=epoch))


def _entries(document: RestoredDocument) -> tuple[ChunkEntry, ...]:
    return decode_document(document.id, document.records[0].body).chunks


def _hash(document: RestoredDocument) -> str:
    return str(document.records[0].body["content_hash"])
