"""Directives: rules of a bank's owner that precede everything else a reflection is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from memory.encoding import instant_from_text, instant_to_micros, instant_to_text
from memory.filters import TRUE, Filter, holds
from memory.records import Record, RecordKind

DIRECTIVES = "directives"
"""The head's counter of directives; without one there is nothing to read."""
MAX_DIRECTIVES = 100
"""Of one bank: all of them are read for each reflection."""
ACTIVE = "active"
INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Directive:
    """A rule; higher priorities come first. With tags it holds where a request asks for them, else always."""

    id: str
    name: str
    content: str
    created_at: datetime
    updated_at: datetime
    priority: int = 0
    active: bool = True
    tags: tuple[str, ...] = ()

    def changed(self, changes: Mapping[str, Any], now: datetime) -> "Directive":
        """With fields of `changes` (name, content, priority, active, tags) set."""
        return replace(self, **changes, updated_at=now)


def encode_directive(directive: Directive) -> Record:
    """Its record."""
    body = {
        "name": directive.name,
        "content": directive.content,
        "priority": directive.priority,
        "active": directive.active,
        "tags": list(directive.tags),
        "created_at": instant_to_text(directive.created_at),
        "updated_at": instant_to_text(directive.updated_at),
    }
    status = ACTIVE if directive.active else INACTIVE
    order = instant_to_micros(directive.created_at)
    return Record(RecordKind.DIRECTIVE, directive.id, body, order=order, status=status)


def decode_directive(record: Record) -> Directive:
    """Inverse of encode_directive."""
    body = record.body
    return Directive(
        id=record.key,
        name=body["name"],
        content=body["content"],
        created_at=instant_from_text(body["created_at"]),
        updated_at=instant_from_text(body["updated_at"]),
        priority=body["priority"],
        active=body["active"],
        tags=tuple(body["tags"]),
    )


def in_order(directives: Sequence[Directive]) -> tuple[Directive, ...]:
    """Highest priority first, then the oldest."""
    return tuple(sorted(directives, key=lambda one: (-one.priority, one.created_at, one.id)))


def applying(
    directives: Sequence[Directive], where: Filter = TRUE, *, scoped: bool = False, everything: bool = False
) -> tuple[Directive, ...]:
    """Active directives that hold for a request, in order.

    where: the request's filter by tags, where it is `scoped`; everything: whatever their tags.
    """
    return in_order([one for one in directives if one.active and (everything or _applies(one, where, scoped=scoped))])


def _applies(directive: Directive, where: Filter, *, scoped: bool) -> bool:
    return not directive.tags or (scoped and holds(where, directive.id, {"tags": directive.tags}))
