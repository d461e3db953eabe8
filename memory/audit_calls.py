"""The store's calls for audits: what is stored, as it is stored, of one bank or of none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from memory.ids import Scope
from memory.records import RecordKind
from memory.store_calls import Call


@dataclass(frozen=True, slots=True)
class RawPage:
    """Points by id, lowest first: id and payload as it is stored, whose, in which state, under which seq and epoch.

    `next` is what the call for the page after this one starts from; None after the last.
    """

    points: tuple[tuple[str, Mapping[str, Any]], ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class ScanUnits(Call[RawPage]):
    """One page of the bank's units in any state; `start` is the `next` of the page before, None at first."""

    start: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class ScanRecords(Call[RawPage]):
    """One page of the bank's records, the head and removed ones among them; of one kind, if it is given."""

    start: str | None
    limit: int
    kind: RecordKind | None = None


@dataclass(frozen=True, slots=True)
class FindUnlike(Call[frozenset[str]]):
    """Which of the units, in any state, have another keyword vector than one made of the given text, or none.

    texts: id -> what the keyword lane should find it by. Absent units are left out.
    """

    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ScopePage:
    """Some banks, and what the call for the next ones starts from; None after the last."""

    scopes: tuple[Scope, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Stray:
    """Points of one collection whose bank has no head; `bank_key` None: they say no bank at all."""

    collection: str
    bank_key: str | None
    points: int


class ScopedStore(Protocol):
    """What an audit asks of a whole store, beside the calls on each bank."""

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Every bank of every tenant that has a head, whatever it says."""
        ...

    async def list_strays(self) -> tuple[Stray, ...]:
        """Points that belong to no bank with a head, by bank key."""
        ...
