"""What a statement says of slots: where somebody lives, works, what they like, have, do.

A statement whose speaker is named already and whose dates are blanked is read clause by clause.
"""

import re
from collections.abc import Iterator

from memory.extraction.candidates import Claim
from memory.extraction.slot_patterns import CLAIM_READERS
from memory.extraction.verbs import base_of, is_second_verb, is_verb, third_person
from memory.tense import is_past_form


def claims_of(statement: str) -> tuple[Claim, ...]:
    """The claims of one statement, in the order of its clauses; of each slot one, a value rather than a negation."""
    found: dict[tuple[str, str], Claim] = {}
    for clause in _clauses(statement):
        for pattern, read in CLAIM_READERS:
            match = pattern.search(clause)
            if match is None:
                continue
            for claim in read(match, clause):
                if any(is_past_form(word) or word == "and" for word in claim.subject.split()[1:]):
                    continue
                before = found.get((claim.subject, claim.attribute))
                if before is None or (claim.holds and claim.replaces and not before.holds):
                    found[claim.subject, claim.attribute] = claim
    return tuple(found.values())


def schedule_of(before: str, day: str) -> Claim | None:
    """The claim that something is on a day; `before` is the statement up to the date, `day` an ISO date."""
    match = _SCHEDULED.search(before)
    return Claim(match["s"].strip(), "date", day) if match else None


_SCHEDULED = re.compile(
    r"^(?P<s>(?:the|[\w’' -]+['’]s)\s+[\w’' -]+?)\s+(?:is|has\s+been|was|got|will\s+be|has)\s+(?:now\s+|"
    r"currently\s+|just\s+)?"
    r"(?:(?:moved|postponed|rescheduled|pushed|pushed\s+back|brought\s+forward|delayed|scheduled|set|due|planned|"
    r"changed)\s+)?"
    r"(?:to|on|for|until|by)?\s*(?:the\s*)?$",
    re.IGNORECASE,
)


def _clauses(statement: str) -> Iterator[str]:
    """Clauses that have a subject of their own, or borrow that of the clause before."""
    parts = re.split(
        r"(?:,\s+|\s+)(?:and|but|so)\s+(?:now\s+)?(?=(?:[A-Z][\w’'-]*|the\s+user(?:['’]s)?)\s)|;\s+|,\s+(?=(?:[A-Z]\w*|now|"
        r"the\s+user)\s+\w+s\b)|"
        r",\s+now\s+(?=[A-Z])",
        statement,
    )
    for part in _rejoined(parts):
        joint = _JOINT.match(part)
        if joint:
            verb, _, rest = part[joint.end() :].partition(" ")
            if verb in {"broke", "split"} or "broken up" in rest:
                yield part
            else:
                yield f"{joint['other']} {third_person(verb)} {rest}".strip()
            continue
        words = part.split()
        yield part
        for order, word in enumerate(words[:-1]):
            subject = re.match(r"[A-Z][\w’'-]*|The user", part)
            if order > 2 and subject and words[order - 1] == "and" and _goes_on(word, words[order + 1]):
                yield f"{subject[0]} {' '.join(words[order:])}"


def _goes_on(word: str, following: str) -> bool:
    """Whether a word after "and" is a verb of the same subject."""
    return is_past_form(word) or is_second_verb(base_of(word), following)


_JOINT = re.compile(r"^(?P<one>[^,]{2,40}?)\s+and\s+(?P<other>(?-i:[A-Z])[\w-]+|the\s+user)\s+(?=\w)", re.IGNORECASE)


def _rejoined(parts: list[str]) -> Iterator[str]:
    """Parts of which each has a verb: "Mia and Zara broke up" was cut within its subject."""
    waiting = ""
    for part in parts:
        joined = f"{waiting} and {part}" if waiting else part
        if any(is_verb(word) for word in part.split()[1:]):
            yield joined
            waiting = ""
        else:
            waiting = joined
    if waiting:
        yield waiting
