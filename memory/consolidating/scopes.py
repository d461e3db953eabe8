"""Scopes of observations: under which tags a fact is consolidated with others."""

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import chain, combinations

from memory.errors import Unprocessable

COMBINED = "combined"
SHARED = "shared"
PER_TAG = "per_tag"
ALL_COMBINATIONS = "all_combinations"
MODES = (COMBINED, SHARED, PER_TAG, ALL_COMBINATIONS)
MAX_COMBINED = 4
"""Tags of which all combinations are made; of more, each tag and all of them together."""
MAX_SCOPES = 32
_REMEMBERED = 50_000

Tags = tuple[str, ...]


def encode_scoping(given: str | Sequence[Sequence[str]] | None) -> str | None:
    """How a fact is to be scoped, as it is stored: the name of a mode, or scopes as JSON.

    Raises:
        Unprocessable: it is none of the modes, or names too many scopes.
    """
    if given is None:
        return None
    if isinstance(given, str):
        if given not in MODES:
            raise Unprocessable(f"observation_scopes: {given!r} is none of {', '.join(MODES)}")
        return given
    if len(given) > MAX_SCOPES:
        raise Unprocessable(f"observation_scopes: at most {MAX_SCOPES} scopes")
    if not all(isinstance(scope, (list, tuple)) and all(isinstance(tag, str) for tag in scope) for scope in given):
        raise Unprocessable("observation_scopes: scopes are lists of tags")
    return json.dumps([list(scope) for scope in given], ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=_REMEMBERED)
def scopes_of(tags: Tags, scoping: str) -> tuple[Tags, ...]:
    """The scopes of a fact with these tags, each sorted; scoping: as encode_scoping gives it.

    In a list of scopes, an entry with `*` stands for the fact's own tags that match it; a scope none of whose entries
    match is left out.
    """
    own = tuple(sorted(set(tags)))
    if scoping == SHARED:
        return ((),)
    if scoping == COMBINED or not scoping:
        return (own,)
    if scoping == PER_TAG:
        return tuple((tag,) for tag in own) or ((),)
    if scoping == ALL_COMBINATIONS:
        sizes = range(1, len(own) + 1) if len(own) <= MAX_COMBINED else (1, len(own))
        return tuple(chain.from_iterable(combinations(own, size) for size in sizes)) or ((),)
    found: dict[Tags, None] = {}
    for scope in json.loads(scoping):
        named = {tag for entry in scope for tag in _named(entry, own)}
        if named or not scope:
            found[tuple(sorted(named))] = None
    return tuple(found)


def _named(entry: str, own: Tags) -> Tags:
    return tuple(tag for tag in own if fnmatchcase(tag, entry)) if "*" in entry else (entry,)
