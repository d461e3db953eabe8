"""What people say of facts and entities by hand: plans that correct, invalidate, restore, name and merge.

A curated fact has a record: what was extracted, and what was said since. Extraction leaves such facts as they are; with
their sources, or their document, the record goes too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memory.commands import CurateEntity, CurateFact, ReprocessDocument
from memory.drafting import content_hash
from memory.encoding import decode_unit, encode_unit, instant_to_micros, instant_to_text
from memory.entities import Entity
from memory.entity_names import NamedEntity, encode_entity
from memory.errors import Conflict, NotFound, Unprocessable
from memory.ingest import BankView, head_after
from memory.plans import Plan
from memory.records import Record, RecordKind, Unit
from memory.stages import Derived, StageWork
from memory.staging import accept_documents
from memory.store_calls import NewUnit

INVALIDATED = "invalidated"
VALID = "valid"
CURATED = "curated"
"""The head's counter of curated facts; without one there is nothing to look after."""
MAX_HISTORY = 50
MAX_ALIASES = 64


@dataclass(frozen=True, slots=True)
class Curation:
    """A curated fact: its state, the unit as it is or (invalidated) was, and what was said of it, oldest first."""

    unit: Unit
    state: str
    history: tuple[Mapping[str, Any], ...] = ()


def encode_curation(curation: Curation, now: datetime) -> Record:
    """Its record."""
    body = {"unit": encode_unit(curation.unit), "history": [dict(entry) for entry in curation.history]}
    order = instant_to_micros(now)
    return Record(RecordKind.CURATION, curation.unit.id, body, order=order, status=curation.state)


def decode_curation(record: Record) -> Curation:
    """Inverse of encode_curation."""
    return Curation(decode_unit(record.key, record.body["unit"]), record.status, tuple(record.body["history"]))


def curated(
    command: CurateFact, live: Unit | None, before: Curation | None, now: datetime
) -> tuple[Curation, Unit | None]:
    """The fact as it is to be, and the unit to embed and write, if any.

    Raises:
        NotFound: there is no such fact.
        Conflict: it is invalidated, and is to be changed without being restored.
    """
    unit = live or (before.unit if before else None)
    if unit is None:
        raise NotFound(f"no memory {command.unit_id!r}")
    invalid = live is None
    state = command.state or (INVALIDATED if invalid else VALID)
    if invalid and command.changes and state == INVALIDATED:
        raise Conflict("the memory is invalidated: restore it with state valid")
    changed = edited(unit, command.changes) if command.changes else unit
    entry = {
        "at": instant_to_text(now),
        "state": state,
        "text": unit.text,
        "changes": sorted(command.changes),
        "reason": command.reason,
    }
    history = (*(before.history if before else ()), entry)[-MAX_HISTORY:]
    write = changed if state == VALID and (invalid or changed != unit) else None
    return Curation(changed, state, history), write


def edited(unit: Unit, changes: Mapping[str, Any]) -> Unit:
    """A fact with fields changed; a new text makes no claims, for nobody has read it."""
    fields = dict(changes)
    names = fields.pop("entities", None)
    if names is not None:
        types = dict(unit.mentions)
        fields["mentions"] = tuple((name, types.get(name, "")) for name in dict.fromkeys(names))
    if fields.get("text", unit.text) != unit.text:
        fields |= {"content_hash": content_hash(fields["text"], None), "claims": ()}
    changed = replace(unit, **fields)
    if changed.occurred_start and changed.occurred_end and changed.occurred_end < changed.occurred_start:
        raise Unprocessable("occurred_end must not be before occurred_start")
    return changed


def plan_curate(
    view: BankView,
    command: CurateFact,
    found: Curation,
    new: NewUnit | None,
    *,
    live: bool,
    counted: bool,
    now: datetime,
) -> Plan:
    """Plan that writes a curated fact; live: it stands now; counted: it was curated before."""
    seq = view.head.seq + 1
    unit = found.unit
    gone = live and found.state == INVALIDATED
    back = not live and new is not None
    entry = [Derived(unit.id, unit.type)]
    head = head_after(view, seq, entry if back else (), entry if gone else (), 0, now)
    counters = dict(head.counters)
    counters[CURATED] = counters.get(CURATED, 0) + (not counted)
    add = (replace(new, unit=replace(new.unit, seq=seq, epoch=view.head.epoch)),) if new else ()
    return Plan(
        command="curate_fact",
        operation_id=command.operation_id,
        seq=seq,
        head_after=replace(head, counters=counters),
        add=add,
        remake=(unit.id,) if new and live else (),
        retire=(unit.id,) if gone else (),
        records=(encode_curation(found, now),),
    )


def plan_curate_entity(
    view: BankView,
    command: CurateEntity,
    entities: Mapping[str, Entity],
    named: Mapping[str, NamedEntity],
    now: datetime,
) -> Plan:
    """Plan that names an entity, or makes several one.

    Raises:
        NotFound: no fact mentions it, or one that is to be merged.
        Unprocessable: it would have too many names, or be merged with itself.
    """
    missing = [key for key in (command.key, *command.merge) if key not in entities]
    if missing:
        raise NotFound(f"bank {view.scope.bank!r} has no entity {missing[0]!r}")
    if command.key in command.merge:
        raise Unprocessable("an entity cannot be merged with itself")
    before = named.get(command.key, NamedEntity(command.key))
    names: list[str] = [*command.changes.get("aliases", before.names)]
    for key in command.merge:
        names += [entities[key].name, *entities[key].aliases, *(named[key].names if key in named else ())]
    if len(set(names)) > MAX_ALIASES:
        raise Unprocessable(f"an entity has at most {MAX_ALIASES} names beside its own")
    changes = command.changes
    after = NamedEntity(
        command.key,
        tuple(dict.fromkeys(names)),
        changes.get("name", before.name),
        changes.get("type", before.type),
        changes.get("user_id", before.user_id),
    )
    seq = view.head.seq + 1
    head = head_after(view, seq, (), (), 0, now)
    return Plan(
        command="curate_entity",
        operation_id=command.operation_id,
        seq=seq,
        head_after=head,
        records=(encode_entity(after),),
        remove=tuple((RecordKind.ENTITY, key) for key in command.merge if key in named),
    )


def plan_reprocess(
    view: BankView, command: ReprocessDocument, work: StageWork | None, now: datetime
) -> tuple[Plan, str]:
    """Plan that makes a document pass its stages anew, and the operation of that.

    Raises:
        Conflict: nothing is extracted in this bank, or a session is still adding to the document.
    """
    if not view.policy.stages:
        raise Conflict("extraction is off in this bank")
    if work is not None and work.waiting:
        raise Conflict("a session is still adding to the document")
    seq, document_id = view.head.seq + 1, command.document_id
    works = {document_id: work} if work else {}
    stale = frozenset(work.windows) if work else frozenset[str]()
    staged = accept_documents(view.scope, view.policy, works, {document_id: seq}, now, None, stale)
    head = head_after(view, seq, (), staged.retire, 0, now)
    plan = Plan(
        command="reprocess_document",
        operation_id=command.operation_id,
        seq=seq,
        head_after=staged.on(head),
        retire=tuple(unit.unit_id for unit in staged.retire),
        records=staged.records,
        remove=staged.remove,
    )
    return plan, staged.operations[0]
