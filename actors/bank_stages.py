"""Stage work of one bank in its owner: what is done in a turn, and the runner that calls the stages outside of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from actors.bank_ports import BankPorts, StageJob
from actors.turns import Turn
from actors.woken_task import WokenTask
from memory.commands import CancelOperation, DeleteOperation, FollowOperation, ListEntities, OperationReceipt
from memory.document_reading import ReadDocument
from memory.errors import Conflict
from memory.facts import is_expired
from memory.ids import Scope
from memory.ingest import unit_dense_text, unit_vectors
from memory.known_facts import EntityPage
from memory.operations import check_followed
from memory.policy import sooner
from memory.records import Record, RecordKind, Unit
from memory.sketches import sketch_of
from memory.stage_commands import BeginStage, EndStage, StageCommand, StageEnd
from memory.stage_plans import (
    Standing,
    plan_begin,
    plan_cancel,
    plan_delete_operation,
    plan_end,
    plan_retry,
)
from memory.stages import StageWork, decode_work, pending_line
from memory.store_calls import FindLive, GetRecords, GetUnits, ListRecords, NewUnit, RecordPage
from memory.sweeping import HISTORY_COMMITS

AT_ONCE = 32
"""Documents of one bank that a stage is run for at the same time, and whose results are one plan."""
CHUNKS_AT_ONCE = 2000
"""Chunks of these documents, about; one document is taken whole."""
LOOKED_AT = 256
"""Documents of one stage looked at for one that is ready: those before it wait for another attempt."""
CUT_OFF_ATTEMPTS = 10
"""Attempts beside those of the policy that may have begun and never ended, before a document is given up."""
CUT_OFF = "its attempts began and never ended"
STAGE_TIMEOUT_S = 600.0
"""Time in which a stage answers for one document; after it the attempt has failed."""

_FOLLOWED = {"cancel": "cancelled", "retry": "pending", "delete": "deleted"}
"""What an operation is after what was asked of it."""


class BankStages:
    """Performs, in their turn, commands of the runner and of callers who follow an operation."""

    __slots__ = ("_ports", "_scope")

    def __init__(self, scope: Scope, ports: BankPorts) -> None:
        self._scope = scope
        self._ports = ports

    async def embed(self, command: EndStage) -> tuple[NewUnit, ...]:
        """The units of results that do not stand yet, with their vectors, made outside the turn."""
        now = self._ports.clock.now()
        made = (unit for end in command.ends if end.result for unit in end.result.units or ())
        units = {unit.id: unit for unit in made if not is_expired(unit, now)}
        if not units:
            return ()
        stand: frozenset[str] = await self._ports.store.perform(self._scope, FindLive(tuple(units)))
        new = [unit for unit in units.values() if unit.id not in stand]
        embed = self._ports.embed_bulk or self._ports.embed
        vectors = await embed([unit_dense_text(unit) for unit in new])
        tokens = self._ports.tokenizer.count([unit.text for unit in new])
        return tuple(
            NewUnit(replace(unit, text_tokens=count, sketch=sketch_of(vector.dense)), unit_vectors(unit, vector))
            for unit, vector, count in zip(new, vectors, tokens, strict=True)
        )

    async def begin(self, command: BeginStage, turn: Turn) -> OperationReceipt:
        """Count attempts."""
        works = await self.works(tuple(document for document, _ in command.documents))
        plan = plan_begin(turn.view(), command, works, self._ports.clock.now())
        if plan is not None:
            await turn.execute(plan)
        return OperationReceipt(command.operation_id, "processing" if plan else "dropped")

    async def end(self, command: EndStage, turn: Turn, new: Sequence[NewUnit]) -> OperationReceipt:
        """Apply results whose sources still stand, or note why there are none."""
        results = [end.result for end in command.ends if end.result is not None]
        cited = (
            *(source for result in results for source in result.sources),
            *(s for n in new for s in n.unit.sources),
        )
        ids = tuple(dict.fromkeys(source.unit_id for source in cited))
        windows = tuple(dict.fromkeys(answer.key for result in results for answer in result.answers))
        perform = self._ports.store.perform
        live: dict[str, Unit] = await perform(self._scope, GetUnits(ids)) if ids else {}
        answered = await perform(self._scope, GetRecords(RecordKind.WINDOW, windows)) if windows else {}
        works = await self.works(tuple(end.document_id for end in command.ends))
        by_id = {one.unit.id: one for one in new}
        standing = Standing(works, live, by_id, answered.keys(), await turn.known())
        plan = plan_end(turn.view(), command, standing, self._ports.clock.now())
        if plan is not None:
            await turn.execute(plan)
        return OperationReceipt(command.operation_id, "applied" if plan else "dropped")

    async def follow(self, command: FollowOperation, turn: Turn) -> OperationReceipt:
        """Cancel, retry or delete an operation.

        Raises:
            NotFound: there is none of that id.
            Conflict: its state forbids it.
        """
        target = command.target
        if await self.was_done(command.operation_id):
            return OperationReceipt(target, _FOLLOWED[command.verb])
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.OPERATION, (target,)))
        now = self._ports.clock.now()
        operation = check_followed(found.get(target), target, command.verb)
        if isinstance(command, DeleteOperation):
            await turn.execute(plan_delete_operation(turn.view(), command.operation_id, target, now))
            return OperationReceipt(target, _FOLLOWED[command.verb])
        work = await self._work_of(operation)
        plan = plan_cancel if isinstance(command, CancelOperation) else plan_retry
        await turn.execute(plan(turn.view(), command.operation_id, work, now))
        return OperationReceipt(target, _FOLLOWED[command.verb])

    async def next_due(self, now: datetime) -> datetime | None:
        """When the next attempt may begin; now where one may, or is under way."""
        due: datetime | None = None
        for stage in self._ports.policy.stages:
            for work in await list_pending(self._scope, self._ports, stage):
                due = sooner(due, max(work.not_before or now, now))
        return due

    async def works(self, ids: tuple[str, ...]) -> dict[str, StageWork]:
        """Stage work of documents, where there is any."""
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.STAGES, ids))
        return {key: decode_work(record) for key, record in found.items()}

    async def was_done(self, operation_id: str) -> bool:
        """Whether one of the latest commits is of a command that leaves no operation of its own, sent again."""
        page: RecordPage = await self._ports.store.perform(self._scope, ListRecords(RecordKind.COMMIT, HISTORY_COMMITS))
        return any(record.body.get("operation_id") == operation_id for record in page.records)

    async def _work_of(self, operation: Record) -> StageWork:
        document_id = str(operation.body.get("document_id"))
        work = (await self.works((document_id,))).get(document_id)
        if work is None or work.operation_id != operation.key:
            raise Conflict(f"operation {operation.key!r} is past: its document was replaced or deleted")
        return work


class StageRunner:
    """Runs the stages of one bank, oldest documents first; every state it goes through is in the store.

    It ends when nothing is ready or the bank cannot be written to; whoever looks at the due bank next wakes it again.
    """

    __slots__ = ("_perform", "_ports", "_profile", "_scope", "_task", "backlog")

    def __init__(
        self,
        scope: Scope,
        ports: BankPorts,
        perform: Callable[[StageCommand | ListEntities], Awaitable[object]],
        profile: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._scope = scope
        self._ports = ports
        self._perform = perform
        self._profile = profile
        self._task = WokenTask(scope.bank, "stages")
        self.backlog: dict[str, tuple[int, datetime]] = {}
        """By stage: documents that waited when it was looked at last, and since when the first of them."""

    @property
    def running(self) -> bool:
        """Whether stages are being run."""
        return self._task.running

    def wake(self) -> None:
        """See that what is ready is run."""
        if self._ports.stages:
            self._task.wake(self._run_ready)

    async def rest(self) -> None:
        """Wait until nothing is being run."""
        await self._task.rest()

    async def _run_ready(self) -> None:
        for stage in self._ports.policy.stages:
            while ready := await self._ready(stage):
                await self._run_stage(stage, ready)

    async def _ready(self, stage: str) -> list[StageWork]:
        now = self._ports.clock.now()
        works = await list_pending(self._scope, self._ports, stage)
        self.backlog[stage] = (len(works), min((work.created_at for work in works), default=now))
        return [work for work in works if work.not_before is None or work.not_before <= now][:AT_ONCE]

    async def _run_stage(self, stage: str, works: Sequence[StageWork]) -> None:
        await self._ports.stand_back()
        most = self._ports.policy.stage_attempts + CUT_OFF_ATTEMPTS
        if spent := [work for work in works if work.attempts >= most]:
            ends = tuple(StageEnd(work.document_id, work.seq, None, CUT_OFF, final=True) for work in spent)
            await self._perform(EndStage(self._ports.nonce(), stage, ends))
            return
        known_entities = await self._known_entities()
        jobs: list[StageJob] = []
        chunks = 0
        for work in works:
            job = await self._job(work, known_entities)
            if job is not None:
                jobs.append(job)
                chunks += len(job.document.chunks)
            if chunks >= CHUNKS_AT_ONCE:
                break
        if not jobs:
            return
        documents = tuple((job.document.document.id, job.seq) for job in jobs)
        await self._perform(BeginStage(self._ports.nonce(), stage, documents))
        await self._perform(EndStage(self._ports.nonce(), stage, tuple(await self._run_jobs(stage, jobs))))

    async def _known_entities(self) -> tuple[tuple[str, str], ...]:
        if not self._ports.known_entities:
            return ()
        page = cast("EntityPage", await self._perform(ListEntities(self._ports.known_entities)))
        return page.names_and_types()

    async def _job(self, work: StageWork, known_entities: tuple[tuple[str, str], ...]) -> StageJob | None:
        document = await self._ports.store.perform(self._scope, ReadDocument(work.document_id))
        if document is None:
            return None  # deleted meanwhile, and its work with it
        return StageJob(document, work.seq, work.operation_id, self._profile(), known_entities)

    async def _run_jobs(self, stage: str, jobs: Sequence[StageJob]) -> Sequence[StageEnd]:
        try:
            async with asyncio.timeout(STAGE_TIMEOUT_S):
                return await self._ports.stages[stage](self._scope, jobs)
        except Exception as exc:  # noqa: BLE001 - whatever a document does to a stage must end with that document
            if len(jobs) > 1:
                return [end for job in jobs for end in await self._run_jobs(stage, [job])]
            reason = f"{type(exc).__name__}: {exc}"
            return [StageEnd(job.document.document.id, job.seq, None, reason) for job in jobs]


async def list_pending(scope: Scope, ports: BankPorts, stage: str) -> list[StageWork]:
    """Documents that a stage is to be run for, lowest seq first."""
    page: RecordPage = await ports.store.perform(
        scope, ListRecords(RecordKind.STAGES, LOOKED_AT, status=pending_line(stage))
    )
    return [decode_work(record) for record in page.records]
