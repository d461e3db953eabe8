"""What the banks of a host work with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from actors.mending import Embed
from memory.commands import StageResult
from memory.document_reading import DocumentPart
from memory.ids import Scope
from memory.policy import BankPolicy
from memory.ports import Clock, Tokenizer
from memory.store_calls import Store
from memory.sweeping import Retention

StageFunction = Callable[[Scope, DocumentPart], Awaitable[StageResult]]
"""A stage: makes units of a document. It may be cut off, run again, or run for a document that is gone by then."""


async def unclaimed(_: Scope) -> None:
    """No one else is asked before a bank is taken."""


@dataclass(frozen=True, slots=True)
class BankPorts:
    """What every bank of a host works with; `stages` holds a function for each stage that the policy names."""

    store: Store
    embed: Embed
    tokenizer: Tokenizer
    clock: Clock
    nonce: Callable[[], str]
    retention: Retention = field(default_factory=Retention)
    claim: Callable[[Scope], Awaitable[None]] = unclaimed
    """Called before a bank is taken; raises NotOwner where it may not be."""
    policy: BankPolicy = field(default_factory=BankPolicy)
    stages: Mapping[str, StageFunction] = field(default_factory=dict)
