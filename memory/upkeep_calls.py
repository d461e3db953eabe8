"""The store's calls beside those of the protocol's steps and of recall: what ages, points at what is gone, is kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from memory.records import Embedding, Relinked, Unit
from memory.store_calls import Call


@dataclass(frozen=True, slots=True)
class Swept:
    """How many removed records are gone now, and how many of the bank, of any age, are left."""

    removed: int
    left: int


@dataclass(frozen=True, slots=True)
class SweepRemoved(Call[Swept]):
    """Let go of at most `limit` records that were removed up to `before_us`, microseconds since 1970."""

    before_us: int
    limit: int


@dataclass(frozen=True, slots=True)
class RelinkUnits(Call[None]):
    """Replace what units point at, under an epoch, so that no former owner's late move follows.

    Those with a higher epoch, and absent ones, are left as they are.
    """

    units: tuple[Relinked, ...]
    epoch: int


@dataclass(frozen=True, slots=True)
class GetEmbeddings(Call[dict[str, Embedding]]):
    """Sentence and token vectors of units by id, in every space there is, whatever their state."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnembeddedPage:
    """Units of a page without a vector of a space, how many it looked at, where to go on; None after the last."""

    units: tuple[Unit, ...]
    looked_at: int
    following: str | None


@dataclass(frozen=True, slots=True)
class FindUnembedded(Call[UnembeddedPage]):
    """Of the bank's units in order of their ids, whatever their state, from `start` on: those without a vector."""

    space: str
    limit: int
    start: str | None = None


@dataclass(frozen=True, slots=True)
class AddVectors(Call[None]):
    """Give units the vectors of a further space; units that are not there are left out, everything else stays.

    No guard by seq or epoch: an id stands for its text, whose vector is the same whoever adds it, and when.
    """

    vectors: Mapping[str, Embedding]


@dataclass(frozen=True, slots=True)
class DroppedPage:
    """How many units of a page had vectors of a space, how many it looked at, where to go on; None after the last."""

    dropped: int
    looked_at: int
    following: str | None


@dataclass(frozen=True, slots=True)
class DropVectors(Call[DroppedPage]):
    """Take the vectors of a space from the bank's units, in order of their ids, from `start` on; all else stays."""

    space: str
    limit: int
    start: str | None = None
