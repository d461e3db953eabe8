"""From a deployment's settings to the policy of its banks, and the stages that it has."""

from actors.settings import Settings
from memory.facts import EXTRACT
from memory.policy import BankPolicy


def stage_names(settings: Settings) -> tuple[str, ...]:
    """Stages that documents pass after they were accepted, in order."""
    return () if settings.extraction == "off" else (EXTRACT,)


def bank_policy(settings: Settings) -> BankPolicy:
    """Bounds and delays as the operator set them."""
    return BankPolicy(
        session_debounce_s=settings.session_debounce_s,
        session_idle_ttl_s=settings.session_idle_ttl_s,
        session_turns=settings.session_turns,
        session_bytes=settings.session_bytes,
        open_sessions=settings.open_sessions,
        operation_retention_s=settings.operation_retention_s,
        stages=stage_names(settings),
        retention_sweep_s=settings.retention_sweep_s,
        refresh_quiet_s=settings.refresh_quiet_s,
        refresh_interval_s=settings.refresh_interval_s,
        consolidate_quiet_s=settings.consolidate_quiet_s,
        refresh_tokens_per_day=settings.refresh_tokens_per_day,
        refresh_lease_s=2 * settings.refresh_deadline_s + 60.0,
    )
