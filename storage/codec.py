"""Units and records <-> point payloads: memory's encoding plus whose they are."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from memory.encoding import decode_head, decode_unit, encode_head, encode_unit, instant_to_text
from memory.filters import AnyOf, Between, Filter, Not
from memory.ids import Scope, record_id
from memory.records import Embedding, Head, Record, RecordKind, Unit, UnitState
from memory.store_calls import ListRecords, NewUnit
from storage import schema

HEAD_KEY = "head"


def unit_payload(scope: Scope, unit: Unit, state: UnitState) -> dict[str, Any]:
    """Payload of a unit in a given state."""
    payload = encode_unit(unit)
    payload[schema.STATE] = state.value
    return payload | _owner(scope)


def new_payload(scope: Scope, new: NewUnit) -> dict[str, Any]:
    """Payload of a unit to insert, with its token vectors."""
    payload = unit_payload(scope, new.unit, UnitState.PENDING)
    if new.vectors is not None:
        for made in new.vectors.embeddings:
            payload |= tokens_payload(made)
    return payload


def tokens_payload(made: Embedding) -> dict[str, str]:
    """What a unit's payload holds of its token vectors in one space."""
    return {schema.tokens_key(made.space): b64encode(made.tokens).decode()} if made.tokens else {}


def tokens_of(payload: Mapping[str, Any], space: str = "") -> bytes:
    """Packed token vectors of a unit's payload; empty where it has none."""
    return b64decode(payload.get(schema.tokens_key(space), ""))


def all_tokens(payload: Mapping[str, Any]) -> dict[str, bytes]:
    """Packed token vectors of a unit's payload by space."""
    keys = [key for key in payload if key.partition("-")[0] == schema.TOKENS]
    return {key.partition("-")[2]: b64decode(payload[key]) for key in keys}


def take_tokens(payload: dict[str, Any], space: str = "") -> bytes:
    """Packed token vectors out of a payload that goes on without them."""
    return b64decode(payload.pop(schema.tokens_key(space), ""))


def embedding_of(payload: Mapping[str, Any], vectors: Mapping[str, Any]) -> Embedding | None:
    """Sentence and token vectors of a stored unit in all spaces, the one the store was made with first; None: none."""
    found = {space: vectors[name] for name in vectors if (space := schema.space_of(name)) is not None}
    made = [
        Embedding(np.asarray(found[space], dtype=np.float32), tokens_of(payload, space), space)
        for space in sorted(found)
    ]
    return replace(made[0], also=tuple(made[1:])) if made else None


def unit_of(point_id: str, payload: Mapping[str, Any]) -> Unit:
    """Unit of a payload."""
    return decode_unit(point_id, payload)


def record_payload(scope: Scope, record: Record) -> dict[str, Any]:
    """Payload of a record other than the head."""
    return {
        **_owner(scope),
        schema.KIND: record.kind.value,
        schema.KEY: record.key,
        schema.SEQ: record.seq,
        schema.EPOCH: record.epoch,
        schema.ORDER: record.order,
        schema.STATUS: record.status,
        schema.BODY: orjson.dumps(dict(record.body)).decode(),
    }


def record_of(payload: Mapping[str, Any]) -> Record:
    """Record of a payload."""
    return Record(
        kind=RecordKind(payload[schema.KIND]),
        key=payload[schema.KEY],
        body=orjson.loads(payload[schema.BODY]),
        seq=payload[schema.SEQ],
        epoch=payload[schema.EPOCH],
        order=payload[schema.ORDER],
        status=payload[schema.STATUS],
    )


def removal(seq: int, epoch: int, at_us: int) -> dict[str, Any]:
    """What a removed record's payload changes to; what it was ordered by gives way to when it was removed."""
    return {
        schema.STATUS: schema.REMOVED,
        schema.BODY: "{}",
        schema.SEQ: seq,
        schema.EPOCH: epoch,
        schema.ORDER: at_us,
    }


def removed(before_us: int | None = None) -> tuple[Filter, ...]:
    """Filters of removed records; of those removed up to an instant, if it is given."""
    status = AnyOf(schema.STATUS, (schema.REMOVED,))
    return (status,) if before_us is None else (status, Between(schema.ORDER, lte=before_us))


def records_of(payloads: Iterable[Mapping[str, Any]]) -> dict[str, Record]:
    """Records of payloads by key, without the removed ones."""
    found = (record_of(payload) for payload in payloads if payload[schema.STATUS] != schema.REMOVED)
    return {record.key: record for record in found}


def of_status(status: str | None) -> Filter:
    """Filter of records with a status; None: any but removed."""
    return Not(AnyOf(schema.STATUS, (schema.REMOVED,))) if status is None else AnyOf(schema.STATUS, (status,))


def listed(call: ListRecords) -> tuple[Filter, ...]:
    """Filters of the records that a call lists; status None: any but removed."""
    where = (AnyOf(schema.KIND, (call.kind.value,)), of_status(call.status))
    return where if call.until is None else (*where, Between(schema.ORDER, lte=call.until))


def head_payload(scope: Scope, head: Head, nonce: str) -> dict[str, Any]:
    """Payload of a head; what the compare-and-set and the scans look at stands beside the body."""
    status = schema.HEAD_EXISTS if head.exists else schema.HEAD_DELETED if head.deleted else schema.HEAD_EMPTY
    payload = {
        **_owner(scope),
        schema.KIND: RecordKind.HEAD.value,
        schema.KEY: HEAD_KEY,
        schema.SEQ: head.seq,
        schema.EPOCH: head.epoch,
        schema.COMMIT: head.commit,
        schema.SETTLED: head.settled,
        schema.ORDER: 0,
        schema.STATUS: status,
        schema.NONCE: nonce,
        schema.BODY: orjson.dumps(encode_head(head)).decode(),
    }
    if head.due_at is not None:
        payload[schema.DUE_AT] = instant_to_text(head.due_at)
    return payload


def head_of(payload: Mapping[str, Any]) -> Head:
    """Head of a payload."""
    return decode_head(orjson.loads(payload[schema.BODY]))


def head_id(scope: Scope) -> str:
    """Id of the bank's head."""
    return record_id(scope, RecordKind.HEAD.value, HEAD_KEY)


def scope_of(payload: Mapping[str, Any]) -> Scope:
    """Whose a point is."""
    return Scope(payload[schema.TENANT], payload[schema.BANK])


def _owner(scope: Scope) -> dict[str, str]:
    return {schema.TENANT: scope.tenant, schema.BANK: scope.bank, schema.BANK_KEY: scope.key}
