"""Lets go of what a bank's rules of retention are past, in its owner: a slice in one turn, whole documents or turns."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta

from actors.bank_ports import BankPorts
from actors.turns import Turn
from memory.bank_profile import resolve_settings
from memory.encoding import decode_document
from memory.filters import AnyOf, Between, Filter, every
from memory.ids import Scope
from memory.records import Record, RecordKind, Unit, UnitKind
from memory.restore_commands import RetentionReceipt, SweepPast
from memory.retention import ARCHIVED, RULES, Rule, past, read_rules
from memory.stage_plans import plan_expire
from memory.stages import Derived, StageWork, decode_work
from memory.store_calls import FindLive, GetRecords, ListUnits, UnitPage
from memory.trimming import Trimmed, plan_trim

AT_ONCE = 256
"""Units let go of in one turn."""
CHUNKS_OF_DOCUMENT = 1000
"""Chunks taken out of a document by one plan."""


class BankRetention:
    """Sweeps of one bank. What is past its time is hidden whether it is swept or not."""

    __slots__ = ("_looked", "_ports", "_scope")

    def __init__(self, scope: Scope, ports: BankPorts) -> None:
        self._scope = scope
        self._ports = ports
        self._looked: tuple[tuple[Rule, ...], datetime] | None = None
        """By which rules it was looked last, and when it is to be looked again: a bank is due for other things, too."""

    def rules(self, turn: Turn) -> tuple[Rule, ...]:
        """Those that hold for the bank: its own, else its tenant's, else the deployment's."""
        return read_rules(self._settings(turn)[RULES])

    async def do_due(self, turn: Turn, now: datetime) -> datetime | None:
        """Sweep a slice, unless a job is to archive it first; when to look again, None where there is no rule."""
        rules = self.rules(turn)
        if not rules:
            return None
        if self._looked is not None and self._looked[0] == rules and self._looked[1] > now:
            return self._looked[1]
        later = now + timedelta(seconds=self._ports.policy.retention_sweep_s)
        if not self._settings(turn)[ARCHIVED]:
            swept = await self.sweep(turn, f"expire-{self._ports.nonce()}", now)
            later = now if swept.more else later
        self._looked = (rules, later)
        return later

    async def perform(self, command: SweepPast, turn: Turn) -> RetentionReceipt:
        """Sweep a slice of what was past its time at an instant."""
        return await self.sweep(turn, command.operation_id, command.now, command.until_seq)

    async def sweep(
        self, turn: Turn, operation_id: str, when: datetime, until_seq: int | None = None
    ) -> RetentionReceipt:
        """Let go of at most AT_ONCE units; documents that a session still adds to are left until it ends."""
        rules = self.rules(turn)
        if not rules:
            return RetentionReceipt(operation_id)
        where = every(past(rules, when), Between("seq", lte=until_seq) if until_seq is not None else None)
        derived = await self._list(every(where, AnyOf("kind", _DERIVED)))
        chunks = await self._list(every(where, AnyOf("kind", (UnitKind.CHUNK.value,))))
        documents = texts = 0
        now = self._ports.clock.now()
        for document_id in dict.fromkeys(unit.document_id for unit in chunks.units):
            trimmed = await self._trimmed(document_id, where)
            if trimmed is not None:
                await turn.execute(plan_trim(turn.view(), f"{operation_id}-{document_id}", trimmed, now))
                texts += len(trimmed.gone)
                documents += len(trimmed.gone) == len(trimmed.document.chunks)
        gone = await self._still_live(derived) if texts else list(derived.units)
        if gone:
            expired = [Derived(unit.id, unit.type) for unit in gone]
            plan = plan_expire(turn.view(), f"{operation_id}-derived", expired, now)
            records = tuple((_RECORD_OF[unit.kind], unit.id) for unit in gone if unit.kind in _RECORD_OF)
            await turn.execute(replace(plan, remove=(*plan.remove, *records)))
        more = bool(texts or gone) and derived.total + chunks.total > len(derived.units) + len(chunks.units)
        return RetentionReceipt(operation_id, documents, texts, len(gone), more)

    async def _still_live(self, page: UnitPage) -> list[Unit]:
        """Those that did not go with the chunks they cite."""
        ids = tuple(unit.id for unit in page.units)
        live = await self._ports.store.perform(self._scope, FindLive(ids)) if ids else frozenset[str]()
        return [unit for unit in page.units if unit.id in live]

    async def _trimmed(self, document_id: str, where: Filter) -> Trimmed | None:
        perform = self._ports.store.perform
        found = await perform(self._scope, GetRecords(RecordKind.DOCUMENT, (document_id,)))
        if document_id not in found:
            return None
        document = decode_document(document_id, found[document_id].body)
        if document.open:
            return None
        listed = ListUnits(CHUNKS_OF_DOCUMENT, 0, every(where, AnyOf("document_id", (document_id,)), _CHUNKS))
        page: UnitPage = await perform(self._scope, listed)
        held = {entry.unit_id for entry in document.chunks}
        gone = {unit.id: unit for unit in page.units if unit.id in held}
        if not gone:
            return None
        works = await perform(self._scope, GetRecords(RecordKind.STAGES, (document_id,)))
        work = decode_work(works[document_id]) if document_id in works else None
        return Trimmed(found[document_id], document, gone, work, await self._windows(work, gone.keys()))

    async def _windows(self, work: StageWork | None, gone: AbstractSet[str]) -> frozenset[str]:
        """Hashes of the answers that are about a chunk that goes."""
        if work is None or not work.windows:
            return frozenset()
        found: dict[str, Record] = {}
        for start in range(0, len(work.windows), AT_ONCE):
            call = GetRecords(RecordKind.WINDOW, work.windows[start : start + AT_ONCE])
            found |= await self._ports.store.perform(self._scope, call)
        return frozenset(key for key, record in found.items() if not gone.isdisjoint(record.body["units"]))

    async def _list(self, where: Filter) -> UnitPage:
        return await self._ports.store.perform(self._scope, ListUnits(AT_ONCE, 0, where))

    def _settings(self, turn: Turn) -> dict[str, object]:
        return resolve_settings(turn.view().head.profile, self._ports.inherited(self._scope.tenant))


_RECORD_OF = {UnitKind.OBSERVATION: RecordKind.OBSERVATION, UnitKind.REFLECTION: RecordKind.REFLECTION}
"""Records that go with units of a kind."""
_CHUNKS: Filter = AnyOf("kind", (UnitKind.CHUNK.value,))
_DERIVED = tuple(kind.value for kind in UnitKind if kind is not UnitKind.CHUNK)
