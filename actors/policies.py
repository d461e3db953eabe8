"""From a deployment's settings to the policy of its banks, and the stages that it has."""

from collections.abc import Mapping

from actors.bank_ports import StageFunction
from actors.settings import Settings
from memory.policy import BankPolicy

STAGES: Mapping[str, StageFunction] = {}
"""Stages that documents pass after they were accepted, in order. There is none yet: nothing is ever pending."""


def bank_policy(settings: Settings) -> BankPolicy:
    """Bounds and delays as the operator set them."""
    return BankPolicy(
        session_debounce_s=settings.session_debounce_s,
        session_idle_ttl_s=settings.session_idle_ttl_s,
        session_turns=settings.session_turns,
        session_bytes=settings.session_bytes,
        open_sessions=settings.open_sessions,
        operation_retention_s=settings.operation_retention_s,
        stages=tuple(STAGES),
    )
