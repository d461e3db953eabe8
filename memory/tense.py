"""Whether a clause looks ahead or back, and the forms of English verbs that tell it."""

import re
from functools import cache

IRREGULAR_PAST = frozenset(
    """ate began beat became been bent bet bit bled blew bore bought bound bred broke brought built burnt burst came
    caught chose clung came crept cut dealt did done dove drank drawn dreamt drew driven drove drunk dug eaten
    fallen fed fell felt fled flew flown forbade forgave forgot forgotten fought found froze frozen gave given gone
    got gotten grew grown had heard held hid hidden hit hung hurt kept knew known laid lain leant learnt led left
    lent let lit lost made meant met paid proven put quit ran rang read ridden rode risen rose run said sang sank
    sat saw seen sent set sewn shaken shone shook shot shown shrank shut slept slid sold sought spent spilt split
    spoke spoken sprang spread stole stolen stood struck stuck stung swam swept swore sworn swum swung taken taught
    thought threw thrown told took tore torn understood was were went wept woke woken won wore worn wound wove
    written wrote""".split()
)
BASE_IN_ED = frozenset("need feed breed speed bleed proceed succeed exceed embed shed wed seed weed heed".split())
SAME_IN_PAST = frozenset("put cut read let set hit hurt quit cost split shut spread bet beat run come become".split())
"""Words that are a base form too."""

_AHEAD = re.compile(
    r"\b(?:(?-i:will)|shall|won['’]t|gonna|upcoming|due|deadline|tomorrow|next|plan(?:s|ning)?\s+(?:to|on)|intends?|"
    r"(?:am|is|are|['’]m|['’]re|['’]s)\s+(?:\w+ly\s+)?(?!been\b)(?:\w+ing|about\s+to|set\s+to)|(?:am|is|are|has|"
    r"have)\s+"
    r"(?:been\s+)?(?:\w+\s+)?(?:scheduled|postponed|moved|rescheduled|pushed|delayed)\s+(?:to|for|until))\b|['’]ll\b",
    re.IGNORECASE,
)
_PERFECT = re.compile(r"\b(?:have|has|had|was|were|did|didn['’]t|wasn['’]t|weren['’]t)\b|['’]ve\b", re.IGNORECASE)
_HAVE_THING = re.compile(
    r"\b(?:have|has|['’]ve\s+got|has\s+got)\s+(?:an?|the|my|to|another|no|two|three)\b", re.IGNORECASE
)
_PRESENT = re.compile(
    r"\b(?:is|am|are|has|have|ends?|starts?|begins?|expires?|opens?|closes?|leaves?|arrives?|lands?|departs?|"
    r"launch(?:es)?|turns?|"
    r"flies|runs?|comes|goes|takes|meets?|kicks?|returns?|lasts?|I|we)\b"
)
"""What a timetable says of the time ahead."""
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_CLAUSE = re.compile(
    r"[,;:]\s+(?:(?:so|but|because|although|while|which|and)\s+)?|\s+(?:so|but|because|although|while|which|"
    r"and(?=\s+(?:i|we|my|he|she|they|will)\b))\s+",
    re.IGNORECASE,
)


def is_past_form(word: str) -> bool:
    """Whether a verb form is past or a participle; "put" and its like count, though they are base forms too."""
    low = word.lower()
    return low in IRREGULAR_PAST or (low.endswith("ed") and len(low) > 3 and low not in BASE_IN_ED)


def clause_at(text: str, start: int) -> str:
    """The clause of a sentence that holds the character at `start`."""
    begin = 0
    for border in _CLAUSE.finditer(text):
        if border.start() >= start:
            return text[begin : border.start()]
        begin = border.end()
    return text[begin:]


@cache
def looks_ahead(clause: str) -> bool | None:
    """True for the future, False for the past, None where no verb tells."""
    if _AHEAD.search(clause):
        return True
    if _HAVE_THING.search(clause) and not re.search(r"\bsince\b", clause):
        return True
    if _PERFECT.search(clause) or any(is_past_form(word) for word in _WORD.findall(clause)):
        return False
    return True if _PRESENT.search(clause) else None
