"""Understand a query without a language model: what of it to embed, whom it names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from memory.drafting import AGENT_ROLES

ROLE_NAMES = AGENT_ROLES | {"user", "human", "system", "developer"}
"""Speakers named by their role: words of the language, not names."""


@dataclass(frozen=True, slots=True)
class Understood:
    """The query for the keyword lane, the one to embed, and the bank's speakers it names."""

    lexical: str
    dense: str
    speakers: tuple[str, ...]


def understand(query: str, speakers: Iterable[str]) -> Understood:
    """Take the bank's known speakers out of the query that is embedded: a name swamps the sentence vector."""
    named: list[str] = []
    rest = query
    for speaker in sorted(set(speakers), key=lambda name: (-len(name), name)):
        if speaker.lower() in ROLE_NAMES or not speaker.strip():
            continue
        without = _without(rest, speaker)
        if without != rest:
            named.append(speaker)
            rest = without
    dense = " ".join(rest.split())
    return Understood(query, dense if re.search(r"\w", dense) else query, tuple(named))


def _without(text: str, name: str) -> str:
    """Text without the name, its parts, and their possessive."""
    parts = {name, *(part for part in name.split() if len(part) > 1)}
    choice = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{choice})(?:['’]s)?(?!\w)", " ", text, flags=re.IGNORECASE)
