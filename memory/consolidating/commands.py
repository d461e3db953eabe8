"""Commands on a bank's observations: taking what is to be consolidated, putting what came of it, asking for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memory.consolidating.grouping import Group
from memory.consolidating.scopes import Tags
from memory.consolidating.targets import Cursor
from memory.records import Source, Unit
from memory.store_calls import NewUnit


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be consolidated next. `facts`: live ones that are new or whose standing changed, in order.

    groups: what they belong to now; existing: observations that rest on any of them, or on another of the groups; near:
    other facts that stand close to each of `facts`; queued: (key, seq) of the records that named some of them; asked:
    operations that wait for the end; targets: the scopes that it takes facts of, all where there are none; last:
    nothing else is to be consolidated.
    """

    before: Cursor
    after: Cursor
    facts: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    existing: tuple[Unit, ...] = ()
    near: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    queued: tuple[tuple[str, int], ...] = ()
    asked: tuple[str, ...] = ()
    targets: tuple[Tags, ...] = ()
    last: bool = True
    pending: bool = False
    """Whether the bank counts as not consolidated: there is something to be written even if nothing comes of it."""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Put:
    """An observation as it is to be; `before`: as it is now, or None; change: created, refined or merged."""

    unit: Unit
    before: Unit | None = None
    change: str = "created"


@dataclass(frozen=True, slots=True)
class Edits:
    """What a batch comes to. read: the facts it was made from, as they were; retire: observations that go.

    failed: why some of its facts could not be consolidated; final: and will not be, so that those in `left` are left
    aside; retry_after_s: else when to try again.
    """

    puts: tuple[Put, ...] = ()
    retire: tuple[Unit, ...] = ()
    read: tuple[Source, ...] = ()
    failed: str = ""
    final: bool = False
    retry_after_s: float = 0.0
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeBatch:
    """Command of the bank to itself: what is to be consolidated next, at most so many facts."""

    operation_id: str
    facts: int
    grouped: bool = True
    """Whether what the facts belong to is wanted, else what stands near to each."""


@dataclass(frozen=True, slots=True)
class EndBatch:
    """Command of the bank to itself: a batch came to these edits."""

    operation_id: str
    batch: Batch
    edits: Edits
    new: Mapping[str, NewUnit] = field(default_factory=dict)
    """The units of the puts by id, with their vectors."""


@dataclass(frozen=True, slots=True)
class Consolidate:
    """Have consolidated what is not: everything, or facts of some scopes; `recover`: what was given up on, too."""

    operation_id: str
    recover: bool = False
    targets: tuple[Tags, ...] = ()


@dataclass(frozen=True, slots=True)
class ClearObservations:
    """Remove all observations, or those that rest on one fact; what they rest on is consolidated anew."""

    operation_id: str
    unit_id: str | None = None


ConsolidationCommand = TakeBatch | EndBatch | Consolidate | ClearObservations


@dataclass(frozen=True, slots=True)
class ConsolidationReceipt:
    """What became of a consolidation command: observations touched, and whether it joined one under way."""

    operation_id: str
    status: str
    count: int = 0
    joined: bool = False
