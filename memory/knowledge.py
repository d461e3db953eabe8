"""What a bank knows by its live facts: which hold when, whom they speak of, what they are linked to.

A function of the facts alone. Whatever order they arrived in, and whatever was replaced, deleted or restored since,
the same facts give the same chains, counts and links. `Knowledge` keeps it up to date, fact by fact, and tells whose
standing a change may have touched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from memory.entities import Entity, EntityMention, EntityRegister, entity_key, normal_name
from memory.extraction.candidates import Claim
from memory.links import LinkedFact, LinkIndex
from memory.records import Link
from memory.supersession import SlotFact, Validity, chain_of
from memory.timeline import Span

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
    document_id: str = ""
    sources: tuple[str, ...] = ()
    """Ids of the units that state it."""
    sketch: str = ""
    causes: tuple[str, ...] = ()
    """Ids of the facts that it follows from."""
    tags: tuple[str, ...] = ()
    scoping: str = ""
    """How it is to be consolidated with others, as memory.consolidating.scopes has it; empty: as the bank says."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the other facts make of one: when it holds (None: it fills no slot), its entities' keys, its links."""

    validity: Validity | None = None
    entities: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(slots=True)
class Names:
    """Which entity a name means: itself, unless somebody said that it is another's."""

    key_of: dict[str, str] = field(default_factory=dict)
    """Normal name -> key, for names given to an entity by hand."""

    def key(self, name: str) -> str:
        """Key of the entity that a name means."""
        return self.key_of.get(normal_name(name)) or entity_key(name)


class Knowledge:
    """What follows from the facts it holds; adding and removing in any order leaves what the rest would have built."""

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()
        self.facts: dict[str, LiveFact] = {}
        self._register = EntityRegister()
        self._links = LinkIndex()
        self._slots: dict[Slot, dict[str, SlotFact]] = {}
        self._chains: dict[Slot, Mapping[str, Validity]] = {}
        self._of_document: dict[str, set[str]] = {}

    def add(self, fact: LiveFact) -> set[str]:
        """Take a fact in; ids of facts whose standing this may change, its own among them.

        Raises:
            ValueError: it is held already.
        """
        if fact.id in self.facts:
            raise ValueError(f"fact {fact.id} is held already")
        self.facts[fact.id] = fact
        self._of_document.setdefault(fact.document_id, set()).add(fact.id)
        for key, mention in self._mentions(fact):
            self._register.add(key, mention)
        entities = frozenset(self._entities(fact))
        self._links.add(LinkedFact(fact.id, _at(fact), entities, fact.sketch, fact.causes))
        touched = {fact.id} | self._links.followers_of(fact.id)
        for slot, held in self._claimed(fact).items():
            self._slots.setdefault(slot, {})[fact.id] = held
            touched |= self._unchain(slot)
        return touched

    def remove(self, fact_id: str) -> set[str]:
        """Let go of a fact; ids of facts whose standing this may change. One that is not held changes nothing."""
        fact = self.facts.get(fact_id)
        if fact is None:
            return set()
        touched = self._links.followers_of(fact_id)
        self._links.remove(fact_id)
        for slot in self._claimed(fact):
            del self._slots[slot][fact_id]
            touched |= self._unchain(slot)
            if not self._slots[slot]:
                del self._slots[slot]
        for key, mention in self._mentions(fact):
            self._register.remove(key, mention)
        del self.facts[fact_id]
        self._of_document[fact.document_id].discard(fact_id)
        if not self._of_document[fact.document_id]:
            del self._of_document[fact.document_id]
        return touched - {fact_id}

    def rename(self, names: Names) -> set[str]:
        """Names mean other entities from now on; ids of facts whose standing this may change."""
        changed = {
            name
            for name in {*self.names.key_of, *names.key_of}
            if self.names.key_of.get(name) != names.key_of.get(name)
        }
        facts = [fact for fact in self.facts.values() if changed.intersection(_names_in(fact))]
        touched: set[str] = set()
        for fact in facts:
            touched |= self.remove(fact.id)
        self.names = names
        for fact in facts:
            touched |= self.add(fact)
        return touched

    def standing(self, fact_id: str) -> Standing:
        """What the others make of a fact that is held.

        Raises:
            KeyError: it is not held.
        """
        fact = self.facts[fact_id]
        held = [self._chain(slot)[fact_id] for slot in self._claimed(fact)]
        return Standing(_validity(held), self._entities(fact), self._links.links_of(fact_id))

    def holds(self, fact_id: str) -> bool:
        """Whether no later fact has closed one that is held."""
        return all(self._chain(slot)[fact_id].superseded_by is None for slot in self.slots_of(fact_id))

    def slots_of(self, fact_id: str) -> tuple[Slot, ...]:
        """The slots that a fact that is held fills."""
        fact = self.facts[fact_id]
        return tuple(self._claimed(fact)) if fact.claims else ()

    def in_slot(self, slot: Slot) -> set[str]:
        """Ids of the facts that fill a slot."""
        return set(self._slots.get(slot, ()))

    def entities_of(self, fact_id: str) -> frozenset[str]:
        """Keys of the entities that a fact that is held mentions."""
        return frozenset(self._entities(self.facts[fact_id]))

    def alike(self, fact_id: str) -> dict[str, float]:
        """Facts near in meaning to one that is held, before and after it, with their cosines, about."""
        return self._links.alike(fact_id)

    def of_document(self, document_id: str) -> frozenset[str]:
        """Ids of the facts of a document."""
        return frozenset(self._of_document.get(document_id, ()))

    def entities(self) -> Mapping[str, Entity]:
        """All entities that are mentioned, by key."""
        return self._register.entities()

    def chains(self) -> Mapping[Slot, Mapping[str, Validity]]:
        """The chain of each slot."""
        return {slot: self._chain(slot) for slot in self._slots}

    def _unchain(self, slot: Slot) -> set[str]:
        self._chains.pop(slot, None)
        return set(self._slots[slot])

    def _chain(self, slot: Slot) -> Mapping[str, Validity]:
        if slot not in self._chains:
            self._chains[slot] = chain_of(self._slots[slot].values())
        return self._chains[slot]

    def _entities(self, fact: LiveFact) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.names.key(name) for name, _ in fact.mentions))

    def _mentions(self, fact: LiveFact) -> Iterable[tuple[str, EntityMention]]:
        for name, kind in fact.mentions:
            yield self.names.key(name), EntityMention(fact.id, name, kind, fact.mentioned_at)

    def _claimed(self, fact: LiveFact) -> dict[Slot, SlotFact]:
        """The slots a fact fills; of two claims on one, the first counts."""
        found: dict[Slot, SlotFact] = {}
        for claim in fact.claims:
            slot = self.names.key(claim.subject), claim.attribute
            found.setdefault(slot, _slot_fact(fact, claim))
        return found


def _names_in(fact: LiveFact) -> Iterable[str]:
    yield from (normal_name(name) for name, _ in fact.mentions)
    yield from (normal_name(claim.subject) for claim in fact.claims)


def _slot_fact(fact: LiveFact, claim: Claim) -> SlotFact:
    return SlotFact(
        fact.id,
        claim.value,
        fact.mentioned_at,
        fact.seq,
        fact.occurred,
        claim.holds,
        claim.replaces,
        claim.happened,
    )


def _validity(held: list[Validity]) -> Validity | None:
    """When a fact holds by all of its slots: from the latest begin to the earliest end; None if it fills no slot."""
    if not held:
        return None
    closed = sorted(
        (each for each in held if each.valid_to is not None), key=lambda each: (each.valid_to, each.superseded_by)
    )
    begin = max(each.valid_from for each in held)
    return replace(closed[0], valid_from=min(begin, closed[0].valid_to or begin)) if closed else Validity(begin)


def _at(fact: LiveFact) -> datetime:
    return fact.occurred.start if fact.occurred is not None else fact.mentioned_at
