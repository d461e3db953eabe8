"""Stored reflections: answers that a caller asked to have kept, found by recall where it asks for them.

One is a unit, by which it is found and goes with what it rests on, and a record, which holds the rest of it.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memory.cascade import count_derived
from memory.drafting import content_hash
from memory.encoding import instant_from_text, instant_to_micros, instant_to_text
from memory.errors import Conflict
from memory.filters import AnyOf, Filter
from memory.ids import Scope, digest, point_id
from memory.ingest import BankView, head_after
from memory.plans import Event, Plan
from memory.records import Record, RecordKind, Source, Unit, UnitKind, UnitType
from memory.reflect_commands import DeleteReflection, StoreReflection
from memory.reflecting.port import Question
from memory.store_calls import NewUnit

REFLECTIONS: Filter = AnyOf("kind", (UnitKind.REFLECTION.value,))
"""Units that are stored reflections."""


@dataclass(frozen=True, slots=True)
class StoredReflection:
    """A question with the answer that was given to it, kept as it was then.

    asked: fingerprint of the request; answer: based_on, usage, mode, reason, structured output as they are shown.
    """

    id: str
    operation_id: str
    query: str
    text: str
    created_at: datetime
    asked: str = ""
    tags: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    answer: Mapping[str, Any] | None = None


def reflection_id(scope: Scope, operation_id: str) -> str:
    """Id of the reflection that is stored under an operation id."""
    return point_id(scope, "reflection", operation_id)


def fingerprint_of(question: Question, tags: Sequence[str]) -> str:
    """Hex digest of a request: tells a retry from another question under the same operation id."""
    return digest(repr(question), *tags).hex()


def check_asked(stored: StoredReflection, asked: str) -> None:
    """Check that what is stored answers the same request.

    Raises:
        Conflict: it answers another one.
    """
    if stored.asked != asked:
        raise Conflict(f"operation {stored.operation_id!r} was another reflection; use a new operation_id")


def encode_reflection(reflection: StoredReflection) -> Record:
    """Its record."""
    body = {
        "operation_id": reflection.operation_id,
        "query": reflection.query,
        "text": reflection.text,
        "created_at": instant_to_text(reflection.created_at),
        "asked": reflection.asked,
        "tags": list(reflection.tags),
        "sources": [[source.unit_id, source.seq, source.content_hash] for source in reflection.sources],
        "answer": dict(reflection.answer or {}),
    }
    order = instant_to_micros(reflection.created_at)
    return Record(RecordKind.REFLECTION, reflection.id, body, order=order)


def decode_reflection(record: Record) -> StoredReflection:
    """Inverse of encode_reflection."""
    body = record.body
    return StoredReflection(
        id=record.key,
        operation_id=body["operation_id"],
        query=body["query"],
        text=body["text"],
        created_at=instant_from_text(body["created_at"]),
        asked=body["asked"],
        tags=tuple(body["tags"]),
        sources=tuple(Source(*source) for source in body["sources"]),
        answer=body["answer"],
    )


def reflection_of(scope: Scope, command: StoreReflection, now: datetime) -> StoredReflection:
    """What a command has stored."""
    return StoredReflection(
        id=reflection_id(scope, command.operation_id),
        operation_id=command.operation_id,
        query=command.query,
        text=command.text,
        created_at=now,
        asked=command.asked,
        tags=command.tags,
        sources=command.sources,
        answer=command.answer,
    )


def unit_of(reflection: StoredReflection) -> Unit:
    """What recall finds of it: question and answer, which are embedded together."""
    text = f"{reflection.query}\n\n{reflection.text}"
    return Unit(
        id=reflection.id,
        kind=UnitKind.REFLECTION,
        type=UnitType.REFLECTION,
        text=text,
        document_id="",
        content_hash=content_hash(text, None),
        mentioned_at=reflection.created_at,
        recorded_at=reflection.created_at,
        tags=reflection.tags,
        sources=reflection.sources,
        proof_count=len(reflection.sources),
    )


def plan_store_reflection(
    view: BankView, reflection: StoredReflection, made: NewUnit, gone: AbstractSet[str], now: datetime
) -> Plan:
    """Plan that stores a reflection. made: its unit, embedded; gone: of its sources, those that do not stand.

    Raises:
        Conflict: a source is gone.
    """
    if gone:
        raise Conflict("what the answer rests on was deleted while it was made; ask again")
    seq = view.head.seq + 1
    unit = replace(made.unit, seq=seq, epoch=view.head.epoch)
    head = head_after(view, seq, (), (), 0, now)
    head = replace(head, counters=count_derived(head.counters, (unit,), ()))
    return Plan(
        command="store_reflection",
        operation_id=reflection.operation_id,
        seq=seq,
        head_after=head,
        add=(replace(made, unit=unit),),
        records=(encode_reflection(reflection),),
        events=(Event("reflection.stored", reflection.operation_id, now),),
    )


def plan_delete_reflection(view: BankView, command: DeleteReflection, unit: Unit, now: datetime) -> Plan:
    """Plan that removes a reflection."""
    seq = view.head.seq + 1
    head = head_after(view, seq, (), (), 0, now)
    head = replace(head, counters=count_derived(head.counters, (), (unit,)))
    return Plan(
        command="delete_reflection",
        operation_id=command.operation_id,
        seq=seq,
        head_after=head,
        retire=(unit.id,),
        remove=((RecordKind.REFLECTION, unit.id),),
    )
