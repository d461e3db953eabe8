"""What a bank knows by its live facts: which hold when, whom they speak of, what they are linked to.

One function of the facts alone. Whatever order they arrived in, and whatever was replaced, deleted or restored since,
the same facts give the same chains, counts and links: mentions are resolved in the order (mentioned, seq, id), not in
that of arrival.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from memory.entities import Entity, EntityMention, EntityRegister, build_entities, entity_key, normal_name, resolve
from memory.extraction.candidates import Claim
from memory.links import LinkedFact, derive_links
from memory.records import Link
from memory.supersession import SlotFact, Validity, chain_of
from memory.timeline import Span

RECENT_FACTS = 20
"""Entities of so many facts before count as mentioned lately."""

Slot = tuple[str, str]
"""Key of the subject's entity, and the attribute."""


@dataclass(frozen=True, slots=True)
class LiveFact:
    """A stored fact as knowledge is derived from it; `mentions` are (name, type) pairs."""

    id: str
    seq: int
    mentioned_at: datetime
    occurred: Span | None = None
    claims: tuple[Claim, ...] = ()
    mentions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Validity by slot and fact, entities by key, links by fact. A fact holds for as long as all of its claims do."""

    chains: Mapping[Slot, Mapping[str, Validity]]
    entities: Mapping[str, Entity]
    links: Mapping[str, tuple[Link, ...]]


def derive_knowledge(facts: Iterable[LiveFact]) -> Knowledge:
    """All that follows from the live facts of a bank."""
    ordered = sorted(facts, key=lambda fact: (fact.mentioned_at, fact.seq, fact.id))
    keys = _resolved(ordered)
    entities = build_entities(
        (keys[fact.id][name], EntityMention(fact.id, name, kind, fact.mentioned_at))
        for fact in ordered
        for name, kind in fact.mentions
    )
    linked = (LinkedFact(fact.id, _at(fact), frozenset(keys[fact.id].values())) for fact in ordered)
    return Knowledge(_chains(ordered, keys), entities, derive_links(linked))


def validity_of(chains: Mapping[Slot, Mapping[str, Validity]], fact_id: str) -> Validity | None:
    """When a fact holds by all of its slots: from the latest begin to the earliest end; None if it fills no slot."""
    held = [chain[fact_id] for chain in chains.values() if fact_id in chain]
    if not held:
        return None
    closed = sorted(
        (each for each in held if each.valid_to is not None), key=lambda each: (each.valid_to, each.superseded_by)
    )
    begin = max(each.valid_from for each in held)
    return replace(closed[0], valid_from=min(begin, closed[0].valid_to or begin)) if closed else Validity(begin)


def _resolved(ordered: list[LiveFact]) -> dict[str, dict[str, str]]:
    """For each fact the keys of its entities by the name mentioned."""
    register = EntityRegister()
    keys: dict[str, dict[str, str]] = {}
    for index, fact in enumerate(ordered):
        recent = {key for before in ordered[max(0, index - RECENT_FACTS) : index] for key in keys[before.id].values()}
        found: dict[str, str] = {}
        for name, kind in fact.mentions:
            known = register.entities().values()
            found[name] = resolve(name, kind, known, beside=set(found.values()), recent=recent)
            register.add(found[name], EntityMention(fact.id, name, kind, fact.mentioned_at))
        keys[fact.id] = found
    return keys


def _chains(ordered: list[LiveFact], keys: Mapping[str, Mapping[str, str]]) -> dict[Slot, Mapping[str, Validity]]:
    slots: dict[Slot, dict[str, SlotFact]] = defaultdict(dict)
    for fact in ordered:
        by_name = {normal_name(name): key for name, key in keys[fact.id].items()}
        for claim in fact.claims:
            subject = by_name.get(normal_name(claim.subject)) or entity_key(claim.subject)
            slots[subject, claim.attribute].setdefault(
                fact.id,
                SlotFact(
                    fact.id,
                    claim.value,
                    fact.mentioned_at,
                    fact.seq,
                    fact.occurred,
                    claim.holds,
                    claim.replaces,
                    claim.happened,
                ),
            )
    return {slot: chain_of(held.values()) for slot, held in slots.items()}


def _at(fact: LiveFact) -> datetime:
    return fact.occurred.start if fact.occurred is not None else fact.mentioned_at
