"""A bank's observations in its owner: what is done in a turn."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import nsmallest

from actors.bank_ports import BankPorts
from actors.bank_stages import BankStages
from actors.consolidation_runner import ConsolidationRunner
from actors.turns import Turn
from memory.bank_profile import observes, resolve_settings, scoping_of
from memory.cascade import PENDING
from memory.consolidating.commands import (
    Batch,
    ClearObservations,
    Consolidate,
    ConsolidationCommand,
    ConsolidationReceipt,
    EndBatch,
    TakeBatch,
)
from memory.consolidating.grouping import groups_of, stands
from memory.consolidating.plans import (
    CURSOR,
    FAILED,
    UNCONSOLIDATED,
    Done,
    noting,
    plan_ask,
    plan_clear,
    plan_consolidate,
    read_cursor,
)
from memory.consolidating.queue import Queue, first
from memory.consolidating.reading import facts_after, neighbours_of, observations_on
from memory.consolidating.targets import Cursor, covers
from memory.errors import NotFound
from memory.filters import AnyOf
from memory.ids import Scope
from memory.knowledge import Knowledge
from memory.known_facts import KnownFacts
from memory.plans import Plan
from memory.records import Head, Record, RecordKind, Unit, UnitKind
from memory.store_calls import GetRecords, GetUnits, ListRecords, ListUnits, RecordPage, UnitPage

QUEUE_PAGE = 1000
"""Records of the queue read by one call: it is read whole, before and after each batch."""
RECOVERED_AT_ONCE = 64
"""Batches that were given up on, tried again with one request."""
CLEARED_AT_ONCE = 256
"""Observations removed in one plan."""
_BEHIND_ALL = (2**62, "")
"""A place behind all facts."""


class BankObservations:
    """Performs commands whose turn has come."""

    __slots__ = ("_ports", "_runner", "_scope", "_stages")

    def __init__(self, scope: Scope, ports: BankPorts, stages: BankStages, runner: ConsolidationRunner) -> None:
        self._scope = scope
        self._ports = ports
        self._stages = stages
        self._runner = runner

    async def perform(self, command: ConsolidationCommand, turn: Turn) -> Batch | ConsolidationReceipt:
        """Do one command in its turn.

        Raises:
            NotFound: there is no such memory.
        """
        if isinstance(command, TakeBatch):
            return await self._take(command, turn)
        if isinstance(command, EndBatch):
            return await self._end(command, turn)
        if isinstance(command, Consolidate):
            return await self._ask(command, turn)
        return await self._clear(command, turn)

    def noted(self, plan: Plan, before: Head, known: KnownFacts | None) -> Plan:
        """With what it leaves to be consolidated."""
        now, quiet_s = self._ports.clock.now(), self._ports.policy.consolidate_quiet_s
        held: frozenset[str] | KnownFacts = known if known is not None else frozenset()
        return noting(plan, before, held, quiet_s, now, on=self._is_on(plan.head_after))

    async def do_due(self, turn: Turn, now: datetime) -> datetime | None:
        """Have what is left consolidated, if the bank does so by itself or somebody asked; when to look again."""
        head = turn.view().head
        if self._ports.consolidation is None or not head.counters.get(UNCONSOLIDATED):
            return None
        queue = await self._queue()
        if not self._is_on(head) and not queue.asked:
            return None
        if not (queue.targets and self._runner.running):  # woken again, it would go on with what is not asked for
            self._runner.wake()
        return now + timedelta(seconds=self._ports.policy.consolidate_lease_s)

    def is_pending(self, head: Head) -> bool:
        """Whether something is to be consolidated, and will be."""
        return bool(head.counters.get(UNCONSOLIDATED)) and self._is_on(head)

    def _is_on(self, head: Head) -> bool:
        inherited = self._ports.inherited(self._scope.tenant)
        return self._ports.consolidation is not None and observes(head.profile, inherited)

    async def _take(self, command: TakeBatch, turn: Turn) -> Batch:
        head, perform = turn.view().head, self._ports.store.perform
        cursor, queue = await self._cursor(), await self._queue()
        asked, targets = queue.asked, queue.targets
        nothing = Batch(cursor, cursor)
        if not head.exists or not (asked or (head.counters.get(UNCONSOLIDATED) and self._is_on(head))):
            return nothing
        known = await turn.known()
        waiting = queue.named(known.knowledge, targets)
        queued = first(waiting, command.facts)
        settings = resolve_settings(head.profile, self._ports.inherited(self._scope.tenant))
        named = {source for _, sources in queued for source in sources}
        room = max(command.facts - len(named), 0)
        new = nsmallest(room + 1, facts_after(known.knowledge, cursor, targets))
        taken = new[:room]
        after = replace(cursor, tries=0)
        if taken:
            seq, unit_id = taken[-1]
            after = cursor.moved(targets, seq, unit_id) if targets else replace(after, seq=seq, unit_id=unit_id)
        facts = tuple(dict.fromkeys((*(id_ for _, id_ in taken), *sorted(named))))
        live = tuple(id_ for id_ in facts if id_ in known.knowledge.facts)
        batch = replace(
            nothing,
            after=after,
            facts=live,
            queued=tuple((record.key, record.seq) for record, _ in queued),
            asked=tuple(one.operation_id for one in asked),
            targets=targets,
            last=len(new) <= room and len(queued) == len(waiting),
            pending=True,
            settings=settings,
        )
        if command.grouped:
            return await self._grouped(batch, known.knowledge, facts)
        existing = await perform(self._scope, observations_on(facts))
        return replace(batch, existing=existing, near=neighbours_of(known.knowledge, live, scoping_of(settings)))

    async def _grouped(self, batch: Batch, knowledge: Knowledge, facts: Sequence[str]) -> Batch:
        """With the groups of facts, of all that rests on them, and so on until nothing new comes up."""
        seeds, asked, existing = set(facts), set[str](), dict[str, Unit]()
        while True:
            groups = groups_of(knowledge, seeds, scoping_of(batch.settings))
            members = seeds.union(*(group.members for group in groups))
            if not (new := members - asked):
                ordered = tuple(existing[id_] for id_ in sorted(existing))
                return replace(batch, groups=tuple(groups), existing=ordered)
            asked |= new
            found = await self._ports.store.perform(self._scope, observations_on(sorted(new)))
            existing |= {unit.id: unit for unit in found}
            seeds |= {source.unit_id for unit in found for source in unit.sources}

    async def _end(self, command: EndBatch, turn: Turn) -> ConsolidationReceipt:
        """Apply edits whose facts are as they were, and whose observations nobody else has changed."""
        batch, edits, now = command.batch, command.edits, self._ports.clock.now()
        known = (await turn.known()).knowledge
        dropped = ConsolidationReceipt(command.operation_id, "dropped")
        if await self._cursor() != batch.before:
            return dropped
        touched = [*edits.retire, *(put.before for put in edits.puts if put.before is not None)]
        counted = {source.unit_id: (source.seq, source.content_hash) for source in edits.read}
        counted |= {unit.id: (unit.seq, unit.content_hash) for unit in touched}
        live = await self._units(tuple(counted))
        if {id_: (unit.seq, unit.content_hash) for id_, unit in live.items()} != counted:
            return dropped
        cited = {source.unit_id for put in edits.puts for source in put.unit.sources}
        if not all(stands(known, fact) for fact in cited):
            return dropped
        perform = self._ports.store.perform
        keys = tuple(put.unit.id for put in edits.puts)
        histories = await perform(self._scope, GetRecords(RecordKind.OBSERVATION, keys)) if keys else {}
        queue = await self._queue()
        done = self._done(queue, batch, known)
        asked = queue.ended(batch.targets, everything=done.bank) if done.bank or done.targets else {}
        on = self._is_on(turn.view().head)
        await turn.execute(plan_consolidate(turn.view(), command, command.new, histories, done, asked, now, on=on))
        count = len(edits.puts) + len(edits.retire)
        # Once what was asked for is done, what else there is waits for its time, unless somebody waits for it, too.
        ended = done.bank or (done.targets and len(asked) == len(queue.asked))
        return ConsolidationReceipt(command.operation_id, "completed" if ended else "applied", count)

    def _done(self, queue: Queue, batch: Batch, known: Knowledge) -> Done:
        """What ends with a batch."""
        done = queue.taken(batch.queued, frozenset(batch.facts), batch.targets)
        over = {*done.removed, *(record.key for record in done.kept)}
        targets = False
        if batch.targets:
            waiting = {record.key for record, _ in queue.named(known, batch.targets)} - over
            targets = not waiting and next(facts_after(known, batch.after, batch.targets), None) is None
        left = done.kept or {record.key for record, _ in queue.named(known, ())} - over
        after = batch.before.moved(batch.targets, *_BEHIND_ALL) if targets else batch.after
        return replace(done, targets=targets, bank=not left and next(facts_after(known, after), None) is None)

    async def _ask(self, command: Consolidate, turn: Turn) -> ConsolidationReceipt:
        """Who asks while another waits for the same, or for more, joins it."""
        waiting = [one for one in (await self._queue()).asked if covers(one.targets, command.targets)]
        if waiting and not command.recover:
            self._runner.wake()
            return ConsolidationReceipt(waiting[0].operation_id, "pending", joined=True)
        failed: tuple[Record, ...] = ()
        if command.recover:
            page = ListRecords(RecordKind.REDERIVE, RECOVERED_AT_ONCE, status=FAILED)
            failed = (await self._ports.store.perform(self._scope, page)).records
            if not failed:
                return ConsolidationReceipt(command.operation_id, "completed")
        await turn.execute(plan_ask(turn.view(), command, failed, self._ports.clock.now()))
        self._runner.wake()
        return ConsolidationReceipt(command.operation_id, "pending", len(failed))

    async def _clear(self, command: ClearObservations, turn: Turn) -> ConsolidationReceipt:
        perform, removed = self._ports.store.perform, 0
        where = AnyOf("kind", (UnitKind.OBSERVATION.value,))
        if command.unit_id is not None and command.unit_id not in await self._units((command.unit_id,)):
            raise NotFound(f"bank {self._scope.bank!r} has no memory {command.unit_id!r}")
        begun = command.unit_id is not None or not turn.view().head.exists
        while True:
            if command.unit_id is not None:
                gone = await perform(self._scope, observations_on((command.unit_id,)))
            else:
                page: UnitPage = await perform(self._scope, ListUnits(CLEARED_AT_ONCE, where=where))
                gone = page.units
            if not gone and begun:
                return ConsolidationReceipt(command.operation_id, "completed", removed)
            now, due = self._ports.clock.now(), self._is_on(turn.view().head)
            plan = plan_clear(turn.view(), command, gone, now, due=due, restart=command.unit_id is None)
            await turn.execute(plan)
            removed, begun = removed + len(gone), True

    async def _cursor(self) -> Cursor:
        found = await self._ports.store.perform(self._scope, GetRecords(RecordKind.CONSOLIDATION, (CURSOR,)))
        return read_cursor(found.get(CURSOR))

    async def _queue(self) -> Queue:
        """All that waits, whatever its number: who waits for some of it is not to wait for the rest."""
        records: list[Record] = []
        while True:
            listed = ListRecords(RecordKind.REDERIVE, QUEUE_PAGE, len(records), PENDING)
            page: RecordPage = await self._ports.store.perform(self._scope, listed)
            records.extend(page.records)
            if not page.records or len(records) >= page.total:
                return Queue(tuple(records))

    async def _units(self, ids: tuple[str, ...]) -> dict[str, Unit]:
        found: dict[str, Unit] = await self._ports.store.perform(self._scope, GetUnits(ids)) if ids else {}
        return found
