"""The neutral calls of the store port: each is one atomic call to an engine, typed by its answer.

`memory` builds them, `storage` performs them. A Procedure is a sequence of calls as a generator: one implementation of
the protocol for every engine.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory.filters import TRUE, Filter
from memory.ids import Scope
from memory.neighbours import Near
from memory.records import Head, Record, RecordKind, Unit, Vectors

T_co = TypeVar("T_co", covariant=True)


class Call(Generic[T_co]):
    """One atomic call; the type argument is what it answers."""

    __slots__ = ()


class Procedure(Protocol[T_co]):
    """Several calls in an order that depends on their answers. Picklable, so that it can run beside the engine."""

    def steps(self) -> Generator[Call[Any], Any, T_co]:
        """Yield each call, receive its answer, return the result. Leaving it anywhere must be safe."""


Request = Call[T_co] | Procedure[T_co]


class Store(Protocol):
    """Where banks live. Every request names its bank; nothing outside that bank is read or written."""

    async def perform(self, scope: Scope, request: Request[T_co]) -> T_co:
        """Run one call, or a procedure from its first to its last call.

        Raises:
            StaleEpoch: a newer owner has written to the bank.
            StaleCommit: the head is not the one the caller planned on.
            Unavailable: the engine is restarting or unreachable.
            StoreDamaged: the engine's files cannot be read.
        """

    async def list_heads(self, tenant: str, limit: int, offset: int) -> "HeadPage":
        """Heads of the tenant's banks that exist, by name."""

    async def list_due(self, now: datetime, limit: int) -> "tuple[Scope, ...]":
        """Banks of all tenants whose head is due, at most `limit`; which of several is not said."""

    async def find_unit(self, tenant: str, unit_id: str) -> "tuple[Scope, Unit] | None":
        """A live unit by its bare id, if it belongs to the tenant."""


# -- reads ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeadPage:
    """One page of a tenant's banks, by name; `total` counts all of them."""

    banks: tuple[tuple[str, Head], ...]
    total: int


@dataclass(frozen=True, slots=True)
class ReadHead(Call[Head | None]):
    """The bank's head, or None where nothing was ever written."""


@dataclass(frozen=True, slots=True)
class GetRecords(Call[dict[str, Record]]):
    """Records of one kind by key; absent ones are left out."""

    kind: RecordKind
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One page of records, newest first; `total` counts all that match."""

    records: tuple[Record, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ListRecords(Call[RecordPage]):
    """Records of one kind by `order`, newest first; `until`: those of that order or a lower one."""

    kind: RecordKind
    limit: int
    offset: int = 0
    status: str | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class GetUnits(Call[dict[str, Unit]]):
    """Live units by id; absent, pending and retired ones are left out."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetChunks(Call[dict[str, Unit]]):
    """Units that a document's list names, by id: live, or committed and about to be; absent ones are left out."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetDense(Call[dict[str, NDArray[np.float32]]]):
    """Sentence vectors of units by id, whatever their state; absent ones are left out. float32, (dim,)."""

    ids: tuple[str, ...]
    space: str = ""


@dataclass(frozen=True, slots=True)
class UnitPage:
    """One page of live units; `total` counts all that match."""

    units: tuple[Unit, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ListUnits(Call[UnitPage]):
    """Live units that match, newest seq first; ties by id."""

    limit: int
    offset: int = 0
    where: Filter = TRUE


@dataclass(frozen=True, slots=True)
class CountValues(Call[dict[str, int]]):
    """How many live units hold each value of an indexed keyword field."""

    field: str
    limit: int
    where: Filter = TRUE


@dataclass(frozen=True, slots=True)
class Lane:
    """One strategy's question: nearest to `dense` in `space`, or best BM25 for `lexical`; `where` narrows it alone."""

    limit: int
    dense: NDArray[np.float32] | None = None
    lexical: str | None = None
    where: Filter = TRUE
    space: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """Units found, as columns of equal length: hundreds of them cross processes on every recall.

    payloads: memory.encoding's mappings, with the keys of RECALLED_KEYS only, for recall passes most through; semantic:
    cosine in [-1, 1], float64, (n,); keyword: BM25 with the bank's own IDF, 0 where no word matches, float64, (n,);
    tokens: packed token vectors, where they were asked for, empty for units without.
    """

    ids: tuple[str, ...]
    payloads: tuple[Mapping[str, Any], ...]
    semantic: NDArray[np.float64]
    keyword: NDArray[np.float64]
    tokens: tuple[bytes, ...] = ()


RECALLED_KEYS = (
    "kind",
    "type",
    "text",
    "context",
    "document_id",
    "position",
    "seq",
    "speaker",
    "role",
    "session",
    "occurred_start",
    "occurred_end",
    "mentioned_at",
    "valid_from",
    "valid_to",
    "category",
    "confidence",
    "entities",
    "mentions",
    "tags",
    "metadata",
    "actor_ids",
    "sources",
    "expires_at",
    "proof_count",
    "text_tokens",
)
"""What of a unit recall ranks by or returns."""


@dataclass(frozen=True, slots=True)
class LaneHits:
    """Answer to one lane: ids and raw scores, best first; document and position of the first ones, where asked for."""

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    places: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SearchLanes(Call[tuple[LaneHits, ...]]):
    """All lanes in one batch over live units that match; ids and scores, and where the first `places` of each stand.

    A unit that goes while it is read has no place.
    """

    lanes: tuple[Lane, ...]
    where: Filter = TRUE
    places: int = 0


@dataclass(frozen=True, slots=True)
class CompleteHits(Call[Hits]):
    """The units that lanes brought, by id, with payloads, and with the scores that their own lane did not give.

    semantic and keyword: scores known; units in neither `dense_for` nor `lexical_for` without one have 0. Units no
    longer live are left out. Those of `near` come beside; `with_tokens`: theirs, too, of the same `space` as `dense`.
    """

    semantic: Mapping[str, float]
    keyword: Mapping[str, float]
    dense: NDArray[np.float32]
    lexical: str
    dense_for: tuple[str, ...]
    lexical_for: tuple[str, ...]
    near: Near | None = None
    with_tokens: bool = False
    space: str = ""


# -- writes: the steps of the protocol --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewUnit:
    """A unit to insert, with what it is found by; vectors None: the text must be embedded again first."""

    unit: Unit
    vectors: Vectors | None


@dataclass(frozen=True, slots=True)
class InsertUnits(Call[None]):
    """Insert as pending; an id that exists stays as it is, unless it is a leftover: pending, of no higher seq or epoch.

    Leftovers of plans that never committed are replaced, for their positions and times are those of another plan.
    """

    units: tuple[NewUnit, ...]


@dataclass(frozen=True, slots=True)
class CreateHead(Call[None]):
    """Insert the head of a bank never written to; an existing one is left as it is."""

    head: Head


@dataclass(frozen=True, slots=True)
class SwapHead(Call[bool]):
    """Compare-and-set of the head on (epoch, commit, settled); True if this write, told by its nonce, stands."""

    expected: Head
    head: Head
    nonce: str


@dataclass(frozen=True, slots=True)
class WriteRecords(Call[None]):
    """Insert or overwrite; a stored record with a higher epoch or seq is left as it is."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class SetLive(Call[None]):
    """Make units live under (seq, epoch); those with a higher seq or epoch, and absent ones, are left as they are."""

    ids: tuple[str, ...]
    seq: int
    epoch: int


@dataclass(frozen=True, slots=True)
class FindLive(Call[frozenset[str]]):
    """Which of the ids are live."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoveUnits(Call[None]):
    """Set positions and epoch of units, so that no former owner's late move follows; those with a higher epoch stay."""

    positions: Mapping[str, int]
    epoch: int


@dataclass(frozen=True, slots=True)
class RetireUnits(Call[None]):
    """Remove units whose seq is lower and whose epoch is not higher than the given ones."""

    ids: tuple[str, ...]
    seq: int
    epoch: int


@dataclass(frozen=True, slots=True)
class RemoveRecords(Call[None]):
    """Remove records by key, guarded like RetireUnits; `at_us`: now, in microseconds since 1970.

    What was removed stays, emptied, with this (seq, epoch), to refuse former owners' late writes until it is swept.
    """

    kind: RecordKind
    keys: tuple[str, ...]
    seq: int
    epoch: int
    at_us: int


@dataclass(frozen=True, slots=True)
class ClearBank(Call[str | None]):
    """Remove units, and like RemoveRecords all but head and commits: `limit` from `start` on; next start or None."""

    seq: int
    epoch: int
    at_us: int
    start: str | None = None
    limit: int = 64


@dataclass(frozen=True, slots=True)
class SweepPending(Call[None]):
    """Remove units still pending from epochs up to `epoch`: leftovers of plans that never committed."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ForgetText(Call[None]):
    """Replace a settled commit's record by its summary once the units written before survive a power loss.

    It is never made anew. An engine that knows when units are on disk does it then, in order; others do it at once.
    """

    summary: Record


@dataclass(frozen=True, slots=True)
class TrimCommits(Call[None]):
    """Remove commit records with a number up to `commit`, but for those that are still whole."""

    commit: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[T_co]):
    """Procedure that performs calls in order and answers with all their answers: one round trip for many reads."""

    calls: tuple[Call[T_co], ...]

    def steps(self) -> Generator[Call[Any], Any, list[T_co]]:
        """Yield each call in turn."""
        answers: list[T_co] = []
        for call in self.calls:
            answers.append((yield call))  # noqa: PERF401 - a comprehension cannot yield
        return answers
