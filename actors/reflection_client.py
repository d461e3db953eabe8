"""What callers ask of stored reflections."""

from collections.abc import Mapping
from typing import Any

from actors.cluster import Cluster
from actors.reader import Reader
from actors.reflecting import usage_of
from actors.refreshing import sources_of
from memory.errors import NotFound
from memory.filters import Filter, every
from memory.ids import Scope
from memory.records import RecordKind
from memory.reflect_commands import DeleteReflection, StoreReflection
from memory.reflecting.port import MENTAL_MODEL, Answered, Piece, Question
from memory.reflections import (
    REFLECTIONS,
    StoredReflection,
    check_asked,
    decode_reflection,
    fingerprint_of,
    reflection_id,
)
from memory.store_calls import GetRecords, GetUnits, ListUnits, Store

_SHOWN = ("type", "context", "occurred_start", "occurred_end", "mentioned_at", "document_id", "speaker")
"""Of a unit's payload, in the evidence that is kept."""


class ReflectionClient:
    """Part of the door to the actors: BankClient.reflections. Raises what BankClient's methods raise."""

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._cluster = cluster
        self._reader = reader
        self._store: Store = cluster.store

    async def find(
        self, scope: Scope, operation_id: str, question: Question, tags: tuple[str, ...]
    ) -> StoredReflection | None:
        """What is stored already under an operation id: it needs no second answer.

        Raises:
            Conflict: it answers another question.
        """
        id_ = reflection_id(scope, operation_id)
        found = await self._store.perform(scope, GetRecords(RecordKind.REFLECTION, (id_,)))
        if id_ not in found:
            return None
        stored = decode_reflection(found[id_])
        check_asked(stored, fingerprint_of(question, tags))
        return stored

    async def store(
        self, scope: Scope, operation_id: str, question: Question, tags: tuple[str, ...], answered: Answered
    ) -> StoredReflection:
        """Keep an answer; a bank that does not exist is made.

        Raises:
            Conflict: the operation id is that of another one, or what the answer rests on is gone.
        """
        command = StoreReflection(
            operation_id=operation_id,
            query=question.query,
            text=answered.text,
            asked=fingerprint_of(question, tags),
            sources=sources_of(answered.seen),
            tags=tags,
            answer=kept_of(answered),
        )
        stored: StoredReflection = await self._cluster.command(scope, command)
        return stored

    async def list(
        self, scope: Scope, where: Filter, *, limit: int, offset: int
    ) -> tuple[tuple[StoredReflection, ...], int]:
        """A page of a bank's reflections whose tags match, newest first, and how many there are."""
        page = await self._reader.list_units(scope, ListUnits(limit, offset, every(REFLECTIONS, where)))
        ids = tuple(unit.id for unit in page.units)
        found = await self._store.perform(scope, GetRecords(RecordKind.REFLECTION, ids)) if ids else {}
        return tuple(decode_reflection(found[id_]) for id_ in ids if id_ in found), page.total

    async def get(self, scope: Scope, reflection_id: str) -> StoredReflection:
        """One stored reflection.

        Raises:
            NotFound: there is none of that id that is not past its time.
        """
        found = await self._store.perform(scope, GetRecords(RecordKind.REFLECTION, (reflection_id,)))
        units = await self._store.perform(scope, GetUnits((reflection_id,)))
        if reflection_id not in found or not await self._reader.shown(scope, units):
            raise NotFound(f"bank {scope.bank!r} has no reflection {reflection_id!r}")
        return decode_reflection(found[reflection_id])

    async def delete(self, scope: Scope, operation_id: str, reflection_id: str) -> None:
        """Remove a stored reflection.

        Raises:
            NotFound: there is none of that id.
        """
        await self._cluster.command(scope, DeleteReflection(operation_id, reflection_id))


def kept_of(answered: Answered) -> dict[str, Any]:
    """What is kept of an answer beside its text, as the wire has it."""
    models = [piece for piece in answered.based_on if piece.kind == MENTAL_MODEL]
    return {
        "based_on": {
            "memories": [_memory(piece) for piece in answered.based_on if piece.kind != MENTAL_MODEL],
            "mental_models": [
                {"id": piece.id, "text": piece.text, "context": piece.payload.get("name")} for piece in models
            ],
            "directives": [{"id": rule.id, "name": rule.name, "content": rule.content} for rule in answered.directives],
        },
        "structured_output": dict(answered.structured) if answered.structured is not None else None,
        "structured_output_error": answered.structured_error,
        "usage": usage_of(answered),
        "mode": answered.mode,
        "reason": answered.reason or None,
    }


def _memory(piece: Piece) -> dict[str, Any]:
    payload: Mapping[str, Any] = piece.payload
    shown = {name: payload[name] for name in _SHOWN if payload.get(name) is not None}
    return {"id": piece.id, "text": piece.text, "tags": list(payload.get("tags", ())), **shown}
