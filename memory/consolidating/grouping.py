"""Which facts say the same, or speak of the same thing: a function of the live facts and their scopes alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from memory.consolidating.scopes import Tags, scopes_of
from memory.knowledge import Knowledge, LiveFact

ALIKE = 0.9
"""Cosine, by their sketches, from which on two facts about the same entities say the same."""
MAX_CITED = 64
"""Facts that one observation cites, the latest."""


@dataclass(frozen=True, slots=True)
class Group:
    """Facts that belong together in one scope, the earliest first."""

    scope: Tags
    members: tuple[str, ...]

    @property
    def cited(self) -> tuple[str, ...]:
        """Those that its observation rests on."""
        return self.members[-MAX_CITED:]


def groups_of(knowledge: Knowledge, seeds: Iterable[str], default: str) -> list[Group]:
    """The groups of facts that are held; default: the scoping of facts that have none of their own.

    A fact that a later one has closed belongs to none.
    """
    seen: set[tuple[Tags, str]] = set()
    groups: list[Group] = []
    for seed in sorted(set(seeds)):
        if not stands(knowledge, seed):
            continue
        for scope in scopes_of(knowledge.facts[seed].tags, knowledge.facts[seed].scoping or default):
            if (scope, seed) in seen:
                continue
            members = _around(knowledge, seed, scope, default)
            seen.update((scope, member) for member in members)
            groups.append(Group(scope, tuple(sorted(members, key=lambda id_: place(knowledge.facts[id_])))))
    return groups


def stands(knowledge: Knowledge, fact_id: str) -> bool:
    """Whether a fact is live and no later one has closed it."""
    return fact_id in knowledge.facts and knowledge.holds(fact_id)


def place(fact: LiveFact) -> tuple[float, int, str]:
    """Where a fact stands among others: when it was told, then its seq and id."""
    return fact.mentioned_at.timestamp(), fact.seq, fact.id


def _around(knowledge: Knowledge, seed: str, scope: Tags, default: str) -> set[str]:
    found, slots, frontier = {seed}, set[tuple[str, str]](), [seed]
    while frontier:
        fact_id = frontier.pop()
        near = {other for other, cosine in knowledge.alike(fact_id).items() if cosine >= ALIKE}
        beside = {other for other in near if _same_subjects(knowledge, fact_id, other)}
        for slot in knowledge.slots_of(fact_id):
            if slot not in slots:
                slots.add(slot)
                beside |= knowledge.in_slot(slot)
        for other in beside - found:
            fact = knowledge.facts[other]
            if knowledge.holds(other) and scope in scopes_of(fact.tags, fact.scoping or default):
                found.add(other)
                frontier.append(other)
    return found


def _same_subjects(knowledge: Knowledge, one: str, other: str) -> bool:
    first, second = knowledge.entities_of(one), knowledge.entities_of(other)
    return first <= second or second <= first if first and second else not (first or second)
