"""What a bank's mental models may spend in a day on refreshes that nobody asked for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from memory.mental_models import MentalModel

DUE = "due-"
"""What operation ids of refreshes begin with that a bank made due by itself."""
LEAST_TOKENS = 1_000
"""What a refresh counts for before anything is known of its costs."""


def is_idle(operation_id: str) -> bool:
    """Whether a refresh was made due by the bank itself: after evidence, or by a schedule."""
    return operation_id.startswith(DUE)


def spent(model: MentalModel, tokens: int, now: datetime) -> MentalModel:
    """With what its pending refresh cost, if that was the bank's own doing."""
    if model.pending is None or not is_idle(model.pending.operation_id) or not tokens:
        return model
    day = day_of(now)
    before = model.idle_tokens if model.idle_day == day else 0
    return replace(model, idle_day=day, idle_tokens=before + tokens)


def spent_today(models: Sequence[MentalModel], now: datetime) -> int:
    """Tokens that models have spent by themselves on this day, and what those under way will, by their last one."""
    day = day_of(now)
    under_way = (model for model in models if model.pending is not None and is_idle(model.pending.operation_id))
    return sum(model.idle_tokens for model in models if model.idle_day == day) + sum(map(expected, under_way))


def expected(model: MentalModel) -> int:
    """What its next refresh will cost, as far as the last one tells."""
    usage = (model.reflection or {}).get("usage") or {}
    return max(LEAST_TOKENS, int(usage.get("total_tokens", 0)))


def day_of(now: datetime) -> str:
    """The day, UTC."""
    return now.astimezone(UTC).date().isoformat()


def next_day(now: datetime) -> datetime:
    """When the next day begins, UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
