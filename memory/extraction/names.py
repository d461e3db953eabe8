"""Names in a statement: capitalised runs of words, known entities, and what the words around them say of their type."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_RUN = re.compile(
    r"(?<![\w’'])(?:(?:Mr|Mrs|Ms|Dr|Prof)\.?\s+)?(?:[A-ZÀ-ÖØ-Þ][\w’.&-]*[\w]|[A-Z])(?:['’](?!s\b)\w+)?"
    r"(?:\s+(?:(?:of|the|de|la|van|von|der|del|al)\s+)?[A-ZÀ-ÖØ-Þ\d][\w’.&-]*\w)*"
)
_NO_NAME = frozenset(
    """i the a an my our his her their this that these those it its he she they we you in on at for and but or so if
    when while after before since until yes no not now then there here what who where why how last next every each
    some all both many most actually finally also just recently currently today tomorrow yesterday tonight another
    first second thanks mr mrs ms dr monday tuesday wednesday thursday friday saturday sunday january february march
    april may june july august september october november december by with from to of as one two three four five six
    seven eight nine ten""".split()
)
_PLACE = re.compile(r"\b(?:in|to|from|near|visit(?:ed|ing|s)?|toward|towards|across|around|outside)\s+$", re.IGNORECASE)
_WORKPLACE = re.compile(
    r"\b(?:works?|working|worked|job|employed|interview|position|internship|teaches|teaching|"
    r"offer)\s+(?:[\w-]+\s+){0,4}?"
    r"(?:at|for|with|from)\s+(?:the\s+)?$|\b(?:joined|founded)\s+$",
    re.IGNORECASE,
)
_ORGANISATION = re.compile(
    r"\b(?:Inc|Ltd|LLC|GmbH|Corp|Corporation|University|College|Bank|School|High|Hospital|Institute|Foundation|"
    r"Company|Airlines|Group|UN|EU|NASA)\b"
)
_PERSON_BEFORE = re.compile(
    r"\b(?:with|and|met|married|dating|told|asked|called|named|mr\.?|mrs\.?|ms\.?|dr\.?|brother|sister|mother|"
    r"father|mum|mom|dad|son|daughter|wife|"
    r"husband|partner|friend|cousin|aunt|uncle|boss|manager|colleague|neighbou?r),?\s+$",
    re.IGNORECASE,
)
_TITLE = re.compile(r"^(?:Mr|Mrs|Ms|Dr|Prof)\.?\s")


@dataclass(frozen=True, slots=True)
class Mention:
    """A name as it stands in a statement; type is person, place, organisation or concept."""

    name: str
    type: str


def mentions_in(statement: str, people: Iterable[str] = (), known: Iterable[str] = ()) -> tuple[Mention, ...]:
    """The names of a statement in order, each once. `people` are names of speakers, `known` names of any entities."""
    persons = {name.lower() for name in people}
    found: dict[str, Mention] = {}
    for name, start in sorted(_runs(statement, {*persons, *(name.lower() for name in known)}), key=lambda run: run[1]):
        found.setdefault(name.lower(), Mention(name, _type_of(statement, name, start, persons)))
    return tuple(found.values())


def _runs(statement: str, known: set[str]) -> Iterable[tuple[str, int]]:
    for match in _RUN.finditer(statement):
        name = re.sub(r"['’]s$", "", match[0])
        start = match.start()
        while name.lower() not in known and _opens_no_name(name):
            first = name.split()[0]
            name, start = name[len(first) :].lstrip(), start + len(first) + 1
        is_word = (
            start == 0 and " " not in name and name.lower() not in known and not re.search(r"\d|[A-Z].*[A-Z]", name)
        )
        if (
            name
            and name.lower() not in _NO_NAME
            and not name.isdigit()
            and not (is_word and not _verb_follows(statement, match.end()))
        ):
            yield name, start
    lowered = statement.lower()
    for name in known:
        place = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", lowered)
        if place:
            yield statement[place.start() : place.end()], place.start()


def _opens_no_name(name: str) -> bool:
    first = name.split(maxsplit=1)[0].lower().strip(".") if name.split() else ""
    return bool(first) and (first[0].isdigit() or (first in _NO_NAME and first not in {"mr", "mrs", "ms", "dr"}))


def _verb_follows(statement: str, end: int) -> bool:
    return bool(re.match(r"['’]s\b|,|\s+(?:is|was|has|had|and|will|can|\w+(?:s|ed))\b", statement[end:]))


def _type_of(statement: str, name: str, start: int, persons: set[str]) -> str:
    before = statement[:start]
    if name.lower() in persons or _TITLE.match(name) or (name[0].isupper() and _PERSON_BEFORE.search(before)):
        return "person"
    if _ORGANISATION.search(name) or _WORKPLACE.search(before):
        return "organisation"
    if _PLACE.search(before):
        return "place"
    if start == 0:
        return "person"
    return "concept"
