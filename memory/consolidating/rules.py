"""Observations without a language model: the facts of one group, in their own words. Nothing is inferred or worded."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from memory.consolidating.commands import Batch, Edits, Put
from memory.consolidating.grouping import Group
from memory.consolidating.observations import (
    MADE_BY,
    MAX_TEXT_CHARS,
    MODEL,
    RULES,
    observation,
    observation_id,
    says_the_same,
    with_earlier,
)
from memory.ids import Scope
from memory.records import Source, Unit
from memory.supersession import normal_value

LEAST_FACTS = 2
"""Facts that make an observation: one alone is found as it is."""
QUOTED = 3
"""Different wordings that an observation gives, the latest first."""


def decide_by_rules(scope: Scope, batch: Batch, facts: Mapping[str, Unit], now: datetime) -> Edits:
    """What a batch comes to: one observation for each group of two facts and more, and none else.

    facts: the cited members of the groups, as they are stored; a group one of whose members is missing is left for the
    next batch, which will not have it.
    """
    existing = {unit.id: unit for unit in batch.existing}
    puts: list[Put] = []
    kept: set[str] = set()
    for group in batch.groups:
        cited = [facts[id_] for id_ in group.cited if id_ in facts]
        if len(cited) < LEAST_FACTS:
            continue
        id_ = observation_id(scope, RULES, *group.scope, "", group.members[0])
        made = observation(id_, group.scope, text_of(cited), cited, RULES, now)
        kept.add(id_)
        before = existing.get(id_)
        if before is None:
            puts.append(Put(made, None, "merged" if _takes_over(group, batch) else "created"))
        elif not says_the_same(made, before):
            puts.append(Put(with_earlier(made, before), before, "refined"))
    gone = tuple(unit for unit in batch.existing if unit.id not in kept and not _still_holds(unit, batch))
    read = tuple(Source(unit.id, unit.seq, unit.content_hash) for unit in facts.values())
    return Edits(tuple(puts), gone, read)


def text_of(facts: Sequence[Unit]) -> str:
    """What facts say, the latest first, each wording once."""
    found: dict[str, str] = {}
    for fact in sorted(facts, key=lambda one: (one.mentioned_at or one.recorded_at, one.seq, one.id), reverse=True):
        found.setdefault(normal_value(fact.text), fact.text.strip())
    chosen: list[str] = []
    for text in list(found.values())[:QUOTED]:
        if chosen and sum(map(len, chosen)) + len(text) + len(chosen) > MAX_TEXT_CHARS:
            break
        chosen.append(text)
    return chosen[0] if len(chosen) == 1 else " ".join(text if text[-1] in ".!?" else f"{text}." for text in chosen)


def _takes_over(group: Group, batch: Batch) -> bool:
    members = set(group.members)
    return any(members.intersection(source.unit_id for source in unit.sources) for unit in batch.existing)


def _still_holds(unit: Unit, batch: Batch) -> bool:
    """Whether a language model made it of facts all of which stand."""
    standing = {member for group in batch.groups for member in group.members}
    return unit.metadata.get(MADE_BY) == MODEL and all(source.unit_id in standing for source in unit.sources)
