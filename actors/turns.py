"""A command's turn, as the parts of a bank see it: what the owner knows now, and how a plan is executed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from memory.ingest import BankView
from memory.known_facts import KnownFacts
from memory.mental_models import MentalModel
from memory.plans import Plan


@dataclass(frozen=True, slots=True)
class Turn:
    """Held while no other plan of the bank is under way; `view` is what holds after the last plan."""

    view: Callable[[], BankView]
    sweep_due: Callable[[], datetime | None]
    """When removed records that are kept for now are to be swept."""
    execute: Callable[[Plan], Awaitable[None]]
    known: Callable[[], Awaitable[KnownFacts]]
    """The bank's facts, as they are after the last plan."""
    models: Callable[[], Awaitable[tuple[MentalModel, ...]]]
    """The bank's mental models, as they are after the last plan."""
