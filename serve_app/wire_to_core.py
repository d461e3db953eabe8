"""What clients send -> what the core takes: retain commands, recall queries, tag filters."""

import re
import uuid
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from lorebank import wire
from memory.addresses import Address
from memory.commands import Item, Message, Retain
from memory.consolidating.scopes import encode_scoping
from memory.errors import InvalidRequest
from memory.filters import Any_, Filter, Not, every, tags_filter
from memory.periods import Period
from memory.recall import MinScores, RecallQuery
from memory.recipes import RECIPES
from memory.records import UnitType

_WORD = re.compile(r"[^\W_]")


def to_retain(request: wire.RetainRequest) -> Retain:
    """The command; its operation id is the caller's or a new one."""
    return Retain(
        operation_id=request.operation_id or str(uuid.uuid4()),
        items=tuple(_item(item) for item in request.items),
        document_tags=tuple(request.document_tags),
    )


def to_recall_query(request: wire.RecallRequest) -> RecallQuery:
    """The query.

    Raises:
        InvalidRequest: `query_timestamp` is no instant, or there is no such `recipe`.
    """
    scores = request.min_scores or wire.MinScores()
    return RecallQuery(
        query=request.query,
        types=to_types(request.types),
        budget=request.budget,
        max_tokens=request.max_tokens,
        limit=request.limit,
        where=to_filter(request.tags, request.tags_match, request.tag_groups),
        query_timestamp=_query_instant(request.query_timestamp),
        min_scores=MinScores(scores.semantic, scores.keyword, scores.final, scores.reranker),
        asked_of=_period(request.temporal_window),
        trace=request.trace,
        recipe=_recipe(request.recipe),
        as_of=request.as_of,
        min_seq=request.min_seq,
    )


def to_address(scope: wire.BankScope) -> Address:
    """Address of a bank."""
    return Address(scope.host, scope.agent, scope.user)


def to_types(types: Iterable[wire.RecallType] | None) -> tuple[UnitType, ...]:
    """Types of units; none given: all of them."""
    return tuple(dict.fromkeys(UnitType(kind) for kind in types or ()))


def to_filter(
    tags: Iterable[str] | None, match: wire.TagsMatch, groups: Iterable[wire.TagGroup] | None = None
) -> Filter:
    """Filter of a request's tags and of its tag groups, all of which must match."""
    return every(tags_filter(tuple(tags or ()), match), *(_group_filter(group) for group in groups or ()))


def to_message(message: wire.Message) -> Message:
    """A turn; one without a time happens now."""
    return Message(message.content, message.role, message.name, _instant(message.timestamp), message.metadata)


def has_word(text: str | None) -> bool:
    """Whether a text can be searched for: it holds a letter or a digit."""
    return text is not None and _WORD.search(text) is not None


def _group_filter(group: wire.TagGroup) -> Filter:
    match group:
        case wire.TagLeaf():
            return tags_filter(group.tags, group.match) or every()
        case wire.TagAnd():
            return every(*(_group_filter(part) for part in group.and_))
        case wire.TagOr():
            return Any_(tuple(_group_filter(part) for part in group.or_))
        case wire.TagNot():
            return Not(_group_filter(group.not_))


def _item(item: wire.RetainItem) -> Item:
    content = item.content
    timeless = item.timestamp == "unset"
    if isinstance(content, str):
        said: str | tuple[Message, ...] = content
    elif all(isinstance(part, wire.TextBlock) for part in content):
        said = "\n".join(part.text for part in content if isinstance(part, wire.TextBlock))
    else:
        said = tuple(to_message(part) for part in content if isinstance(part, wire.Message))
        timeless = timeless or all(isinstance(part, wire.Message) and part.timestamp == "unset" for part in content)
    return Item(
        content=said,
        document_id=item.document_id,
        timestamp=_instant(item.timestamp),
        timeless=timeless,
        context=item.context,
        metadata=item.metadata,
        tags=tuple(item.tags),
        entities=tuple((entity.text, entity.type) for entity in item.entities),
        update_mode=item.update_mode,
        scoping=encode_scoping(item.observation_scopes),
    )


def _instant(value: datetime | Literal["unset"] | None) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _period(window: wire.TemporalWindow | None) -> Period | None:
    if window is None:
        return None
    start, end = window.start.astimezone(UTC).date(), window.end.astimezone(UTC).date()
    return Period(start, end + timedelta(days=1) if end < date.max else end)


def _recipe(name: str | None) -> str | None:
    if name is not None and name not in RECIPES:
        raise InvalidRequest(f"recipe: there is none of that name; there are {', '.join(RECIPES)}")
    return name


def _query_instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return wire.parse_instant(text)
    except ValueError as exc:
        raise InvalidRequest(f"query_timestamp {exc}") from exc
