"""Understand a query without a language model: what of it to embed, whom and which times it names, what it asks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from memory.drafting import AGENT_ROLES
from memory.periods import Period, find_periods

ROLE_NAMES = AGENT_ROLES | {"user", "human", "system", "developer"}
"""Speakers named by their role: words of the language, not names."""

QUESTION_WORDS = frozenset(("what", "which", "who", "whom", "whose", "where", "why", "how", "when"))
FUNCTION_WORDS = QUESTION_WORDS | frozenset(
    re.findall(
        r"\w+",
        "a about an and are as at be been by can could did do does for from had has have he her him his i in is it its "
        "may me mine my of on or our she should so some such than that the their them there these they this those to "
        "us was we were will with would you your",
    )
)
"""English words that carry grammar, not content. None of them alone is a name or something to search for."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_FIRST_PERSON = frozenset(("i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself"))
_TIMES_ASKED = frozenset(
    [("how", "long"), ("how", "often"), ("since", "when")]
    + [(asking, unit) for asking in ("what", "which") for unit in ("date", "day", "month", "year", "time", "week")]
    + [("many", unit) for unit in ("days", "weeks", "months", "years")]
)
_ADDRESSED = re.compile(
    r"\b(?:did|have|had|were) you\b|\byou(?:['’](?:d|ve)| had| have)? (?:just |also |already |once )?"
    r"(?:[a-z]+ed|said|told|gave|wrote|made|sent|chose|found|taught|showed|meant|thought|brought|put|came)\b"
    r"|\byour (?!own\b)[a-z]+|\bour (?:\w+ )?(?:conversation|chat|discussion)"
)
"""What a question to an agent about its own words looks like: "did you", "you recommended", "our last chat"."""
_ASKING_FOR = frozenset(("what", "which", "who"))
_ARE = frozenset(("are", "were", "have"))
_SHORT_PLURAL = 3
_AROUND = ".,;:!?\"'()[]{}<>«»“”„‘’…"
_CODE = re.compile(r"^(?=.*\d)[^\s]{4,}|^[^\s]*[@_][^\s]*[^\W_]|://|^[^\W_]{25,}")
"""Four characters and a digit, an address, a name with underscores, a word longer than languages have."""
_TIME = re.compile(
    r"(?:19|20)\d\d(?:[-/]\d\d?(?:[-/]\d\d?)?)?(?:s|'s)?|\d\d?[-/.]\d\d?[-/.](?:\d\d)?\d\d|\d\d?[:.]\d\d(?:[ap]m)?"
    r"|\d+(?:st|nd|rd|th|[ap]m)"
)
"""Years, dates, times of day, ordinals: they have digits, and signals of their own."""
_PLEASE = re.compile(r"\b(?:tell|remind|give|show|help|let) me\b")
"""Says nothing about whose words are asked for."""


@dataclass(frozen=True, slots=True)
class Understood:
    """The query as asked, the one to embed, the bank's speakers it names, and what else it shows.

    `bare` is the query without those names, which stand in a field of their own: embedded, a name swamps the vector.
    `first_person`: the asker speaks of himself; `addressed`: of what the agent said before; `several`: it asks for more
    than one thing.
    """

    query: str
    bare: str
    speakers: tuple[str, ...] = ()
    periods: tuple[Period, ...] = ()
    asks_when: bool = False
    first_person: bool = False
    addressed: bool = False
    several: bool = False
    codes: tuple[str, ...] = ()
    """Words that name one thing by their form, in lower case: order numbers, addresses, digests."""


def understand(
    query: str, speakers: Iterable[str], asked_at: datetime | None = None, asked_of: Period | None = None
) -> Understood:
    """Read a query with the bank's known speakers and the instant from which "last week" is told.

    `asked_of` is a period given beside the query, in place of those it names.
    """
    lowered = query.lower().replace("’", "'")
    words = _WORD.findall(lowered)
    named: list[str] = []
    bare = query
    for speaker in sorted(_candidates(words, speakers), key=lambda name: (-len(name), name)):
        without = _without(bare, speaker)
        if without != bare:
            named.append(speaker)
            bare = without
    bare = " ".join(bare.split())
    return Understood(
        query=query,
        bare=query if FUNCTION_WORDS.issuperset(_WORD.findall(bare.lower())) else bare,
        speakers=tuple(named),
        periods=(asked_of,) if asked_of else find_periods(query, asked_at),
        asks_when=_asks_when(words),
        first_person=not _FIRST_PERSON.isdisjoint(_WORD.findall(_PLEASE.sub(" ", lowered))),
        addressed=_ADDRESSED.search(lowered) is not None,
        several=_asks_for_several(words),
        codes=_codes_in(lowered),
    )


def _asks_when(words: list[str]) -> bool:
    """As in "when did …" or "how long …", but not the conjunction: "what did she say when …"."""
    if not _TIMES_ASKED.isdisjoint(pairwise(words)):
        return True
    return "when" in words and QUESTION_WORDS.isdisjoint(words[: words.index("when")])


def _asks_for_several(words: list[str]) -> bool:
    """As in "which books …", "what kinds of …", "what are …", "how many …"."""
    if ("how", "many") in pairwise(words):
        return True
    asking = next((place for place, word in enumerate(words) if word in _ASKING_FOR), None)
    if asking is None:
        return False
    for word in words[asking + 1 : asking + 4]:
        if word in _ARE:
            return True
        if word in FUNCTION_WORDS:
            return False
        if len(word) > _SHORT_PLURAL and word.endswith("s") and not word.endswith(("ss", "us", "'s")):
            return True
    return False


def _codes_in(lowered: str) -> tuple[str, ...]:
    found = (word.strip(_AROUND) for word in lowered.split())
    return tuple(dict.fromkeys(word for word in found if _CODE.search(word) and not _TIME.fullmatch(word)))


def _candidates(words: list[str], speakers: Iterable[str]) -> list[str]:
    """Speakers of whose name some part occurs, so that a bank of thousands costs no search for each."""
    present = {word.split("'", 1)[0] for word in words} | set(words)
    return [
        speaker
        for speaker in set(speakers)
        if not present.isdisjoint(_words_of(speaker)) and speaker.lower() not in ROLE_NAMES
    ]


def _words_of(name: str) -> list[str]:
    parts = name.lower().split()
    return parts if all(map(str.isalnum, parts)) else _WORD.findall(name.lower().replace("’", "'"))


def _without(text: str, name: str) -> str:
    """Text without the name, its parts, and their possessive. A part that is a function word is no name by itself."""
    parts = {name, *(part for part in name.split() if len(part) > 1 and part.lower() not in FUNCTION_WORDS)}
    choice = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{choice})(?:['’]s)?(?!\w)", " ", text, flags=re.IGNORECASE)
