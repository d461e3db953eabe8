"""The facts of a bank as its owner keeps them, and what plans that add or retire facts mean for the others.

Facts that a stage extracted have a document; units that were derived otherwise are none of this.
"""

from collections.abc import Iterable
from dataclasses import replace

from memory.facts import live_fact, validity_of
from memory.filters import AnyOf
from memory.knowledge import Knowledge, Names, Standing
from memory.plans import Plan
from memory.protocol import Steps
from memory.records import Relinked, Unit, UnitKind, UnitType
from memory.store_calls import ListUnits, UnitPage
from memory.supersession import Validity

FACT_BYTES = 4096
"""What a fact takes in the owner's memory, roughly."""
PAGE_FACTS = 1000


class KnownFacts:
    """Live facts with what is stored of their standing; changed with every plan, so that it is what the store holds."""

    def __init__(self, names: Names | None = None) -> None:
        self.knowledge = Knowledge(names)
        self._stored: dict[str, Standing] = {}
        self._types: dict[str, UnitType] = {}

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
                self._types[unit.id] = unit.type

    def type_of(self, fact_id: str) -> UnitType:
        """Type of a fact that is held.

        Raises:
            KeyError: it is not held.
        """
        return self._types[fact_id]

    def follow(self, plan: Plan) -> Plan:
        """The plan with the standing of the facts it adds, and of those that stay and whose standing it changes."""
        touched = {one.unit_id for one in plan.relink}
        for id_ in plan.retire:
            touched |= self._forget(id_)
        added = [new for new in plan.add if is_extracted(new.unit)]
        for new in added:
            touched |= self._forget(new.unit.id) | self.knowledge.add(live_fact(new.unit))
            self._types[new.unit.id] = new.unit.type
        return self._with_standings(plan, touched)

    def _forget(self, fact_id: str) -> set[str]:
        self._stored.pop(fact_id, None)
        self._types.pop(fact_id, None)
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
