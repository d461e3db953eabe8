"""Entities of a bank: who and what its facts speak of, by one name each, with aliases, counts and company.

The register is a function of the mentions it holds, whatever order they were added and removed in. Resolution
decides which
entity a new mention is: by its normalised name, an alias, a platform user id, or a fuzzy score that company and
recency may
lift over the bar. Nothing is merged on company alone.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from rapidfuzz import fuzz

from memory.ids import digest

MIN_SCORE = 88.0
"""Of 100: least score at which a mention is taken for an entity it does not name exactly."""
_COMPANY_POINTS = 6.0
_RECENT_POINTS = 3.0
_MAX_NAMES = 16

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


def entity_key(name: str) -> str:
    """Key of the entity that a name founds: the same in every bank and at every replay."""
    return digest("entity", normal_name(name)).hex()[:32]


def build_entities(mentions: Iterable[tuple[str, EntityMention]]) -> dict[str, Entity]:
    """The entities of (key, mention) pairs, by key; the order of the pairs does not matter.

    The canonical name is the one mentioned most, of equals the longest, then the first by spelling.
    """
    grouped: dict[str, list[EntityMention]] = {}
    keys_of_fact: dict[str, set[str]] = {}
    for key, mention in mentions:
        grouped.setdefault(key, []).append(mention)
        keys_of_fact.setdefault(mention.fact_id, set()).add(key)
    company = _company(keys_of_fact.values())
    return {key: _entity(key, held, company.get(key, {})) for key, held in grouped.items()}


def _company(together: Iterable[AbstractSet[str]]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for keys in together:
        for key in keys:
            counts.setdefault(key, Counter()).update(other for other in keys if other != key)
    return counts


def _entity(key: str, mentions: list[EntityMention], company: Mapping[str, int]) -> Entity:
    names = Counter(mention.name for mention in mentions)
    types = Counter(mention.type for mention in mentions)
    by_use = sorted(names, key=lambda name: (-names[name], -len(name), name))
    return Entity(
        key=key,
        name=by_use[0],
        type=min(types, key=lambda kind: (-types[kind], kind)),
        aliases=tuple(by_use[1:]),
        facts=len({mention.fact_id for mention in mentions}),
        mentions=len(mentions),
        last_mentioned_at=max(mention.mentioned_at for mention in mentions),
        user_ids=tuple(sorted({mention.user_id for mention in mentions if mention.user_id})),
        company=dict(sorted(company.items())),
    )


def resolve(
    name: str,
    kind: str,
    entities: Iterable[Entity],
    *,
    beside: AbstractSet[str] = frozenset(),
    recent: AbstractSet[str] = frozenset(),
    user_id: str | None = None,
) -> str:
    """Key of the entity a mention means; a new key where none of those known fits.

    `beside` are the keys of the entities in the same fact, `recent` those mentioned lately. A name that several
    entities fit
    equally well founds one of its own.
    """
    known = sorted(entities, key=lambda entity: entity.key)
    if user_id is not None:
        same_user = next((entity for entity in known if user_id in entity.user_ids), None)
        if same_user is not None:
            return same_user.key
    wanted = normal_name(name)
    exact = [entity for entity in known if wanted in _names(entity)]
    if exact:
        return max(exact, key=lambda entity: (_lift(entity, beside, recent), entity.mentions, entity.key)).key
    scored = sorted(
        (
            (score_of(wanted, entity) + _lift(entity, beside, recent), entity.key)
            for entity in known
            if _may_be(kind, entity)
        ),
        reverse=True,
    )
    fitting = [(score, key) for score, key in scored if score >= MIN_SCORE]
    if not fitting or (len(fitting) > 1 and fitting[0][0] - fitting[1][0] < 1.0):
        return entity_key(name)
    return fitting[0][1]


def score_of(wanted: str, entity: Entity) -> float:
    """How well a normalised name fits an entity's names, 0 to 100.

    A part of a longer name ("Maria" for "Maria Lopez") scores just under the bar, so that company or recency decides;
    other names by edit distance, where short names and different numbers never match.
    """
    return max((_score(wanted, known) for known in _names(entity)), default=0.0)


def _score(wanted: str, known: str) -> float:
    first, second = wanted.split(), known.split()
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) < len(longer):
        part = shorter == longer[: len(shorter)] or shorter == longer[-len(shorter) :]
        return 84.0 if part and len(shorter[0]) > 2 else 0.0
    if re.findall(r"\d+", wanted) != re.findall(r"\d+", known) or min(len(wanted), len(known)) < 5:
        return 0.0
    return min(fuzz.ratio(one, other) for one, other in zip(first, second, strict=True))


def _names(entity: Entity) -> frozenset[str]:
    return frozenset(normal_name(name) for name in (entity.name, *entity.aliases[:_MAX_NAMES]))


def _may_be(kind: str, entity: Entity) -> bool:
    return "concept" in {kind, entity.type} or kind == entity.type


def _lift(entity: Entity, beside: AbstractSet[str], recent: AbstractSet[str]) -> float:
    company = _COMPANY_POINTS if any(entity.company.get(key) for key in beside) else 0.0
    return company + (_RECENT_POINTS if entity.key in recent else 0.0)
