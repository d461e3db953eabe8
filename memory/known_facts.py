"""The facts of a bank as its owner keeps them, and what plans that add or retire facts mean for the others.

Facts that a stage extracted have a document; units that were derived otherwise are none of this.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from memory.commands import ListEntities
from memory.curation import CURATED, INVALIDATED, Curation, decode_curation
from memory.entities import Entity
from memory.entity_names import NamedEntity, decode_entity, names_of
from memory.facts import live_fact, validity_of
from memory.filters import AnyOf
from memory.knowledge import Knowledge, Standing
from memory.plans import Plan
from memory.policy import sooner
from memory.protocol import Steps
from memory.records import Record, RecordKind, Relinked, Unit, UnitKind, UnitType
from memory.store_calls import ListRecords, ListUnits, RecordPage, UnitPage
from memory.supersession import Validity

FACT_BYTES = 4096
"""What a fact takes in the owner's memory, roughly."""
PAGE_FACTS = 1000
EXPIRING = "expiring"
"""The head's counter of facts that are to be let go at a time of their own."""


class KnownFacts:
    """Live facts with what is stored of their standing; changed with every plan, so that it is what the store holds."""

    def __init__(self, named: Iterable[NamedEntity] = (), curations: Iterable[Curation] = ()) -> None:
        self.named = {entity.key: entity for entity in named}
        self.knowledge = Knowledge(names_of(self.named.values()))
        self._stored: dict[str, Standing] = {}
        self._types: dict[str, UnitType] = {}
        self._expiring: dict[str, datetime] = {}
        self._curations = {curation.unit.id: curation for curation in curations}

    def __len__(self) -> int:
        return len(self._stored)

    def __contains__(self, fact_id: object) -> bool:
        return fact_id in self._stored

    def load(self, units: Iterable[Unit]) -> None:
        """Take in facts as they are stored."""
        for unit in units:
            if is_extracted(unit):
                self.knowledge.add(live_fact(unit))
                self._stored[unit.id] = standing_of(unit)
                self._note(unit)

    def expired(self, now: datetime) -> list[str]:
        """Ids of facts past their time, the longest first."""
        past = sorted((until, id_) for id_, until in self._expiring.items() if until <= now)
        return [id_ for _, id_ in past]

    def next_expiry(self) -> datetime | None:
        """When the first fact is past its time, or was."""
        return min(self._expiring.values(), default=None)

    def type_of(self, fact_id: str) -> UnitType:
        """Type of a fact that is held.

        Raises:
            KeyError: it is not held.
        """
        return self._types[fact_id]

    def of_document(self, document_id: str, unread: Collection[str] = ()) -> frozenset[str]:
        """Ids of a document's facts, without those that cite a unit that is `unread`."""
        facts, held = self.knowledge.facts, self.knowledge.of_document(document_id)
        apart = frozenset(unread)
        return frozenset(id_ for id_ in held if apart.isdisjoint(facts[id_].sources))

    def is_invalidated(self, fact_id: str) -> bool:
        """Whether somebody said that it is not true; it may be extracted again, and stays away."""
        found = self._curations.get(fact_id)
        return found is not None and found.state == INVALIDATED

    def page(self, asked: ListEntities) -> "EntityPage":
        """Entities, most mentioned first."""
        entities = self.knowledge.entities()
        if asked.key is not None:
            chosen = [entities[asked.key]] if asked.key in entities else []
        else:
            chosen = sorted(entities.values(), key=lambda one: (-one.mentions, one.key))
        page = chosen[asked.offset : asked.offset + asked.limit]
        names = {key: entities[key].name for one in page for key in one.company if key in entities}
        return EntityPage(
            tuple(page), {one.key: self.named[one.key] for one in page if one.key in self.named}, names, len(chosen)
        )

    def effort_of(self, plan: Plan) -> int:
        """What following a plan takes, on the scale of FACT_BYTES: what comes or goes is compared with all facts."""
        return (len(plan.add) + len(plan.retire)) * (FACT_BYTES + len(self) // 2)

    def follow(self, plan: Plan) -> Plan:
        """The plan with the standing of the facts it adds, and of those that stay and whose standing it changes.

        What was said of facts by hand goes with their sources.
        """
        plan = self._without_curations(plan)
        touched = {one.unit_id for one in plan.relink} | self._rename(plan)
        for id_ in plan.retire:
            touched |= self._forget(id_)
        added = [new for new in plan.add if is_extracted(new.unit)]
        for new in added:
            touched |= self._forget(new.unit.id) | self.knowledge.add(live_fact(new.unit))
            self._note(new.unit)
        return self._with_standings(self._due(plan), touched)

    def _note(self, unit: Unit) -> None:
        self._types[unit.id] = unit.type
        if unit.expires_at is not None:
            self._expiring[unit.id] = unit.expires_at

    def _due(self, plan: Plan) -> Plan:
        """The plan with its bank due when the first fact is past its time, and with how many will be."""
        counters = {**plan.head_after.counters, EXPIRING: len(self._expiring)}
        due_at = sooner(plan.head_after.due_at, self.next_expiry())
        held = {name: count for name, count in counters.items() if count}
        return replace(plan, head_after=replace(plan.head_after, counters=held, due_at=due_at))

    def _without_curations(self, plan: Plan) -> Plan:
        written = {record.key: record for record in plan.records if record.kind is RecordKind.CURATION}
        self._curations |= {key: decode_curation(record) for key, record in written.items()}
        gone = set(plan.retire)
        ends = [
            key
            for key, curation in self._curations.items()
            if key not in written and (key in gone or any(source.unit_id in gone for source in curation.unit.sources))
        ]
        for key in ends:
            del self._curations[key]
        before = plan.head_after.counters
        if not ends:
            return plan
        counters = {**before, CURATED: before.get(CURATED, 0) - len(ends)}
        head = replace(plan.head_after, counters={name: count for name, count in counters.items() if count})
        remove = (*plan.remove, *((RecordKind.CURATION, key) for key in sorted(ends)))
        return replace(plan, head_after=head, remove=remove)

    def _rename(self, plan: Plan) -> set[str]:
        """Take in what the plan says of entities; ids of facts whose standing that may change."""
        written = [record for record in plan.records if record.kind is RecordKind.ENTITY]
        if not written:
            return set()
        for kind, key in plan.remove:
            if kind is RecordKind.ENTITY:
                self.named.pop(key, None)
        self.named |= {record.key: decode_entity(record.key, record.body) for record in written}
        return self.knowledge.rename(names_of(self.named.values()))

    def _forget(self, fact_id: str) -> set[str]:
        self._stored.pop(fact_id, None)
        self._types.pop(fact_id, None)
        self._expiring.pop(fact_id, None)
        return self.knowledge.remove(fact_id)

    def _with_standings(self, plan: Plan, touched: set[str]) -> Plan:
        now = {id_: self.knowledge.standing(id_) for id_ in touched if id_ in self.knowledge.facts}
        add = tuple(
            replace(new, unit=standing_on(new.unit, now[new.unit.id])) if is_extracted(new.unit) else new
            for new in plan.add
        )
        new_ids = {new.unit.id for new in add}
        ours = {
            id_: relinked_to(id_, standing)
            for id_, standing in sorted(now.items())
            if id_ not in new_ids and self._stored.get(id_) != standing
        }
        self._stored.update(now)
        others = tuple(one for one in plan.relink if one.unit_id not in self._stored)
        return replace(plan, add=add, relink=(*others, *ours.values()))


@dataclass(frozen=True, slots=True)
class EntityPage:
    """One page of entities, with what was said of them by hand, and the names of those in their company; by key."""

    entities: tuple[Entity, ...]
    named: Mapping[str, NamedEntity]
    names: Mapping[str, str]
    total: int

    def names_and_types(self) -> tuple[tuple[str, str], ...]:
        """(name, type) of each entity, as it is called by hand where somebody did."""
        said = ((one, self.named.get(one.key)) for one in self.entities)
        return tuple(((by and by.name) or one.name, (by and by.type) or one.type) for one, by in said)


class ReadFacts:
    """Procedure: all extracted facts of a bank, read in its owner's turn."""

    def steps(self) -> Steps[tuple[Unit, ...]]:
        """The facts, newest first."""
        facts: list[Unit] = []
        total = 1
        while len(facts) < total:
            page: UnitPage = yield ListUnits(PAGE_FACTS, len(facts), AnyOf("kind", (UnitKind.FACT.value,)))
            if not page.units:
                break
            facts.extend(page.units)
            total = page.total
        return tuple(facts)


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """What is stored of a bank's facts: the units, and the records of what was said of them and of entities by hand."""

    units: tuple[Unit, ...]
    entities: tuple[Record, ...]
    curations: tuple[Record, ...]

    def known(self) -> KnownFacts:
        """What an owner makes of it; some 0.1 ms a fact."""
        known = KnownFacts(
            [decode_entity(record.key, record.body) for record in self.entities],
            [decode_curation(record) for record in self.curations],
        )
        known.load(self.units)
        return known


class ReadKnown:
    """Procedure: all that an owner is to know of its bank's facts, read in its turn."""

    def steps(self) -> Steps[StoredFacts]:
        """The facts with what was said by hand."""
        entities = yield from _records(RecordKind.ENTITY)
        curations = yield from _records(RecordKind.CURATION)
        units = yield from ReadFacts().steps()
        return StoredFacts(units, tuple(entities), tuple(curations))


def _records(kind: RecordKind) -> Steps[list[Record]]:
    found: list[Record] = []
    total = 1
    while len(found) < total:
        page: RecordPage = yield ListRecords(kind, PAGE_FACTS, len(found))
        if not page.records:
            break
        found.extend(page.records)
        total = page.total
    return found


def is_extracted(unit: Unit) -> bool:
    """Whether a stage extracted it from a document."""
    return unit.kind is UnitKind.FACT and bool(unit.document_id)


def standing_of(unit: Unit) -> Standing:
    """A fact's standing as it is stored."""
    return Standing(validity_of(unit), unit.entities, unit.links)


def standing_on(unit: Unit, standing: Standing) -> Unit:
    """A fact with its standing."""
    validity = standing.validity
    return replace(
        unit,
        links=standing.links,
        entities=standing.entities,
        valid_from=validity.valid_from if validity else None,
        valid_to=validity.valid_to if validity else None,
        superseded_by=validity.superseded_by if validity else None,
    )


def relinked_to(fact_id: str, standing: Standing) -> Relinked:
    """What is written of a fact that stays and whose standing changes."""
    held: Validity | None = standing.validity
    if held is None:
        return Relinked(fact_id, standing.links, None, None, None, standing.entities)
    return Relinked(fact_id, standing.links, held.superseded_by, held.valid_to, held.valid_from, standing.entities)
