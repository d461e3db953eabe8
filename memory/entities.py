"""Entities of a bank: who and what its facts speak of, by one name each, with aliases, counts and company.

The register is a function of the mentions it holds, whatever order they were added and removed in. An entity is its
normalised name, until somebody says that two are one (memory/entity_names.py).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from memory.ids import digest

REMEMBERED_NAMES = 20_000
"""Names are few and asked for with every fact."""

Key = TypeVar("Key")

_TITLES = re.compile(r"^(?:mr|mrs|ms|miss|dr|prof|sir|madam|professor|doctor)\.?\s+")
_SUFFIXES = re.compile(r"[\s,]+(?:inc|ltd|llc|gmbh|corp|co|plc|ag|sa|jr|sr|phd|md)\.?$")


@dataclass(frozen=True, slots=True)
class EntityMention:
    """One mention in one fact. `user_id` is the platform's id of a person, where the caller gave one."""

    fact_id: str
    name: str
    type: str
    mentioned_at: datetime
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """What a bank knows of one entity. `company` counts the facts shared with each other entity, by its key."""

    key: str
    name: str
    type: str
    aliases: tuple[str, ...]
    facts: int
    mentions: int
    last_mentioned_at: datetime
    user_ids: tuple[str, ...] = ()
    company: Mapping[str, int] = field(default_factory=dict)
    first_mentioned_at: datetime | None = None


@lru_cache(maxsize=REMEMBERED_NAMES)
def normal_name(name: str) -> str:
    """A name as it is compared: lower case, no accents, no title, possessive, punctuation or company suffix."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(character)
    )
    plain = re.sub(r"['’]s$", "", plain.strip())
    plain = _SUFFIXES.sub("", _TITLES.sub("", plain))
    plain = " ".join(re.sub(r"[^\w\s@+#]", " ", plain).split())
    return plain or name.casefold().strip()


@lru_cache(maxsize=REMEMBERED_NAMES)
def entity_key(name: str) -> str:
    """Key of the entity that a name founds: the same in every bank and at every replay."""
    return digest("entity", normal_name(name)).hex()[:32]


@dataclass(slots=True)
class _Tally:
    """Counts of one entity's mentions, each kept so that a removal leaves no trace."""

    names: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    user_ids: Counter[str] = field(default_factory=Counter)
    instants: Counter[datetime] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    company: Counter[str] = field(default_factory=Counter)


class EntityRegister:
    """The entities of the mentions it holds; adding and removing in any order leaves what the rest would have built."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}
        self._keys_of_fact: dict[str, Counter[str]] = {}
        self._entities: dict[str, Entity] = {}

    def add(self, key: str, mention: EntityMention) -> None:
        """Count a mention for the entity `key`."""
        self._count(key, mention, 1)

    def remove(self, key: str, mention: EntityMention) -> None:
        """Take back a mention that was added; an entity without mentions goes.

        Raises:
            KeyError: the entity holds no such mention.
        """
        tally = self._tallies.get(key, _Tally())
        held = (tally.facts[mention.fact_id], tally.names[mention.name], tally.types[mention.type])
        if not all(held) or not tally.instants[mention.mentioned_at]:
            raise KeyError(f"entity {key} has no mention of {mention.name!r} in fact {mention.fact_id}")
        self._count(key, mention, -1)

    def entities(self) -> Mapping[str, Entity]:
        """All entities by key."""
        for key in self._tallies.keys() - self._entities.keys():
            self._entities[key] = _entity(key, self._tallies[key])
        return self._entities

    def _count(self, key: str, mention: EntityMention, change: int) -> None:
        tally = self._tallies.setdefault(key, _Tally())
        together = self._keys_of_fact.setdefault(mention.fact_id, Counter())
        _change(tally.names, mention.name, change)
        _change(tally.types, mention.type, change)
        _change(tally.instants, mention.mentioned_at, change)
        if mention.user_id is not None:
            _change(tally.user_ids, mention.user_id, change)
        before = together[key] > 0
        _change(tally.facts, mention.fact_id, change)
        _change(together, key, change)
        touched = {key}
        if before != (together[key] > 0):
            for other in [other for other in together if other != key]:
                _change(tally.company, other, change)
                _change(self._tallies[other].company, key, change)
                touched.add(other)
        if not tally.facts:
            del self._tallies[key]
        if not together:
            del self._keys_of_fact[mention.fact_id]
        for stale in touched:
            self._entities.pop(stale, None)


def _change(counts: Counter[Key], key: Key, change: int) -> None:
    counts[key] += change
    if not counts[key]:
        del counts[key]


def _entity(key: str, tally: _Tally) -> Entity:
    """The canonical name is the one mentioned most, of equals the longest, then the first by spelling."""
    names = sorted(tally.names, key=lambda name: (-tally.names[name], -len(name), name))
    return Entity(
        key=key,
        name=names[0],
        type=min(tally.types, key=lambda kind: (-tally.types[kind], kind)),
        aliases=tuple(names[1:]),
        facts=len(tally.facts),
        mentions=tally.facts.total(),
        last_mentioned_at=max(tally.instants),
        user_ids=tuple(sorted(tally.user_ids)),
        company=dict(sorted(tally.company.items())),
        first_mentioned_at=min(tally.instants),
    )
