"""A plan: the pure description of everything one command changes in a bank, and its form in the commit record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from memory.encoding import (
    decode_relinked,
    decode_unit,
    encode_relinked,
    encode_unit,
    instant_from_text,
    instant_to_text,
)
from memory.records import Head, Record, RecordKind, Relinked
from memory.store_calls import NewUnit


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a bank, for those who want to be told; kept with the commit that made it happen."""

    type: str
    operation_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """Units to add, move, relink and retire, records to write and remove, and the head as it will be.

    `seq` is the highest sequence number the plan takes; its units and records are written under it. `clear` retires
    the whole bank. Units to add that are in `remake` stand already, damaged, and are taken away first: only then, for
    a moment, a reader sees neither. With `own_seqs` units to add say under which seq they are written, none above the
    plan's. `head_after` carries seq, counters, profile and due time; the protocol fills in
    epoch and commit.
    """

    command: str
    operation_id: str
    seq: int
    head_after: Head
    add: tuple[NewUnit, ...] = ()
    remake: tuple[str, ...] = ()
    retire: tuple[str, ...] = ()
    moves: Mapping[str, int] = field(default_factory=dict)
    relink: tuple[Relinked, ...] = ()
    records: tuple[Record, ...] = ()
    remove: tuple[tuple[RecordKind, str], ...] = ()
    clear: bool = False
    events: tuple[Event, ...] = ()
    own_seqs: bool = False


WHOLE = "whole"
"""Status of a commit record that holds all of its plan, with the texts of the units it adds."""
SETTLED = "settled"
"""Status of a commit record that was replaced by its summary."""


def encode_plan(plan: Plan, previous: str) -> dict[str, Any]:
    """What recovery needs to apply a committed plan: texts, not vectors, which are made again from them.

    previous: key of the commit record before this one, so that from the head's last commit back the committed records
    can be told from those of plans that were prepared and never committed; empty for a bank's first.
    """
    return {
        "previous": previous,
        "command": plan.command,
        "operation_id": plan.operation_id,
        "seq": plan.seq,
        "add": [[new.unit.id, encode_unit(new.unit)] for new in plan.add],
        "remake": list(plan.remake),
        "retire": list(plan.retire),
        "moves": dict(plan.moves),
        "relink": [[one.unit_id, encode_relinked(one)] for one in plan.relink],
        "records": [
            [record.kind.value, record.key, dict(record.body), record.order, record.status] for record in plan.records
        ],
        "remove": [[kind.value, key] for kind, key in plan.remove],
        "clear": plan.clear,
        "due_at": _due_text(plan),
        "at": _time_text(plan),
        "events": _event_rows(plan),
        **({"own_seqs": True} if plan.own_seqs else {}),
    }


def decode_plan(body: Mapping[str, Any], head: Head) -> Plan:
    """Plan of a commit record, made on the head that names it; its units have no vectors."""
    return Plan(
        command=body["command"],
        operation_id=body["operation_id"],
        seq=body["seq"],
        head_after=replace(head, due_at=due_after(body), updated_at=_time_of(body) or head.updated_at),
        add=tuple(NewUnit(decode_unit(unit_id, payload), None) for unit_id, payload in body["add"]),
        remake=tuple(body.get("remake", ())),
        retire=tuple(body["retire"]),
        moves=body["moves"],
        relink=tuple(decode_relinked(unit_id, payload) for unit_id, payload in body.get("relink", ())),
        records=tuple(
            Record(RecordKind(kind), key, content, order=order, status=status)
            for kind, key, content, order, status in body["records"]
        ),
        remove=tuple((RecordKind(kind), key) for kind, key in body["remove"]),
        clear=body["clear"],
        events=decode_events(body),
        own_seqs=body.get("own_seqs", False),
    )


def summarise_plan(plan: Plan) -> dict[str, Any]:
    """What is kept of a settled plan as the bank's history: what happened to which document, without texts."""
    return {
        "command": plan.command,
        "operation_id": plan.operation_id,
        "seq": plan.seq,
        "added": len(plan.add),
        "retired": len(plan.retire),
        "documents": [record.key for record in plan.records if record.kind is RecordKind.DOCUMENT],
        "removed": [[kind.value, key] for kind, key in plan.remove],
        "clear": plan.clear,
        "due_at": _due_text(plan),
        "at": _time_text(plan),
        "settled": True,
        "events": _event_rows(plan),
    }


def decode_events(body: Mapping[str, Any]) -> tuple[Event, ...]:
    """Events of a commit record, whole or not."""
    return tuple(Event(kind, operation, instant_from_text(at)) for kind, operation, at in body.get("events", ()))


def committed_whole(head: Head, whole: Mapping[str, Record]) -> tuple[Record, ...]:
    """The commits of a head whose records are still whole, oldest first, out of all whole commit records by key.

    The oldest texts are forgotten first, so that these are the last commits without a gap.
    """
    chain: list[Record] = []
    key = head.commits.get(head.commit, "")
    while key in whole:
        chain.append(whole[key])
        key = whole[key].body["previous"]
    return tuple(reversed(chain))


def due_after(body: Mapping[str, Any]) -> datetime | None:
    """When the bank is due next, once the plan of a commit record is settled."""
    return instant_from_text(body["due_at"]) if body["due_at"] else None


def _time_text(plan: Plan) -> str | None:
    return instant_to_text(plan.head_after.updated_at) if plan.head_after.updated_at else None


def _time_of(body: Mapping[str, Any]) -> datetime | None:
    """When a plan was made; records of earlier versions do not say."""
    return instant_from_text(body["at"]) if body.get("at") else None


def _due_text(plan: Plan) -> str | None:
    return instant_to_text(plan.head_after.due_at) if plan.head_after.due_at else None


def _event_rows(plan: Plan) -> list[list[str]]:
    return [[event.type, event.operation_id, instant_to_text(event.at)] for event in plan.events]
