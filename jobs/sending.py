"""Sends batches to their banks: several at once, at a bounded rate, patiently, and each only once."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

from jobs.batching import Batch
from jobs.pace import Pace
from jobs.parts import Gathered, Reject
from jobs.patience import patiently
from jobs.progress_file import Done, ProgressFile
from memory.commands import Retain, RetainReceipt
from memory.errors import InvalidRequest
from memory.ids import Scope
from memory.records import Document

SHOWN = 3
"""Rejects that are shown; the file has all."""
Same = Callable[[Gathered, Document], bool]
"""Whether a stored document is what would be sent."""


class Banks(Protocol):
    """What of `BankClient` is used here."""

    async def retain(self, scope: Scope, command: Retain) -> RetainReceipt:
        """Store items."""

    async def get_documents(self, scope: Scope, ids: tuple[str, ...]) -> dict[str, Document]:
        """Documents by id."""


@dataclass(slots=True)
class Tally:
    """What became of everything so far. `turns` counts texts that are no turn as one each."""

    documents: int = 0
    """Retained by this run."""
    turns: int = 0
    documents_there: int = 0
    """Those that their banks had already, as they are."""
    documents_before: int = 0
    """Retained by an earlier run of the same job."""
    turns_before: int = 0
    chunks_added: int = 0
    tokens: int = 0
    calls: int = 0
    rejects: int = 0
    banks: set[str] = field(default_factory=set)

    @property
    def documents_done(self) -> int:
        """By this run or an earlier one."""
        return self.documents + self.documents_there + self.documents_before

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "banks": len(self.banks),
            "documents": {
                "retained": self.documents,
                "there_already": self.documents_there,
                "retained_before": self.documents_before,
            },
            "turns": {"retained": self.turns, "retained_before": self.turns_before},
            "chunks_added": self.chunks_added,
            "tokens_embedded": self.tokens,
            "calls": self.calls,
            "rejects": self.rejects,
        }


class RejectsFile:
    """NDJSON of rows that are not stored, each with file, row and reason; made when there is the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.first: list[str] = []
        """The first few, as lines to be shown."""
        self._file: IO[bytes] | None = None
        path.unlink(missing_ok=True)

    def add(self, reject: Reject) -> None:
        """Write one row."""
        if self._file is None:
            self._file = self.path.open("wb")
        row = {"file": reject.origin.file, "row": reject.origin.row, "reason": reject.reason}
        if reject.document_id is not None:
            row["document_id"] = reject.document_id
        self._file.write(orjson.dumps(row) + b"\n")
        if self.rows < SHOWN:
            self.first.append(f"{reject.origin.file}, row {reject.origin.row}: {reject.reason}")
        self.rows += 1

    def close(self) -> None:
        """Everything is in the file."""
        if self._file is not None:
            self._file.close()


class Sender:
    """Sends what an iterator gives; `advance` is told of turns that are done."""

    def __init__(
        self,
        banks: Banks,
        progress: ProgressFile,
        rejects: RejectsFile,
        *,
        concurrency: int = 4,
        items_per_s: float | None = None,
        patience_s: float = 300.0,
        same: Same | None = None,
        advance: Callable[[Tally, int], None] = lambda _tally, _turns: None,
    ) -> None:
        self._banks = banks
        self._progress = progress
        self._rejects = rejects
        self._gate = asyncio.Semaphore(concurrency)
        self._pace = Pace(items_per_s)
        self._patience_s = patience_s
        self._same = same
        self._advance = advance
        self._writing = asyncio.Lock()
        self.tally = Tally()

    async def send(self, batches: Generator[Batch | Reject, None, None]) -> Tally:
        """Send everything; reading goes on in a thread while calls are under way.

        Raises:
            RetryLater: a bank took nothing for `patience_s`; what is done is in the progress file.
            OperatorAction: as the banks say.
        """
        loop = asyncio.get_running_loop()
        with closing(batches), ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
            async with asyncio.TaskGroup() as tasks:
                while (read := await loop.run_in_executor(reader, next, batches, None)) is not None:
                    if isinstance(read, Reject):
                        self._reject(read)
                        continue
                    await self._gate.acquire()
                    tasks.create_task(self._one(read))
        return self.tally

    async def _one(self, batch: Batch) -> None:
        try:
            self.tally.banks.add(batch.scope.bank)
            before = self._progress.find(batch.operation_id)
            if before is not None and await self._still_there(batch, before):
                self.tally.documents_before += before.documents + before.there
                self.tally.turns_before += before.turns
                self._tell(before, batch)
                return
            await self._pace.wait(batch.turns)
            done = await self._retain(batch)
            async with self._writing:
                await asyncio.to_thread(self._progress.add, done)
            self.tally.documents += done.documents
            self.tally.documents_there += done.there
            self.tally.turns += done.turns
            self.tally.chunks_added += done.added
            self.tally.tokens += done.tokens
            self._tell(done, batch)
        finally:
            self._gate.release()

    async def _still_there(self, batch: Batch, done: Done) -> bool:
        """Whether the bank has the documents: it may have been deleted since, or be another store's."""
        refused = {reject.document_id for reject in done.rejects}
        ids = tuple(document.document_id for document in batch.documents if document.document_id not in refused)
        return len(await self._banks.get_documents(batch.scope, ids)) == len(ids) if ids else True

    async def _retain(self, batch: Batch) -> Done:
        """One call; where the bank refuses it, one for each document, so that only what is refused is not stored."""
        left = await self._left(batch)
        if not left.documents:
            return Done(batch.operation_id, 0, 0, there=len(batch.documents))
        try:
            return _done(batch, left, await self._patiently(left.scope, left.command))
        except InvalidRequest as exc:
            if len(batch.documents) == 1:
                return _refused(batch, str(exc))
        each = [await self._retain(Batch(batch.scope, (document,))) for document in batch.documents]
        return Done(
            operation_id=batch.operation_id,
            documents=sum(done.documents for done in each),
            turns=sum(done.turns for done in each),
            added=sum(done.added for done in each),
            tokens=sum(done.tokens for done in each),
            there=sum(done.there for done in each),
            rejects=tuple(reject for done in each for reject in done.rejects),
        )

    async def _left(self, batch: Batch) -> Batch:
        """The batch without what the bank has already, where that can be told."""
        if self._same is None:
            return batch
        ids = tuple(document.document_id for document in batch.documents)
        stored = await self._banks.get_documents(batch.scope, ids)
        left = tuple(
            document
            for document in batch.documents
            if document.document_id not in stored or not self._same(document, stored[document.document_id])
        )
        return Batch(batch.scope, left)

    async def _patiently(self, scope: Scope, command: Retain) -> RetainReceipt:
        async def ask() -> RetainReceipt:
            self.tally.calls += 1
            return await self._banks.retain(scope, command)

        return await patiently(self._patience_s, ask)

    def _tell(self, done: Done, batch: Batch) -> None:
        for reject in done.rejects:
            self._reject(reject)
        self._advance(self.tally, batch.turns)

    def _reject(self, reject: Reject) -> None:
        self._rejects.add(reject)
        self.tally.rejects += 1


def _done(batch: Batch, sent: Batch, receipt: RetainReceipt) -> Done:
    added = 0 if receipt.replayed else sum(document.added for document in receipt.documents)
    tokens = 0 if receipt.replayed else receipt.tokens
    there = len(batch.documents) - len(sent.documents)
    return Done(batch.operation_id, len(sent.documents), sent.turns, added, tokens, there)


def _refused(batch: Batch, reason: str) -> Done:
    (document,) = batch.documents
    rejects = tuple(Reject(origin, reason, document.document_id) for origin in document.origins)
    return Done(batch.operation_id, 0, 0, rejects=rejects)
