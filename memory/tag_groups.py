"""Boolean trees of tags as JSON, which is how they are stored, to filters."""

from collections.abc import Mapping
from typing import Any

from memory.errors import Unprocessable
from memory.filters import Any_, Filter, Not, every, tags_filter


def group_filter(group: Mapping[str, Any]) -> Filter:
    """Filter of {tags, match} | {and: [...]} | {or: [...]} | {not: ...}.

    Raises:
        Unprocessable: it is none of these.
    """
    match group:
        case {"tags": [*tags]}:
            return tags_filter(tags, group.get("match") or "any_strict") or every()
        case {"and": [*parts]}:
            return every(*map(group_filter, parts))
        case {"or": [*parts]}:
            return Any_(tuple(map(group_filter, parts)))
        case {"not": {} as part}:
            return Not(group_filter(part))
        case _:
            raise Unprocessable("a tag group is {tags, match}, {and}, {or} or {not}")
