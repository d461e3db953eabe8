"""What callers ask of stored reflections."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from actors.cluster import Cluster
from actors.reader import Reader
from actors.reflecting import usage_of
from actors.refreshing import sources_of
from memory.errors import LorebankError, NotFound, Unavailable
from memory.filters import Filter, every
from memory.ids import Scope
from memory.records import RecordKind
from memory.reflect_commands import (
    ClaimReflection,
    DeleteReflection,
    ReflectionClaim,
    ReleaseReflection,
    StoreReflection,
)
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
POLL_S = 0.05
POLL_MOST_S = 1.0
POLL_GROWTH = 1.5

log = logging.getLogger("lorebank.reflection_client")


class ReflectionClient:
    """Part of the door to the actors: BankClient.reflections. Raises what BankClient's methods raise."""

    def __init__(self, cluster: Cluster, reader: Reader) -> None:
        self._cluster = cluster
        self._reader = reader
        self._store: Store = cluster.store
        self._releases: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def claimed(
        self, scope: Scope, operation_id: str, question: Question, tags: tuple[str, ...], lease_s: float
    ) -> AsyncIterator[StoredReflection | None]:
        """Be the only one who answers a question, which is to be stored in the block; or what another one stored.

        Who comes while another one answers waits for what comes of it, at most lease_s: so long an answer may take.

        Raises:
            Conflict: another question is stored, or is being answered, under the operation id.
            Unavailable: another one answers it still.
        """
        id_, holder = reflection_id(scope, operation_id), str(uuid4())
        claim = ClaimReflection(holder, id_, fingerprint_of(question, tags), lease_s)
        until_s, pause_s = time.monotonic() + lease_s, POLL_S
        while (found := await self.find(scope, operation_id, question, tags)) is None:
            made: ReflectionClaim = await self._cluster.command(scope, claim)
            if made.granted:
                break
            if time.monotonic() > until_s:
                raise Unavailable("the same question is being answered under this operation id", POLL_MOST_S)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * POLL_GROWTH, POLL_MOST_S)
        try:
            yield found
        except BaseException:
            if found is None:
                self._release(scope, ReleaseReflection(str(uuid4()), id_, holder))
            raise

    def _release(self, scope: Scope, command: ReleaseReflection) -> None:
        """Let the next one answer; not waited for, since whoever made the claim may be gone."""

        async def release() -> None:
            try:
                await self._cluster.command(scope, command)
            except LorebankError as exc:
                log.warning("a claim on reflection %s is left to lapse: %s", command.reflection_id, exc)

        task = asyncio.get_running_loop().create_task(release())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

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
