"""What is kept up to date fact by fact, built from all facts at once: what tests compare it with."""

from collections.abc import Iterable, Mapping

from memory.entities import Entity, EntityMention, EntityRegister
from memory.knowledge import Knowledge, LiveFact, Names
from memory.links import LinkedFact, LinkIndex
from memory.records import Link


def build_entities(mentions: Iterable[tuple[str, EntityMention]]) -> Mapping[str, Entity]:
    """The entities of (key, mention) pairs, by key."""
    register = EntityRegister()
    for key, mention in mentions:
        register.add(key, mention)
    return register.entities()


def derive_links(facts: Iterable[LinkedFact]) -> Mapping[str, tuple[Link, ...]]:
    """Links of each fact by its id."""
    index = LinkIndex()
    held = list(facts)
    for fact in held:
        index.add(fact)
    return {fact.id: index.links_of(fact.id) for fact in held}


def derive_knowledge(facts: Iterable[LiveFact], names: Names | None = None) -> Knowledge:
    """All that follows from the live facts of a bank."""
    known = Knowledge(names)
    for fact in facts:
        known.add(fact)
    return known
