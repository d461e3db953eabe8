"""What a bank has to do by itself when its time has come: sessions, mental models, what is past its time, stages."""

from datetime import datetime, timedelta

from actors.bank_models import BankModels
from actors.bank_observations import BankObservations
from actors.bank_ports import BankPorts
from actors.bank_retention import BankRetention
from actors.bank_sessions import BankSessions
from actors.bank_stages import BankStages
from actors.turns import Turn
from memory.encoding import instant_to_micros
from memory.ids import Scope
from memory.known_facts import EXPIRING
from memory.operations import SWEPT_OPERATIONS, TERMINAL
from memory.policy import sooner
from memory.records import RecordKind
from memory.stage_plans import plan_expire, plan_sweep
from memory.stages import Derived
from memory.store_calls import ListRecords, RecordPage

EXPIRED_AT_ONCE = 256
"""Facts let go of in one plan."""
SWEEPS_PER_RETENTION = 24
"""How often a bank that has operations looks for those past their time, while one of them lives."""


class DueWork:
    """Does, in one turn, a bounded slice of what is due, and says when the bank is due next."""

    __slots__ = ("_models", "_observations", "_ports", "_retention", "_scope", "_sessions", "_stages")

    def __init__(
        self,
        scope: Scope,
        ports: BankPorts,
        sessions: BankSessions,
        stages: BankStages,
        models: BankModels,
        observations: BankObservations,
    ) -> None:
        self._scope = scope
        self._ports = ports
        self._sessions = sessions
        self._stages = stages
        self._models = models
        self._observations = observations
        self._retention = BankRetention(scope, ports)

    async def do(self, turn: Turn) -> None:
        """Do what is due; nothing where the bank is not."""
        now = self._ports.clock.now()
        due_at = turn.view().head.due_at
        if due_at is None or due_at > now or not turn.view().head.exists:
            return
        sessions_due = await self._sessions.do_due(turn, now)
        observations_due = await self._observations.do_due(turn, now)
        models_due = await self._models.do_due(turn, now)
        expiry_due = sooner(await self._let_expire(turn, now), await self._retention.do_due(turn, now))
        swept, sweep_due = await self._find_old(now)
        own_due = sooner(sessions_due, observations_due, models_due, expiry_due)
        following = sooner(own_due, sweep_due, turn.sweep_due(), await self._stages.next_due(now))
        if swept or following is None or following > now:
            await turn.execute(plan_sweep(turn.view(), f"due-{self._ports.nonce()}", swept, following, now))

    async def _let_expire(self, turn: Turn, now: datetime) -> datetime | None:
        """Let go of facts past their time, at most EXPIRED_AT_ONCE, and when the next one is."""
        if not turn.view().head.counters.get(EXPIRING):
            return None
        known = await turn.known()
        expired = [Derived(id_, known.type_of(id_)) for id_ in known.expired(now)[:EXPIRED_AT_ONCE]]
        if expired:
            await turn.execute(plan_expire(turn.view(), f"expire-{self._ports.nonce()}", expired, now))
        return (await turn.known()).next_expiry()

    async def _find_old(self, now: datetime) -> tuple[tuple[str, ...], datetime | None]:
        """Operations past their time, at most SWEPT_OPERATIONS, and when to look again."""
        retention_s = self._ports.policy.operation_retention_s
        if retention_s is None:
            return (), None
        until = instant_to_micros(now - timedelta(seconds=retention_s))
        keys: list[str] = []
        left = 0
        for status in sorted(TERMINAL):
            page: RecordPage = await self._ports.store.perform(
                self._scope, ListRecords(RecordKind.OPERATION, SWEPT_OPERATIONS - len(keys), 0, status, until)
            )
            keys.extend(record.key for record in page.records)
            left += page.total
        total: RecordPage = await self._ports.store.perform(self._scope, ListRecords(RecordKind.OPERATION, 1))
        if left > len(keys):
            return tuple(keys), now
        later = now + timedelta(seconds=retention_s / SWEEPS_PER_RETENTION)
        return tuple(keys), later if total.total > len(keys) else None
