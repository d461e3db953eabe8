"""Consolidation of some scopes alone: which facts it takes, and how far it is ahead of the rest of the bank.

A scope that is asked for is a list of tags; a fact is meant where it has all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from memory.consolidating.scopes import MAX_SCOPES, Tags
from memory.errors import Unprocessable
from memory.knowledge import LiveFact

MAX_AHEAD = 64
"""Scopes whose place is remembered; what is forgotten is looked at once more."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Up to which fact, by (seq, id), those with all tags of a scope are consolidated."""

    scope: Tags
    seq: int
    unit_id: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to which fact, by (seq, id), a bank is consolidated, and how often what comes next was tried in vain.

    ahead: scopes that are further, because somebody asked for them alone.
    """

    seq: int = 0
    unit_id: str = ""
    tries: int = 0
    ahead: tuple[Ahead, ...] = ()

    @property
    def place(self) -> tuple[int, str]:
        """What facts are compared with."""
        return self.seq, self.unit_id

    def is_past(self, fact: LiveFact) -> bool:
        """Whether a fact was taken."""
        place = (fact.seq, fact.id)
        if place <= self.place:
            return True
        return any(place <= (one.seq, one.unit_id) and is_meant(fact.tags, (one.scope,)) for one in self.ahead)

    def moved(self, targets: Sequence[Tags], seq: int, unit_id: str) -> "Cursor":
        """With facts up to that one taken of these scopes; the scopes that are least ahead are forgotten."""
        others = [one for one in self.ahead if one.scope not in targets and (one.seq, one.unit_id) > self.place]
        ahead = sorted((*others, *(Ahead(scope, seq, unit_id) for scope in targets)), key=lambda one: one.seq)
        return replace(self, ahead=tuple(ahead[-MAX_AHEAD:]))


def targets_of(given: Sequence[Sequence[str]] | None) -> tuple[Tags, ...]:
    """The scopes that a request names; none where it means all of the bank: it names no scope, or one without tags.

    Raises:
        Unprocessable: it names too many.
    """
    named = sorted({tuple(sorted(set(scope))) for scope in given or ()})
    if len(named) > MAX_SCOPES:
        raise Unprocessable(f"observation_scopes: at most {MAX_SCOPES} scopes")
    return () if () in named else tuple(named)


def is_meant(tags: Iterable[str], targets: Sequence[Tags]) -> bool:
    """Whether a fact with these tags has all of one of the scopes; any fact, where there is none."""
    if not targets:
        return True
    own = set(tags)
    return any(own.issuperset(scope) for scope in targets)


def covers(targets: Sequence[Tags], others: Sequence[Tags]) -> bool:
    """Whether every fact that is meant by the others is meant by these."""
    return not targets or (bool(others) and all(is_meant(scope, targets) for scope in others))
