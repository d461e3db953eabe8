"""What was said of entities by hand: names that mean one, its type, the platform's id of a person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memory.entities import entity_key, normal_name
from memory.knowledge import Names
from memory.records import Record, RecordKind


@dataclass(frozen=True, slots=True)
class NamedEntity:
    """An entity as somebody wants it known; `names` are those that mean it beside the one it has its key of."""

    key: str
    names: tuple[str, ...] = ()
    name: str | None = None
    type: str | None = None
    user_id: str | None = None


def encode_entity(entity: NamedEntity) -> Record:
    """Its record."""
    body = {"names": list(entity.names), "name": entity.name, "type": entity.type, "user_id": entity.user_id}
    return Record(RecordKind.ENTITY, entity.key, body)


def decode_entity(key: str, body: Mapping[str, Any]) -> NamedEntity:
    """Inverse of encode_entity."""
    return NamedEntity(key, tuple(body["names"]), body["name"], body["type"], body["user_id"])


def names_of(entities: Iterable[NamedEntity]) -> Names:
    """Which names mean which entity; of two that claim one, the one with the lower key."""
    found: dict[str, str] = {}
    for entity in sorted(entities, key=lambda one: one.key, reverse=True):
        found.update((normal_name(name), entity.key) for name in entity.names if entity_key(name) != entity.key)
    return Names(found)
