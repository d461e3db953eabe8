"""How long, how many, how large: what of a deployment's settings decides the plans of its banks."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class BankPolicy:
    """Bounds and delays of sessions, operations and stages; `operation_retention_s` None: operations are kept."""

    session_debounce_s: float = 10.0
    session_idle_ttl_s: float = 86_400.0
    session_turns: int = 10_000
    session_bytes: int = 8 << 20
    open_sessions: int = 256
    operation_retention_s: float | None = None
    stages: tuple[str, ...] = ()
    """Names of the stages that a document passes after it was accepted, in order."""
    stage_attempts: int = 3
    stage_retry_s: float = 5.0
    retention_sweep_s: float = 3600.0
    """How often a bank with rules of retention lets go of what is past its time."""
    refresh_quiet_s: float = 10.0
    """How long after new evidence mental models that follow it are looked at."""
    refresh_interval_s: float = 60.0
    refresh_tokens_per_day: int | None = None
    """What a bank may spend in a day on refreshes that nobody asked for; None: no bound."""
    refresh_lease_s: float = 300.0
    """After so long a refresh that began and did not end is begun again."""

    consolidate_quiet_s: float = 10.0
    """How long after new facts they are consolidated."""
    consolidate_lease_s: float = 60.0
    """After so long a consolidation that did not come to its end is begun again."""

    def operations_due(self, now: datetime) -> datetime | None:
        """When an operation recorded now is to be swept."""
        return None if self.operation_retention_s is None else now + timedelta(seconds=self.operation_retention_s)


def sooner(*moments: datetime | None) -> datetime | None:
    """The earliest of the moments that are known."""
    return min((moment for moment in moments if moment is not None), default=None)
