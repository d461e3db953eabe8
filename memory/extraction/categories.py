"""What a statement is about: the first of the cues that fires, from the most telling to the plainest."""

import re
from collections.abc import Sequence
from datetime import datetime

from memory.extraction.candidates import Category, Claim
from memory.tense import is_past_form
from memory.timeline import Span, calendar_of

_PLAN = re.compile(
    r"\b(?:(?-i:will)|won['’]t|going\s+to\s+(?!(?:an?|the)\b)|gonna|plans?\s+to|planning\s+(?:to|on)|"
    r"intends?\s+to|decided\s+to|wants?\s+to|aims?\s+to|"
    r"scheduled|upcoming|is\s+due|are\s+due|expires?|deadline|signed\s+up\s+for)\b|"
    r"\b(?:is|are)\s+(?:soon\s+|finally\s+)?(?:moving|flying|travel(?:l)?ing|visiting|getting\s+married|leaving|"
    r"launching|hosting|expecting)\b",
    re.IGNORECASE,
)
_RELATION = (
    r"(?:wife|husband|partner|spouse|fianc[eé]e?|girlfriend|boyfriend|brother|sister|sibling|mother|father|mum|"
    r"mom|dad|parent|son|daughter|child|"
    r"children|kid|baby|twin|uncle|aunt|cousin|niece|nephew|grandson|granddaughter|grandchild|grandchildren|"
    r"stepson|stepdaughter|friend|"
    r"manager|boss|landlord|landlady|dentist|doctor|therapist|mentor|roommate|flatmate|colleague|neighbou?r|in-law)s?"
)
_RELATIONSHIP = re.compile(
    rf"\b(?:is|are|got|was|were|been)\s+(?:\w+\s+)?(?:married|engaged|divorced|dating|single|related|widowed)\b|"
    rf"\b(?:has|have)\s+(?:got\s+)?(?:no|an?|one|two|three|four|five|six|\d+|several|"
    rf"many)\s+(?:[\w-]+\s+)?{_RELATION}\b|"
    rf"['’]s\s+{_RELATION}(?:['’]s\s+name)?\s+is\s+(?:now\s+)?(?:called\s+|named\s+)?[A-Z]|"
    rf"\bis\s+[\w ]*['’]s\s+{_RELATION}\b|\b(?:broke|broken|split)\s+up\b",
)
_PREFERENCE = re.compile(
    r"\b(?:likes?|loves|hates?|prefers?|enjoys?|adores?|dislikes?|detests?|favou?rite|can['’]t\s+stand|allergic|"
    r"intolerant|fan\s+of|fond\s+of|"
    r"is\s+(?:\w+ly\s+)?into|vegan|vegetarian|always|never|usually|rarely|avoids?|switched\s+to)\b|"
    r"\b(?:doesn['’]t|don['’]t|does\s+not|can['’]t|cannot|no\s+longer)\s+(?:eats?|drinks?|likes?|enjoys?|smokes?|"
    r"loves?|cares?)\b",
    re.IGNORECASE,
)
_OPINION = re.compile(
    r"\b(?<!to\s)(?:thinks?|believes?|feels?|considers?|finds?)\b(?!\s+(?:about|of)\b)|\bin\s+\S+['’]s\s+(?:opinion|view)\b",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"^(?:\S+\s+){1,6}?(?:is|are|isn['’]t|became|has\s+become)\s+(?:now\s+|also\s+|not\s+|no\s+longer\s+|"
    r"currently\s+)*(?:an?|the|from|based|called|named|\d|"
    r"[A-Z])|\b(?:lives?|works?|studies|study|speaks?|teaches|was\s+born|grew\s+up|was\s+raised|name|"
    r"phone\s+number|email|address|knows\s+how|holds\s+an?|runs\s+an?|can|can['’]t|cannot)\b",
)
_POSSESSION = re.compile(
    r"\b(?:has|have|owns|own(?=\s+(?:an?|the|two|three|\d))|drives?|keeps?|got|bought|adopted|"
    r"doesn['’]t\s+(?:have|own)|don['’]t\s+(?:have|own)|carries|needs)\b",
    re.IGNORECASE,
)
_BY_ATTRIBUTE = {
    **dict.fromkeys(
        ("partner", "relationship status", "manager", "boss", "landlord", "landlady"), Category.RELATIONSHIP
    ),
    **dict.fromkeys(("dentist", "doctor", "therapist", "coach", "trainer", "lawyer"), Category.RELATIONSHIP),
    **dict.fromkeys(("car", "budget"), Category.POSSESSION),
    "diet": Category.PREFERENCE,
    "date": Category.PLAN,
}
_FAMILIES = {
    "likes": Category.PREFERENCE,
    "does": Category.PREFERENCE,
    "has": Category.POSSESSION,
    "favourite": Category.PREFERENCE,
}


def category_of(statement: str, claims: Sequence[Claim], occurred: Span | None, said_at: datetime) -> Category | None:
    """The category of a statement, or None where no cue fires."""
    today = calendar_of(said_at).day()
    if occurred is not None and occurred.start >= today.end and (not _is_past(statement) or _PLAN.search(statement)):
        return Category.PLAN
    happened = any(claim.happened for claim in claims)
    if _PLAN.search(statement) and not happened and (occurred is None or occurred.end >= today.start):
        return Category.PLAN
    if claims and not happened:
        return _of_claim(claims[0])
    if _RELATIONSHIP.search(statement) and not happened:
        return Category.RELATIONSHIP
    past = _is_past(statement)
    if occurred is not None and occurred.start < today.end and past:
        return Category.EVENT
    for pattern, category in (
        (_OPINION, Category.OPINION),
        (_PREFERENCE, Category.PREFERENCE),
        (None if past else _IDENTITY, Category.IDENTITY),
        (None if past else _POSSESSION, Category.POSSESSION),
    ):
        if (
            pattern is not None
            and pattern.search(statement)
            and not happened
            and not (past and category is Category.PREFERENCE)
        ):
            return category
    return Category.EVENT if happened or past or occurred is not None or _GOING_ON.search(statement) else None


_GOING_ON = re.compile(r"\b(?:is|are)\s+(?:\w+\s+)?\w+ing\b|\b[a-z]+s\b", re.IGNORECASE)


def _is_past(statement: str) -> bool:
    words = re.findall(r"[\w’']+", re.sub(r"\b(has|have)\s+got\b", r"\1", statement))
    return any(
        is_past_form(word) or word.lower() in {"was", "were", "had", "did", "didn't", "didn’t", "been"}
        for word in words[1:]
    )


def _of_claim(claim: Claim) -> Category:
    return _BY_ATTRIBUTE.get(claim.attribute) or _FAMILIES.get(claim.attribute.split()[0], Category.IDENTITY)
