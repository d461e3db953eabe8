"""Plans that derive units from others in any way, more freely than the product does."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from actors.bank import Bank
from memory.cascade import count_derived
from memory.ids import digest, unit_id
from memory.ingest import unit_vectors
from memory.plans import Plan
from memory.records import Embedding, Link, Record, RecordKind, Source, Unit, UnitKind, UnitType
from memory.store_calls import GetRecords, ListUnits, NewUnit
from tests.support.builders import dense
from tests.support.clocks import START


@dataclass(frozen=True)
class Fact:
    """A unit derived from those whose texts are named; a source may be a fact that stands before it in the command."""

    text: str
    sources: tuple[str, ...]
    links: tuple[str, ...] = ()
    superseded_by: str | None = None


@dataclass(frozen=True)
class Derive:
    """A command of tests alone. Facts without any source that is live are left out, as stages leave them out."""

    operation_id: str
    facts: tuple[Fact, ...]


class DerivingBank(Bank):
    """The real Bank, which also takes the result of a stage that there is not yet."""

    async def _in_turn(self, active: Any, command: Any, prepared: Any, preparer: Any) -> Any:
        if not isinstance(command, Derive):
            return await super()._in_turn(active, command, prepared, preparer)
        store, key = self._ports.store, command.operation_id
        if key in await store.perform(self._scope, GetRecords(RecordKind.OPERATION, (key,))):
            return None
        page = await store.perform(self._scope, ListUnits(1000))
        known = {unit.text: unit for unit in sorted(page.units, key=lambda unit: unit.id)}
        made: dict[str, Unit] = {}
        for fact in command.facts:
            cited = tuple((made | known)[text] for text in fact.sources if text in made | known)
            if cited and fact.text not in known:
                made[fact.text] = self._unit(fact, cited)
        now = self._ports.clock.now()
        seq, epoch = active.head.seq + 1, active.head.epoch
        everything = known | made
        facts = {fact.text: fact for fact in command.facts}
        add = [replace(_pointing(unit, facts[text], everything), seq=seq, epoch=epoch) for text, unit in made.items()]
        head = replace(active.head, seq=seq, updated_at=now, counters=count_derived(active.head.counters, add, ()))
        operation = Record(RecordKind.OPERATION, key, {"task_type": "derive", "status": "completed", "seq": seq})
        news = tuple(NewUnit(unit, unit_vectors(unit, Embedding(dense(unit.text)))) for unit in add)
        await self._execute(active, Plan("derive", key, seq, head, add=news, records=(operation,)))
        return None

    def _unit(self, fact: Fact, cited: tuple[Unit, ...]) -> Unit:
        sources = tuple(Source(unit.id, unit.seq, unit.content_hash) for unit in cited)
        name = digest(fact.text, *(source.unit_id for source in sources)).hex()
        id_ = unit_id(self._scope, "", name, 0)
        return Unit(id_, UnitKind.FACT, UnitType.WORLD, fact.text, "", digest(fact.text).hex(), sources=sources)


def _pointing(unit: Unit, fact: Fact, known: dict[str, Unit]) -> Unit:
    links = tuple(Link(known[text].id, "causes", 0.5) for text in fact.links if text in known)
    if fact.superseded_by not in known:
        return replace(unit, links=links)
    return replace(unit, links=links, superseded_by=known[fact.superseded_by].id, valid_to=START + timedelta(days=1))
