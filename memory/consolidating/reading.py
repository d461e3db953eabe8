"""What a batch is made of: new facts in order, the groups they belong to, the observations that rest on those."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memory.consolidating.grouping import stands
from memory.consolidating.scopes import Tags, scopes_of
from memory.consolidating.targets import Cursor, is_meant
from memory.filters import AnyOf, Filter, every
from memory.knowledge import Knowledge
from memory.links import ENTITY, SEMANTIC
from memory.protocol import SLICE_UNITS, Steps
from memory.records import Unit, UnitKind
from memory.store_calls import ListUnits, UnitPage

NEAR = 4
"""Other facts that are looked at for one."""
_OBSERVATION: Filter = AnyOf("kind", (UnitKind.OBSERVATION.value,))


def facts_after(knowledge: Knowledge, cursor: Cursor, targets: Sequence[Tags] = ()) -> Iterator[tuple[int, str]]:
    """(seq, id) of the facts that were not taken yet; targets: of these scopes alone."""
    facts, place = knowledge.facts.values(), cursor.place
    behind = (fact for fact in facts if (fact.seq, fact.id) > place)
    if cursor.ahead or targets:  # else nothing is asked of each of what may be a hundred thousand facts
        behind = (fact for fact in behind if is_meant(fact.tags, targets) and not cursor.is_past(fact))
    return ((fact.seq, fact.id) for fact in behind)


@dataclass(frozen=True, slots=True)
class FindObservations:
    """Procedure: live observations that rest on any of the facts."""

    facts: tuple[str, ...]

    def steps(self) -> Steps[tuple[Unit, ...]]:
        """The observations by id."""
        return (yield from _on(self.facts))


def observations_on(facts: Iterable[str]) -> FindObservations:
    """As FindObservations."""
    return FindObservations(tuple(facts))


def neighbours_of(knowledge: Knowledge, facts: Iterable[str], default: str) -> Mapping[str, tuple[str, ...]]:
    """For each fact others that stand, near in meaning or about the same, in a scope of its own; the nearest first."""
    found: dict[str, tuple[str, ...]] = {}
    for fact_id in facts:
        scopes = _scopes(knowledge, fact_id, default)
        near = sorted(knowledge.alike(fact_id).items(), key=lambda item: (-item[1], item[0]))
        links = [link.to for link in knowledge.standing(fact_id).links if link.type in {SEMANTIC, ENTITY}]
        slots = sorted(other for slot in knowledge.slots_of(fact_id) for other in knowledge.in_slot(slot))
        ids = dict.fromkeys((*(other for other, _ in near), *slots, *links))
        beside = [other for other in ids if other != fact_id and stands(knowledge, other)]
        found[fact_id] = tuple(other for other in beside if scopes & _scopes(knowledge, other, default))[:NEAR]
    return found


def _scopes(knowledge: Knowledge, fact_id: str, default: str) -> set[tuple[str, ...]]:
    fact = knowledge.facts[fact_id]
    return set(scopes_of(fact.tags, fact.scoping or default))


def _on(facts: Sequence[str]) -> Steps[tuple[Unit, ...]]:
    found: dict[str, Unit] = {}
    for start in range(0, len(facts), SLICE_UNITS):
        where = every(_OBSERVATION, AnyOf("source_ids", tuple(facts[start : start + SLICE_UNITS])))
        seen, total = 0, 1
        while seen < total:
            page: UnitPage = yield ListUnits(SLICE_UNITS, seen, where)
            if not page.units:
                break
            found.update((unit.id, unit) for unit in page.units)
            seen, total = seen + len(page.units), page.total
    return tuple(found[id_] for id_ in sorted(found))
