"""Observations as units, and the record of what each said before."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Any

from memory.consolidating.scopes import Tags
from memory.drafting import content_hash
from memory.encoding import instant_to_micros, instant_to_text
from memory.ids import Scope, point_id
from memory.records import Link, Record, RecordKind, Source, Unit, UnitKind, UnitType

EARLIER = "earlier"
"""Type of the links from an observation to facts that it rested on before: with them, what it said then goes."""
MAX_VERSIONS = 20
"""Earlier texts that are kept."""
MAX_EARLIER = 64
MADE_BY = "made_by"
"""Key of an observation's metadata: `rules` or `model`."""
RULES = "rules"
MODEL = "model"
MAX_TEXT_CHARS = 1000


def observation(id_: str, scope: Tags, text: str, facts: Sequence[Unit], made_by: str, now: datetime) -> Unit:
    """An observation that rests on facts; it is as fresh as the latest of them."""
    told = [at for fact in facts if (at := fact.mentioned_at or fact.recorded_at) is not None]
    starts = [fact.occurred_start for fact in facts if fact.occurred_start is not None]
    ends = [fact.occurred_end for fact in facts if fact.occurred_end is not None]
    return Unit(
        id=id_,
        kind=UnitKind.OBSERVATION,
        type=UnitType.OBSERVATION,
        text=text,
        document_id="",
        content_hash=content_hash(text, None),
        mentioned_at=max(told, default=None),
        recorded_at=now,
        occurred_start=min(starts, default=None),
        occurred_end=max(ends, default=None),
        entities=tuple(dict.fromkeys(entity for fact in facts for entity in fact.entities)),
        mentions=tuple(dict.fromkeys(mention for fact in facts for mention in fact.mentions)),
        tags=scope,
        metadata={MADE_BY: made_by},
        sources=tuple(Source(fact.id, fact.seq, fact.content_hash) for fact in facts),
        proof_count=len(facts),
    )


def observation_id(scope: Scope, *parts: str) -> str:
    """Id of an observation."""
    return point_id(scope, "observation", *parts)


def says_the_same(one: Unit, other: Unit) -> bool:
    """Whether two states of an observation say the same, resting on the same as it is now."""
    return (one.text, one.tags, one.sources) == (other.text, other.tags, other.sources)


def with_earlier(unit: Unit, before: Unit) -> Unit:
    """The next state of an observation, which points at what it rested on before."""
    cited = {source.unit_id for source in unit.sources}
    once = (*(link.to for link in before.links if link.type == EARLIER), *(one.unit_id for one in before.sources))
    kept = [fact for fact in dict.fromkeys(once) if fact not in cited][-MAX_EARLIER:]
    return replace(unit, links=tuple(Link(fact, EARLIER, 0.0) for fact in kept))


def history_record(unit: Unit, found: Record | None, before: Unit | None, change: str, now: datetime) -> Record:
    """The record of an observation's versions, with the one before that is replaced now.

    Versions that rested on facts that it does not point at are not kept: their text could not be taken back.
    """
    versions: list[dict[str, Any]] = list(found.body["versions"]) if found is not None else []
    number = found.body["version"] + 1 if found is not None else 1
    if before is not None:
        versions.append(
            {
                "version": number - 1,
                "text": before.text,
                "sources": [source.unit_id for source in before.sources],
                "proof_count": before.proof_count,
                "made_at": instant_to_text(before.recorded_at) if before.recorded_at else None,
                "replaced_at": instant_to_text(now),
                "change": change,
            }
        )
    held = {source.unit_id for source in unit.sources} | {link.to for link in unit.links}
    kept = [version for version in versions if held.issuperset(version["sources"])][-MAX_VERSIONS:]
    created = found.body["created_at"] if found is not None else instant_to_text(now)
    body = {"version": number, "created_at": created, "versions": kept}
    return Record(RecordKind.OBSERVATION, unit.id, body, order=instant_to_micros(now))


def without_versions(record: Record, gone: AbstractSet[str]) -> Record:
    """The record without the versions that rested on what is gone."""
    kept = [version for version in record.body["versions"] if gone.isdisjoint(version["sources"])]
    return replace(record, body={**record.body, "versions": kept})
