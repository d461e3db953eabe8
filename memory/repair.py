"""From an audit to a plan that mends what can be mended. What lost its text cannot: it stays, and is reported again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memory.bank_profile import is_reranking
from memory.breaches import Audit, BreachKind, Listed
from memory.cascade import DERIVED
from memory.commands import RepairBank
from memory.drafting import content_hash
from memory.encoding import decode_document, encode_document
from memory.ingest import LIVE, document_hash, profile_record
from memory.plans import Plan
from memory.protocol import SEQ_BLOCK
from memory.records import Document, Head, RecallProfile, Record, RecordKind, Unit
from memory.store_calls import GetRecords, GetUnits, NewUnit
from memory.sweeping import micros

REMADE_UNITS = 1000
"""Units written anew in one plan: its commit record holds their texts."""
_KINDS = frozenset(kind.value for kind in RecordKind) - {RecordKind.HEAD.value, RecordKind.COMMIT.value}


@dataclass(frozen=True, slots=True)
class Mending:
    """What a repair writes, read and computed in the bank's turn."""

    records: tuple[Record, ...] = ()
    remake: tuple[Unit, ...] = ()
    revive: tuple[Unit, ...] = ()

    @property
    def units(self) -> tuple[Unit, ...]:
        """Units to write, all of which need a vector."""
        return (*self.remake, *self.revive)


@dataclass(frozen=True, slots=True)
class ReadMending:
    """Procedure that reads what findings are mended from; `salvaged` are units that were listed and not live."""

    audit: Audit
    salvaged: Mapping[str, Unit]

    def steps(self) -> Any:
        """The records as they should be, and the units to write."""
        audit = self.audit
        records: list[Record] = []
        for kind, key in sorted(audit.rewrite):
            if kind in _KINDS and (kind, key) not in audit.remove:
                found: dict[str, Record] = yield GetRecords(RecordKind(kind), (key,))
                records.extend(found.values())
        for key in sorted(audit.documents):
            stored: dict[str, Record] = yield GetRecords(RecordKind.DOCUMENT, (key,))
            document = decode_document(key, stored[key].body)
            units: dict[str, Unit] = yield GetUnits(tuple(entry.unit_id for entry in document.chunks))
            records.append(replace(stored[key], body=encode_document(refreshed(document, units))))
        for key, document in sorted(audit.rebuild.items()):
            order = micros(document.updated_at)
            records.append(Record(RecordKind.DOCUMENT, key, encode_document(document), order=order, status=LIVE))
        remake: list[Unit] = []
        for part in _sliced(sorted(audit.remake)):
            standing: dict[str, Unit] = yield GetUnits(part)
            remake.extend(as_listed(unit, audit.remake[point]) for point, unit in sorted(standing.items()))
        standing = yield GetUnits(tuple(self.salvaged))
        lost = (unit for point, unit in sorted(self.salvaged.items()) if point not in standing)
        by_key = {(record.kind, record.key): record for record in records}
        return Mending(tuple(by_key.values()), tuple(filter(_is_whole, remake)), tuple(filter(_is_whole, lost)))


def plan_repair(
    head: Head, command: RepairBank, audit: Audit, mending: Mending, new: Sequence[NewUnit], now: datetime
) -> Plan:
    """Plan that mends a settled bank; `new` holds the mending's units, or the first of them, with their vectors."""
    seq = head.seq + 1
    kinds = {breach.kind for breach in audit.breaches}
    head_after = replace(
        head,
        seq=seq,
        seq_end=head.seq_end if seq < head.seq_end else seq + SEQ_BLOCK,
        due_at=now if BreachKind.DUE in kinds else head.due_at,
        updated_at=now,
    )
    records = list(mending.records)
    if BreachKind.HEAD_EXISTS in kinds:
        head_after = replace(head_after, exists=True, created_at=head.created_at or now)
    if kinds & {BreachKind.HEAD_EXISTS, BreachKind.COUNTERS}:
        others = {name: count for name, count in head.counters.items() if not _is_counted(name)}
        counted = {name: count for name, count in audit.counted.items() if count}
        head_after = replace(head_after, counters=others | counted)
    if audit.uncount:
        left = {name: count - audit.uncount[name] for name, count in head_after.counters.items()}
        held = {name: count for name, count in left.items() if count}
        head_after = replace(head_after, counters=held)
    if kinds & {BreachKind.HEAD_EXISTS, BreachKind.RECALL_PROFILE}:
        records.append(profile_record(RecallProfile(dict(audit.speakers), seq, is_reranking(head.profile))))
    remade = {unit.id for unit in mending.remake}
    return Plan(
        command="repair",
        operation_id=command.operation_id,
        seq=seq,
        head_after=head_after,
        add=tuple(replace(one, unit=replace(one.unit, seq=seq, epoch=head.epoch)) for one in new),
        remake=tuple(one.unit.id for one in new if one.unit.id in remade),
        retire=tuple(audit.retire),
        moves=dict(audit.moves),
        relink=tuple(audit.relink),
        records=tuple(records),
        remove=tuple((RecordKind(kind), key) for kind, key in sorted(audit.remove) if kind in _KINDS),
        clear=head.deleted and BreachKind.TOMBSTONE in kinds,
    )


def refreshed(document: Document, units: Mapping[str, Unit]) -> Document:
    """The document with hash and size computed anew; the size stays where a chunk is missing."""
    document = replace(document, content_hash=document_hash(document.chunks, document.tail))
    if any(entry.unit_id not in units for entry in document.chunks):
        return document
    parts = [entry.separator + units[entry.unit_id].text for entry in document.chunks]
    return replace(document, text_bytes=len("".join((*parts, document.tail)).encode()))


def as_listed(unit: Unit, listed: Listed) -> Unit:
    """The unit with what its document says of it."""
    entry = listed.entry
    return replace(
        unit, document_id=listed.document_id, speaker=entry.speaker, type=entry.type, position=entry.position
    )


def _is_whole(unit: Unit) -> bool:
    return unit.content_hash == content_hash(unit.text, unit.speaker)


def _is_counted(name: str) -> bool:
    return name in {"units", "documents", DERIVED} or name.startswith("type:")


def _sliced(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(ids[start : start + REMADE_UNITS]) for start in range(0, len(ids), REMADE_UNITS))
