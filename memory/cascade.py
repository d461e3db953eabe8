"""What goes with units that are retired: what was derived from them, and what points at them.

Computed in the bank's turn, on a settled head, so that whatever an earlier plan derived is seen.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from memory.consolidating.observations import without_versions
from memory.filters import Any_, AnyOf, Filter
from memory.plans import Plan
from memory.protocol import SLICE_UNITS, Steps
from memory.records import Record, RecordKind, Relinked, Unit, UnitKind
from memory.store_calls import FindLive, GetRecords, ListUnits, UnitPage
from memory.sweeping import micros

DERIVED = "derived"
"""The head's counter of units that are no chunks. Links and supersessions are theirs alone: without one there is
nothing to look for."""
PENDING = "pending"
"""Status of a record of what is to be derived again."""


@dataclass(frozen=True, slots=True)
class Cascade:
    """Units that go too; of those with sources that stay, which; units that stay, without what they pointed at."""

    retire: tuple[Unit, ...]
    left: Mapping[str, tuple[str, ...]]
    relink: tuple[Relinked, ...]
    histories: Mapping[str, Record] = field(default_factory=dict)
    """Of the observations among both: what they said before."""


@dataclass(frozen=True, slots=True)
class FindCascade:
    """Procedure that looks for all that goes with the retirement of units, step by step to the last derived one."""

    retired: tuple[str, ...]

    def steps(self) -> Steps[Cascade]:
        """Nothing is written."""
        gone, derived = set(self.retired), dict[str, Unit]()
        frontier = self.retired
        while frontier:
            found = yield from _units("source_ids", ids=frontier)
            new = {unit.id: unit for unit in found if unit.id not in gone}
            gone.update(new)
            derived.update(new)
            frontier = tuple(new)
        others = {source.unit_id for unit in derived.values() for source in unit.sources} - gone
        live: frozenset[str] = frozenset()
        for part in _sliced(sorted(others)):
            live |= yield FindLive(part)
        sources = {unit.id: [source.unit_id for source in unit.sources] for unit in derived.values()}
        left = {unit: tuple(one for one in cited if one in live) for unit, cited in sources.items()}
        left = {unit: cited for unit, cited in left.items() if cited}
        pointing = yield from _units("link_ids", "superseded_by", ids=(*self.retired, *derived))
        relink = {unit.id: _without(unit, gone) for unit in pointing if unit.id not in gone}
        observed = (*derived.values(), *(unit for unit in pointing if unit.id not in gone))
        told = tuple(dict.fromkeys(unit.id for unit in observed if unit.kind is UnitKind.OBSERVATION))
        histories: dict[str, Record] = {}
        if told:
            histories = yield GetRecords(RecordKind.OBSERVATION, told)
        return Cascade(tuple(derived.values()), left, tuple(relink.values()), histories)


def needs_cascade(plan: Plan) -> tuple[str, ...]:
    """Units that go with a plan for good; none where nothing can be derived from them."""
    if plan.clear or not plan.head_after.counters.get(DERIVED):
        return ()
    back = {new.unit.id for new in plan.add}
    return tuple(unit for unit in plan.retire if unit not in back)


def cascaded(plan: Plan, cascade: Cascade, now: datetime) -> Plan:
    """The plan with what goes too, and with a record of each derived unit that has sources left."""
    counters = count_derived(plan.head_after.counters, (), cascade.retire)
    by_id = {unit.id: unit for unit in cascade.retire}
    # What is left of a fact's sources is extracted again with its document, which has stage work of its own for that.
    left = ((by_id[unit], cited) for unit, cited in sorted(cascade.left.items()))
    again = (_again(unit, cited, now) for unit, cited in left if not (_is_extracted(unit) or _is_reflection(unit)))
    gone = {*plan.retire, *by_id}
    told = (without_versions(record, gone) for key, record in cascade.histories.items() if key not in gone)
    said = {one.unit_id for one in plan.relink}  # the plan knows better: a repair has looked at all facts
    return replace(
        plan,
        head_after=replace(plan.head_after, counters=counters),
        retire=(*plan.retire, *by_id),
        relink=(*plan.relink, *(one for one in cascade.relink if one.unit_id not in said)),
        records=(*plan.records, *again, *told),
        remove=(
            *plan.remove,
            *((RecordKind.OBSERVATION, key) for key in cascade.histories if key in gone),
            *((RecordKind.REFLECTION, unit.id) for unit in filter(_is_reflection, cascade.retire)),
        ),
    )


def count_derived(counters: Mapping[str, int], added: Sequence[Unit], retired: Sequence[Unit]) -> dict[str, int]:
    """The head's counters after derived units came and went."""
    counted = Counter(counters)
    for units, sign in ((added, 1), (retired, -1)):
        for unit in units:
            assert unit.kind is not UnitKind.CHUNK
            for name in ("units", DERIVED, f"type:{unit.type.value}"):
                counted[name] += sign
    return {name: count for name, count in counted.items() if count}


def _is_reflection(unit: Unit) -> bool:
    """An answer goes whole with anything that it was given for."""
    return unit.kind is UnitKind.REFLECTION


def _is_extracted(unit: Unit) -> bool:
    return unit.kind is UnitKind.FACT and bool(unit.document_id)


def _again(unit: Unit, sources: tuple[str, ...], now: datetime) -> Record:
    """Ids alone: what is left is derived from the sources as they are when it is done, without those gone by then."""
    body = {"kind": unit.kind.value, "type": unit.type.value, "sources": list(sources)}
    return Record(RecordKind.REDERIVE, unit.id, body, order=micros(now), status=PENDING)


def _without(unit: Unit, gone: set[str]) -> Relinked:
    """A unit that a gone one superseded holds again: its end was the other one's beginning."""
    links = tuple(link for link in unit.links if link.to not in gone)
    superseded_by, valid_to = (None, None) if unit.superseded_by in gone else (unit.superseded_by, unit.valid_to)
    return Relinked(unit.id, links, superseded_by, valid_to, unit.valid_from, unit.entities)


def _units(*fields: str, ids: Sequence[str]) -> Steps[list[Unit]]:
    """Live units any of whose fields names one of the ids."""
    found: dict[str, Unit] = {}
    for part in _sliced(ids):
        where: Filter = Any_(tuple(AnyOf(field, part) for field in fields))
        seen, total = 0, 1
        while seen < total:
            page: UnitPage = yield ListUnits(SLICE_UNITS, seen, where)
            if not page.units:
                break
            found.update((unit.id, unit) for unit in page.units)
            seen, total = seen + len(page.units), page.total
    return list(found.values())


def _sliced(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(ids[start : start + SLICE_UNITS]) for start in range(0, len(ids), SLICE_UNITS))
