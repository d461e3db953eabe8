"""The store's calls beside those of the protocol's steps and of recall: what ages, points at what is gone, is kept."""

from dataclasses import dataclass

from memory.records import Embedding, Relinked
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
    """Sentence and token vectors of units by id, whatever their state; absent ones are left out."""

    ids: tuple[str, ...]
