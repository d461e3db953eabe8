"""Sends an exported bank's slices to its new owner, patiently and at a bounded rate; what is there is not sent."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jobs.bank_reading import ExportedBank, Family, Piece
from jobs.batching import Batch
from jobs.importing import import_profile
from jobs.pace import Pace
from jobs.parts import Reject
from jobs.patience import patiently
from jobs.progress_file import Done, ProgressFile
from jobs.sending import RejectsFile, Tally
from jobs.tables import BankExport
from memory.encoding import instant_from_text
from memory.errors import InvalidRequest
from memory.ids import Scope, digest, point_id
from memory.moving import Move
from memory.records import RecordKind
from memory.restore_commands import BeginRestore, RestoreReceipt, RestoreSlice
from memory.store_calls import FindLive, GetRecords

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from actors.client import BankClient

T = TypeVar("T")
LOOKED_UP = 256


@dataclass(slots=True)
class Restored:
    """What came beside documents and chunks."""

    derived: int = 0
    dropped: int = 0
    records: int = 0
    replaced: int = 0


@dataclass(frozen=True, slots=True)
class Sending:
    """What a run works with."""

    client: "BankClient"
    progress: ProgressFile
    rejects: RejectsFile
    tally: Tally
    pace: Pace
    concurrency: int
    patience_s: float
    advance: Callable[[Tally, int], None]
    restored: Restored = field(default_factory=Restored)


class BankRestorer:
    """Restores one bank."""

    def __init__(self, sending: Sending, directory: Path, exported: BankExport, source: Scope, target: Scope) -> None:
        self._with = sending
        self._bank = ExportedBank(directory, exported)
        self._exported = exported
        self._source, self._target = source, target
        self._writing = asyncio.Lock()

    async def restore(self) -> None:
        """From the bank's settings to the last record.

        Raises:
            RetryLater: the bank took nothing for too long.
            StoreDamaged: tables of the export do not fit together.
        """
        sending = self._with
        sending.tally.banks.add(self._target.bank)
        await import_profile(sending.client, self._target, self._exported.profile)
        ids = await asyncio.to_thread(self._bank.new_ids, self._source, self._target)
        move = Move(await self._base(), ids)
        for pieces in self._bank.phases(self._target.bank):
            await self._phase(pieces, move)

    async def _base(self) -> int:
        exported, target = self._exported, self._target
        files = [file.sha256 for table in sorted(exported.tables) for file in exported.tables[table]]
        origin = digest(self._source.key, *files).hex()
        operation_id = point_id(target, "restore", origin)
        found = await self._with.client.find_operation(target, operation_id)
        if found is not None:
            return int(found.body["base"])
        created, lost = exported.created_at, exported.incomplete_before
        begin = BeginRestore(
            operation_id,
            origin,
            exported.highest_seq or exported.seq,
            instant_from_text(created) if created else None,
            instant_from_text(lost) if lost else None,
        )
        receipt = await self._patiently(lambda: self._with.client.moving.restore(target, begin))
        return receipt.base

    async def _phase(self, pieces: Iterator[Piece], move: Move) -> None:
        gate = asyncio.Semaphore(self._with.concurrency)

        async def one(piece: Piece) -> None:
            try:
                await self._piece(piece, move)
            finally:
                gate.release()

        async with asyncio.TaskGroup() as tasks:
            while True:
                await gate.acquire()
                piece = await asyncio.to_thread(next, pieces, None)
                if piece is None:
                    return
                tasks.create_task(one(piece))

    async def _piece(self, piece: Piece, move: Move) -> None:
        """What of a piece the bank does not have; what it has by an earlier run is counted as such."""
        whole = piece.moved(self._target, move)
        left, different = await self._left(whole)
        there = len(whole.documents) - len(left.documents) - len(different)
        before = self._with.progress.find(whole.operation_id)
        tally = self._with.tally
        if before is not None:
            tally.documents_before += there
            tally.turns_before += piece.turns if there == len(whole.documents) else 0
        else:
            tally.documents_there += there
        families = {family.id: family for family in piece.families}
        done = Done(whole.operation_id, 0, 0, there=there)
        if left.documents or left.units or left.records:
            turns = sum(families[document.id].given.turns for document in left.documents)
            await self._with.pace.wait(turns)
            receipt = await self._patiently(lambda: self._restore(left))
            different = (*different, *receipt.different)
            done = self._count(done, receipt, turns)
        for document_id in different:
            await self._replace(families[document_id])
        if before is None:
            async with self._writing:
                await asyncio.to_thread(self._with.progress.add, done)
        self._with.advance(tally, piece.turns)

    async def _restore(self, left: RestoreSlice) -> RestoreReceipt:
        self._with.tally.calls += 1
        return await self._with.client.moving.restore(self._target, left)

    def _count(self, done: Done, receipt: RestoreReceipt, turns: int) -> Done:
        tally, restored = self._with.tally, self._with.restored
        tally.documents += receipt.documents
        tally.documents_there += receipt.there
        tally.turns += turns
        tally.chunks_added += receipt.chunks
        tally.tokens += receipt.tokens
        restored.derived += receipt.derived
        restored.dropped += receipt.dropped
        restored.records += receipt.records
        return Done(done.operation_id, receipt.documents, turns, receipt.chunks, receipt.tokens, done.there)

    async def _left(self, piece: RestoreSlice) -> tuple[RestoreSlice, tuple[str, ...]]:
        """What the bank does not have, and documents that it has with another content."""
        client, target = self._with.client, self._target
        stored = await client.get_documents(target, tuple(document.id for document in piece.documents))
        documents = tuple(document for document in piece.documents if document.id not in stored)
        different = tuple(
            document.id
            for document in piece.documents
            if document.id in stored
            and stored[document.id].content_hash != document.records[0].body["content_hash"]
            and not stored[document.id].open
        )
        live: frozenset[str] = frozenset()
        for start in range(0, len(piece.units), LOOKED_UP):
            ids = tuple(unit.id for unit in piece.units[start : start + LOOKED_UP])
            live |= await client.inspect(target, FindLive(ids))
        known: set[tuple[RecordKind, str]] = set()
        for kind in {record.kind for record in piece.records}:
            keys = tuple(record.key for record in piece.records if record.kind is kind)
            known |= {(kind, key) for key in await client.inspect(target, GetRecords(kind, keys))}
        units = tuple(unit for unit in piece.units if unit.id not in live)
        records = tuple(record for record in piece.records if (record.kind, record.key) not in known)
        return RestoreSlice(piece.operation_id, documents, units, records), different

    async def _replace(self, family: Family) -> None:
        """A document that the bank has with another content becomes the one that was exported, by a retain."""
        batch, tally = Batch(self._target, (family.given,)), self._with.tally
        try:
            receipt = await self._patiently(lambda: self._with.client.retain(self._target, batch.command))
        except InvalidRequest as exc:
            reject = Reject(family.given.origins[0], str(exc), family.id)
            self._with.rejects.add(reject)
            tally.rejects += 1
            return
        tally.calls += 1
        tally.documents += 1
        tally.turns += family.given.turns
        tally.chunks_added += 0 if receipt.replayed else sum(document.added for document in receipt.documents)
        self._with.restored.replaced += 1

    async def _patiently(self, ask: "Callable[[], Awaitable[T]]") -> T:
        return await patiently(self._with.patience_s, ask)
