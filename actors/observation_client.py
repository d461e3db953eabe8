"""What callers ask of observations: that they be made, removed, shown with what they rest on."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from actors.cluster import Cluster
from actors.reader import Reader
from actors.settings import Settings, inherited_by
from memory.bank_profile import PAUSED, resolve_settings
from memory.cascade import DERIVED, PENDING
from memory.consolidating.commands import ClearObservations, Consolidate, ConsolidationReceipt
from memory.consolidating.plans import CONSOLIDATED, CURSOR, FAILED, OBSERVATIONS, UNCONSOLIDATED, read_cursor
from memory.consolidating.scopes import Tags
from memory.consolidating.targets import Cursor
from memory.encoding import instant_from_text
from memory.errors import Conflict, NotFound
from memory.filters import AnyOf, Between, every
from memory.ids import Scope
from memory.records import Head, Record, RecordKind, Unit, UnitKind
from memory.store_calls import GetRecords, GetUnits, ListRecords, ListUnits, ReadHead, Store, UnitPage

SCAN_PAGE = 1000
FACT = AnyOf("kind", (UnitKind.FACT.value,))


@dataclass(frozen=True, slots=True)
class ConsolidationState:
    """How far a bank is consolidated: facts that wait, batches that were given up on, when the last one was."""

    pending: int = 0
    failed: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a bank has to consolidate: about how many facts, since when it was last done, and whether that is paused."""

    facts: int
    last_at: datetime | None = None
    paused: bool = False


class ObservationClient:
    """Part of the door to the actors: BankClient.observing. Raises what BankClient's methods raise."""

    def __init__(self, cluster: Cluster, reader: Reader, settings: Settings) -> None:
        self._cluster = cluster
        self._reader = reader
        self._store: Store = cluster.store
        self._settings = settings

    async def consolidate(self, scope: Scope, command: Consolidate) -> ConsolidationReceipt:
        """Have a bank consolidated; the operation that tells of its end, of who asked first.

        Raises:
            NotFound: there is no such bank.
            Conflict: the deployment makes no observations.
        """
        await self._need(scope)
        if self._settings.consolidation == "off":
            raise Conflict("this deployment makes no observations: LOREBANK_CONSOLIDATION is off")
        receipt: ConsolidationReceipt = await self._cluster.command(scope, command)
        return receipt

    async def clear(self, scope: Scope, command: ClearObservations) -> ConsolidationReceipt:
        """Remove observations: all, or those that rest on one fact.

        Raises:
            NotFound: there is no such memory.
        """
        if await self._head(scope) is None:
            return ConsolidationReceipt(command.operation_id, "completed")
        receipt: ConsolidationReceipt = await self._cluster.command(scope, command)
        return receipt

    async def find_state(self, scope: Scope, head: Head) -> ConsolidationState:
        """How far a bank is, by its head."""
        if not head.counters.keys() & {CONSOLIDATED, UNCONSOLIDATED, OBSERVATIONS}:
            return ConsolidationState()
        failed = await self._store.perform(scope, ListRecords(RecordKind.REDERIVE, 1, status=FAILED))
        queued = await self._store.perform(scope, ListRecords(RecordKind.REDERIVE, 1, status=PENDING))
        record = await self._cursor_record(scope)
        facts = await self._count_behind(scope, head, read_cursor(record))
        return ConsolidationState(facts + queued.total, failed.total, _last_at(record))

    async def find_waiting(self, scope: Scope) -> Waiting | None:
        """What a bank has to consolidate, whether or not it does so by itself; None: nothing, or there is none.

        A bank that was never consolidated has all its facts to.
        """
        head = await self._head(scope)
        if head is None or not (UNCONSOLIDATED in head.counters or CONSOLIDATED not in head.counters):
            return None
        if not head.counters.get(DERIVED) and UNCONSOLIDATED not in head.counters:
            return None
        paused = bool(resolve_settings(head.profile, inherited_by(self._settings, scope.tenant))[PAUSED])
        record = await self._cursor_record(scope)
        facts = await self._count_behind(scope, head, read_cursor(record))
        if not facts and UNCONSOLIDATED not in head.counters:
            return None
        return Waiting(facts, _last_at(record), paused)

    async def find_history(self, scope: Scope, unit_id: str) -> Record | None:
        """What an observation said before."""
        found = await self._store.perform(scope, GetRecords(RecordKind.OBSERVATION, (unit_id,)))
        return found.get(unit_id)

    async def get_facts(self, scope: Scope, ids: tuple[str, ...]) -> dict[str, Unit]:
        """Live facts by id, without those past their time."""
        return await self._reader.shown(scope, await self._store.perform(scope, GetUnits(ids))) if ids else {}

    async def count_scopes(self, scope: Scope) -> list[tuple[Tags, int]]:
        """The tags of observations, each set with how many have it, most first."""
        counted: Counter[Tags] = Counter()
        seen, total = 0, 1
        while seen < total:
            where = AnyOf("kind", (UnitKind.OBSERVATION.value,))
            page = await self._store.perform(scope, ListUnits(SCAN_PAGE, seen, where))
            if not page.units:
                break
            counted.update(tuple(sorted(unit.tags)) for unit in page.units)
            seen, total = seen + len(page.units), page.total
        return sorted(counted.items(), key=lambda item: (-item[1], item[0]))

    async def _cursor_record(self, scope: Scope) -> Record | None:
        found = await self._store.perform(scope, GetRecords(RecordKind.CONSOLIDATION, (CURSOR,)))
        return found.get(CURSOR)

    async def _count_behind(self, scope: Scope, head: Head, cursor: Cursor) -> int:
        """Facts behind the cursor. One plan may have added thousands of them, of which it has taken some."""
        since = head.counters.get(CONSOLIDATED, 0) + 1
        page: UnitPage = await self._store.perform(scope, ListUnits(1, where=every(FACT, Between("seq", gte=since))))
        if cursor.seq < since or not page.total:
            return page.total
        same, taken, seen, total = every(FACT, Between("seq", gte=since, lte=cursor.seq)), 0, 0, 1
        while seen < total:
            beside: UnitPage = await self._store.perform(scope, ListUnits(SCAN_PAGE, seen, same))
            if not beside.units:
                break
            taken += sum((unit.seq, unit.id) <= cursor.place for unit in beside.units)
            seen, total = seen + len(beside.units), beside.total
        return max(page.total - taken, 0)

    async def _head(self, scope: Scope) -> Head | None:
        head = await self._store.perform(scope, ReadHead())
        return head if head is not None and head.exists else None

    async def _need(self, scope: Scope) -> None:
        if await self._head(scope) is None:
            raise NotFound(f"no bank {scope.bank!r}")


def _last_at(record: Record | None) -> datetime | None:
    return instant_from_text(record.body["at"]) if record is not None else None
