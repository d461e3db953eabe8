"""Damage to one bank of an embedded store, written past the store's calls, as a bug or a bad disk would."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from qdrant_edge import Point, PointVectors, SparseVector, UpdateOperation

from memory.audit import AuditBank
from memory.breaches import Breach
from memory.commands import DeleteDocument, Item, Message, RepairBank, Retain, UpdateBank
from memory.drafting import content_hash
from memory.ids import Scope, record_id, unit_id
from memory.records import RecordKind, Unit
from memory.store_calls import GetRecords, ListUnits, ReadHead
from storage import codec
from storage.run import run
from tests.support.bank_process import perform_all
from tests.support.builders import DIM, dense, new_unit
from tests.support.clocks import START


def turns(*texts: str, name: str = "Ann") -> tuple[Message, ...]:
    return tuple(Message(text, role="user", name=name) for text in texts)


HISTORY = (
    Retain("h1", (Item(turns("one", "two", "three"), "d"), Item(turns("other", name="Bob"), "e"))),
    Retain("h2", (Item(turns("one", "two", "three", "same", "same"), "d"), Item(turns("gone"), "f"))),
    DeleteDocument("h3", "f"),
    UpdateBank("h4", {"mission": "m"}),
)


def audit(engine: Any, scope: Scope) -> list[Breach]:
    return run(engine, scope, AuditBank(scope, "all", DIM)).breaches


def repair(engine: Any, scope: Scope) -> Any:
    """The receipt of a repair by a new owner."""
    return perform_all(engine, scope, [RepairBank("repair")], "r")[0]


def own(text: str, **fields: Any) -> dict[str, Any]:
    """Fields of a unit whose hash is right."""
    return {"content_hash": content_hash(text, None), **fields}


class Vandal:
    """Changes points of a bank directly; `units` are those that were live at first, by text."""

    def __init__(self, engine: Any, scope: Scope) -> None:
        self.engine = engine
        self.scope = scope
        self.units: dict[str, Unit] = {u.text: u for u in engine.call(scope, ListUnits(1000)).units}

    def id(self, text: str) -> str:
        return self.units[text].id

    def unit(self, text: str, /, **changes: Any) -> None:
        self._write(self.engine._units, UpdateOperation.set_payload([self.id(text)], changes))

    def remove_unit_keys(self, text: str, *keys: str) -> None:
        self._write(self.engine._units, UpdateOperation.delete_payload([self.id(text)], list(keys)))

    def drop_unit(self, text: str) -> None:
        self._write(self.engine._units, UpdateOperation.delete_points([self.id(text)]))

    def vector(self, text: str, values: list[float]) -> None:
        self._write(
            self.engine._units, UpdateOperation.update_vectors([PointVectors(self.id(text), {"dense": values})])
        )

    def words(self, text: str, *indices: int) -> None:
        lexical = {"lexical": SparseVector(list(indices), [1.0] * len(indices))}
        self._write(self.engine._units, UpdateOperation.update_vectors([PointVectors(self.id(text), lexical)]))

    def drop_words(self, text: str) -> None:
        self._write(self.engine._units, UpdateOperation.delete_vectors([self.id(text)], ["lexical"]))

    def drop_vector(self, text: str) -> None:
        self._write(self.engine._units, UpdateOperation.delete_vectors([self.id(text)], ["dense"]))

    def add_unit(self, text: str, *, id_: str | None = None, state: str = "live", **fields: Any) -> str:
        """A unit nobody planned, of document d unless another is given."""
        unit = new_unit(self.scope, text, **fields).unit
        payload = codec.unit_payload(self.scope, unit, unit.state) | {"state": state}
        vectors = {"dense": dense(text).tolist(), "lexical": SparseVector([1], [1.0])}
        point = id_ or unit.id
        self._write(self.engine._units, UpdateOperation.upsert_points([Point(point, vectors, payload)]))
        return point

    def record(self, kind: RecordKind, key: str, **changes: Any) -> None:
        """Change what stands beside the body."""
        point = record_id(self.scope, kind.value, key)
        self._write(self.engine._records, UpdateOperation.set_payload([point], changes))

    def body(self, kind: RecordKind, key: str, change: Callable[[dict[str, Any]], object]) -> None:
        body = dict(self.engine.call(self.scope, GetRecords(kind, (key,)))[key].body)
        change(body)
        self.record(kind, key, body=orjson.dumps(body).decode())

    def drop_record(self, kind: RecordKind, key: str) -> None:
        point = record_id(self.scope, kind.value, key)
        self._write(self.engine._records, UpdateOperation.delete_points([point]))

    def add_record(self, kind: RecordKind, key: str, *, id_: str | None = None, **changes: Any) -> None:
        payload: dict[str, Any] = {
            "tenant": self.scope.tenant,
            "bank": self.scope.bank,
            "bank_key": self.scope.key,
            "kind": kind.value,
            "key": key,
            "seq": 1,
            "epoch": 1,
            "order": 1,
            "status": "",
            "body": "{}",
            **changes,
        }
        point = id_ or record_id(self.scope, kind.value, key)
        self._write(self.engine._records, UpdateOperation.upsert_points([Point(point, {}, payload)]))

    def head(self, **fields: Any) -> None:
        """Change the head, beside its body and in it."""
        from dataclasses import replace

        head = replace(self.engine.call(self.scope, ReadHead()), **fields)
        payload = codec.head_payload(self.scope, head, "planted")
        point = Point(codec.head_id(self.scope), {}, payload)
        self._write(self.engine._records, UpdateOperation.upsert_points([point]))

    def lose_a_commit(self) -> None:
        """A commit is named that nobody has stored."""
        head = self.engine.call(self.scope, ReadHead())
        self.head(commit=head.commit + 1, commits={head.commit + 1: "lost"}, due_at=START)

    def foreign_id(self, text: str) -> str:
        """A unit id of a bank in another bucket."""
        number = 0
        while (other := Scope(self.scope.tenant, f"other-{number}")).bucket == self.scope.bucket:
            number += 1
        return unit_id(other, "d", text, 0)

    def _write(self, shard: Any, operation: Any) -> None:
        shard.update(operation)
        self.engine._writes._cache.forget()


NOT_A_NUMBER = [float("nan")] * DIM
ZERO = np.zeros(DIM).tolist()
