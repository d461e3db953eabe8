"""What a bank works with, and what it knows while it is active."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, ParamSpec, TypeVar

from memory.consolidating.commands import Batch, Edits
from memory.document_reading import DocumentPart
from memory.encoding import decode_recall_profile
from memory.ids import Scope
from memory.ingest import RECALL_PROFILE_KEY, unit_dense_text, unit_vectors
from memory.known_facts import KnownFacts
from memory.mental_models import MentalModel
from memory.policy import BankPolicy
from memory.ports import Clock, Tokenizer
from memory.protocol import Recover, TakeEpoch
from memory.records import Embedding, Head, RecallProfile, RecordKind, Vectors
from memory.reflect_commands import NotRefreshed, Refreshed
from memory.spaces import MADE_WITH
from memory.stage_commands import StageEnd
from memory.store_calls import GetRecords, Store
from memory.sweeping import Retention

T = TypeVar("T")
P = ParamSpec("P")

Embed = Callable[[Sequence[str]], Awaitable[list[Embedding]]]


@dataclass(frozen=True, slots=True)
class StageJob:
    """A document that a stage is run for, read whole, under the seq of its work; `profile` is the bank's."""

    document: DocumentPart
    seq: int
    operation_id: str
    profile: Mapping[str, Any] = field(default_factory=dict)
    known_entities: tuple[tuple[str, str], ...] = ()
    """Names and types of the bank's entities, most mentioned first, where its stages are told of them."""


StageFunction = Callable[[Scope, Sequence[StageJob]], Awaitable[Sequence[StageEnd]]]
"""A stage: makes units of documents. It may be cut off, run again, or run for a document that is gone by then. What one
document does to it is the reason in that one's end."""


@dataclass(frozen=True, slots=True)
class Consolidation:
    """What comes of a batch of facts, at most so many; grouped, unless a language model decides.

    pause_s: how long to rest between two batches.
    """

    decide: Callable[[Scope, Batch], Awaitable[Edits]]
    facts: int
    pause_s: float = 0.0
    with_model: bool = False


RefreshFunction = Callable[[Scope, MentalModel], Awaitable[Refreshed | NotRefreshed]]
"""What a mental model's pending refresh makes of it, or why it makes nothing."""


async def no_wait() -> None:
    """Nobody else has something to do first."""


THREAD_BYTES: Final = 256 << 10
"""Commands from this size on are drafted, merged and planned in a thread: milliseconds that other banks need."""


def no_settings(_: str) -> Mapping[str, Any]:
    """Banks have the defaults."""
    return {}


async def one_space() -> tuple[str, ...]:
    """Vectors of one model are stored."""
    return (MADE_WITH,)


async def unclaimed(_: Scope) -> None:
    """No one else is asked before a bank is taken."""


@dataclass(frozen=True, slots=True)
class BankPorts:
    """What a bank of a host works with; all but `embed` are shared by all of them.

    `stages` holds a function for each stage that the policy names.
    """

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
    spaces: Callable[[], Awaitable[tuple[str, ...]]] = one_space
    """Keys of the vector spaces that new units have vectors of, as `embed` gives them."""
    embed_bulk: Embed | None = None
    """As `embed`, after whatever somebody waits for; absent: no different."""
    inherited: Callable[[str], Mapping[str, Any]] = no_settings
    """Settings of a tenant's banks that set none of their own."""
    refresh: RefreshFunction | None = None
    """Makes the content of a mental model; absent: mental models stay as they are."""
    consolidation: Consolidation | None = None
    """Makes observations; absent: none are made."""
    stand_back: Callable[[], Awaitable[None]] = no_wait
    """Called before each batch of stage work: returns once callers have been served, or soon."""
    known_entities: int = 0
    """How many of a bank's entities its stages are told of. Rules are told of none: what they find must not depend on
    what was told before."""


@dataclass(slots=True)
class Activation:
    """What the owner knows: it is the only writer, so this is what the store holds."""

    head: Head
    recall_profile: RecallProfile
    sweep_due: datetime | None = None
    """When removed records that are kept for now are to be swept."""
    known: KnownFacts | None = None
    """The bank's facts, read when they are first needed."""
    models: tuple[MentalModel, ...] | None = None
    """The bank's mental models, read when they are first needed."""


async def take_bank(scope: Scope, ports: BankPorts, above_epoch: int = 0, above_seq: int = 0) -> Activation:
    """Take the epoch and a block of seqs, settle what a former owner committed, sweep what is old, load the cache."""
    await ports.claim(scope)
    head = await ports.store.perform(scope, TakeEpoch(ports.nonce(), above_epoch, above_seq))
    nonce = ports.nonce()
    made: dict[str, Vectors] = {}
    now, retention = ports.clock.now(), ports.retention
    recovered = await ports.store.perform(scope, Recover(head, nonce, now, retention))
    while recovered.needs:
        vectors = await ports.embed([unit_dense_text(unit) for unit in recovered.needs])
        made |= {unit.id: unit_vectors(unit, at) for unit, at in zip(recovered.needs, vectors, strict=True)}
        recovered = await ports.store.perform(scope, Recover(recovered.head, nonce, now, retention, made))
    found = await ports.store.perform(scope, GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,)))
    record = found.get(RECALL_PROFILE_KEY)
    profile = decode_recall_profile(record.body) if record else RecallProfile()
    return Activation(recovered.head, profile, recovered.sweep_due)


async def beside_loop(size_bytes: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do pure work for a command of that size: here if it is small, else in a thread while other banks go on."""
    if size_bytes < THREAD_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
