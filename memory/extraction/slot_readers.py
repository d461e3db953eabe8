"""How the match of a claim's wording is read: subject, attribute, value, and whether it holds or has just happened."""

import re
from collections.abc import Callable, Iterator

from memory.extraction.candidates import Claim
from memory.extraction.occupations import occupation_in
from memory.extraction.verbs import base_of, gerund

_CHANGED = re.compile(
    r"\b(?:now|these\s+days|nowadays|became|become|becomes|promoted|switched|instead|new|turned|from\s+now\s+on|"
    r"anymore|no\s+longer|"
    r"changed|currently|hired|started|moved|just)\b",
    re.IGNORECASE,
)
_NO_EMPLOYER = frozenset(
    "night nights home weekends living dawn least times odds work peace a the sea speed present all once".split()
)
_HABITS = frozenset(
    """drink smoke vape play run eat do practise practice read watch sing dance swim use cycle bike climb paint knit
    bake     garden collect volunteer gamble surf ski hike jog meditate box fish hunt fence row sail skate wear
    drive ride
    take chew crochet juggle""".split()
)

Claims = Iterator[Claim]
ClaimReader = Callable[[re.Match[str], str], Claims]
"""Takes a match and its whole clause."""


def cleaned(value: str) -> str:
    """A value without what stands around it: articles, times, prepositions."""
    value = re.sub(
        r"\s+(?:now|these\s+days|nowadays|anymore|any\s+more|for\s+good|again|instead|though|too|as\s+well|"
        r"so\s+much|a\s+lot|at\s+the\s+moment|"
        r"at\s+all|currently|right\s+now|in|on|at|since|by|from|for|of|and)$",
        "",
        value.strip(" .,!\"'”“"),
        flags=re.IGNORECASE,
    ).strip(" .,!")
    return re.sub(r"^(?:an?|the|my|our|some)\s+", "", value, flags=re.IGNORECASE)


def subject_of(match: re.Match[str]) -> str:
    """The subject of a match; of "Ana's sister Petra", Petra."""
    subject = match["s"].strip(" ,")
    kin = re.fullmatch(
        r".+['’]s?\s+(?:(?:older|younger|little|big|best|twin)\s+)?[a-z]+,?\s+(?P<name>[A-Z][\w-]+)", subject
    )
    return kin["name"] if kin else subject


def slot(attribute: str, *, holds: bool = True, happened: bool = False, weak: bool = False) -> ClaimReader:
    """Reader of patterns whose group `v` is the value."""

    def read(match: re.Match[str], clause: str) -> Claims:
        value = cleaned(match["v"]) if "v" in match.re.groupindex and match["v"] else None
        if value is None and holds:
            return
        replaces = not weak or not holds or bool(_CHANGED.search(clause))
        yield Claim(subject_of(match), attribute, value, holds, replaces, happened)

    return read


def fixed(attribute: str, value: str | None, *, holds: bool = True, happened: bool = False) -> ClaimReader:
    """Reader of patterns that say the same whatever they match."""

    def read(match: re.Match[str], _: str) -> Claims:
        yield Claim(subject_of(match), attribute, value, holds, happened=happened)

    return read


def married(status: str) -> ClaimReader:
    """Reader of a partner and a status."""

    def read(match: re.Match[str], _: str) -> Claims:
        happened = bool(re.search(r"got|has\s+just|\bmarried\s+[A-Z]", match[0]) and not re.search(r"\bis\b", match[0]))
        partner = match["v"]
        if partner:
            yield Claim(subject_of(match), "partner", cleaned(partner), happened=happened)
        yield Claim(subject_of(match), "relationship status", status, happened=happened)

    return read


def alone(status: str) -> ClaimReader:
    """Reader of a status without a partner."""

    def read(match: re.Match[str], _: str) -> Claims:
        happened = not re.search(r"\bis\b", match[0])
        partner = match["v"] if "v" in match.re.groupindex else None
        yield Claim(subject_of(match), "partner", cleaned(partner) if partner else None, holds=False, happened=happened)
        yield Claim(subject_of(match), "relationship status", status, happened=happened)

    return read


def parted(match: re.Match[str], _: str) -> Claims:
    """Neither of two is the other's partner any more."""
    for one, other in ((match["s"], match["o"]), (match["o"], match["s"])):
        yield Claim(one, "partner", other, holds=False, happened=True)
        yield Claim(one, "relationship status", "single", happened=True)


def occupation(match: re.Match[str], clause: str) -> Claims:
    """What somebody does for a living."""
    value = occupation_in(match["v"])
    if value is not None:
        happened = bool(re.search(r"\b(?:became|got|promoted|started|become|hired)\b", match[0]))
        sure = bool(_CHANGED.search(clause))
        yield Claim(subject_of(match), "occupation", value, replaces=sure, happened=happened)


_NAMED_ONLY = frozenset(
    """manager boss supervisor landlord landlady dentist doctor gp therapist lawyer accountant coach trainer
    tutor advisor
    adviser assistant address hometown name budget birthday car""".split()
)
_SAME_ATTRIBUTE = {"e-mail": "email", "email address": "email", "e-mail address": "email", "full name": "name",
    "mother tongue": "native language"}  # fmt: skip


_NO_VALUE = re.compile(
    r"(?:not|being|so|very|really|too|getting|always|never|in|on|at|broken|great|good|nice|terrible|awful|annoying|dead|gone|"
    r"sick|fine|full)\b",
    re.IGNORECASE,
)


def attribute(match: re.Match[str], _: str) -> Claims:
    """An attribute that is named: "Ana's landlord is Bo"."""
    name = " ".join(match["a"].lower().split()).replace("color", "colour").replace("favorite", "favourite")
    value = cleaned(match["v"])
    if name in {"phone", "number"} and re.search(r"\d{3}", value):
        name = "phone number"
    if not value or len(value.split()) > 8 or _NO_VALUE.match(value):
        return
    named = re.match(r"an?\s|the\s|[^a-z]", match["v"]) if name == "car" else re.match(r"[^a-z]|\S*\d", value)
    if name in _NAMED_ONLY and not named:
        return  # "my boss is strict", "my car is red"
    yield Claim(re.sub(r"['’]s$", "", match["s"]), _SAME_ATTRIBUTE.get(name, name), value)


def likes(value: str) -> ClaimReader:
    """Reader of what somebody likes, or does not."""

    def read(match: re.Match[str], _: str) -> Claims:
        thing = cleaned(
            re.split(r"\s+(?:because|when|but|so|since|than|more|and\s+(?:i|[A-Z]))\b", match["v"])[0]
        ).lower()
        if (
            thing
            and len(thing.split()) <= 5
            and not re.match(r"(?:it|that|this|them|him|her|you|how|when|what|to\s+be|you|\w+\s+others)\b", thing)
        ):
            yield Claim(subject_of(match), f"likes {thing}", value)

    return read


def possession(*, holds: bool, happened: bool = False) -> ClaimReader:
    """Reader of what somebody has, or has no more."""

    def read(match: re.Match[str], _: str) -> Claims:
        thing = cleaned(
            re.split(r"\s+(?:called|named|who|that|which|with|from|in|at|to|for|of|on|and)\b", match["v"])[0]
        ).lower()
        abstract = (
            r"(?:lot|bit|few|feeling|question|idea|point|interview|meeting|appointment|exam|headache|cold|"
            r"problem|date|call|look|chance|plan|"
            r"good|great|bad|day|time|moment|hard|rough|flight|class|party|deadline|fever|son|daughter|brother|"
            r"sister|child|kid|baby|twin)\b"
        )
        if (
            thing
            and len(thing.split()) <= 3
            and not re.match(abstract, thing)
            and not re.match(abstract, thing.split()[-1])
        ):
            yield Claim(subject_of(match), f"has {thing}", "yes" if holds else None, holds, happened=happened)

    return read


def habit(*, holds: bool) -> ClaimReader:
    """Reader of what somebody does again and again."""

    def read(match: re.Match[str], _: str) -> Claims:
        verb = base_of(match["verb"]) if holds else match["verb"].lower()
        thing = cleaned(
            re.split(
                r"\s+(?:in|at|on|with|every|because|when|for|before|after|since|to|about|and|but|or)\b|[,;]",
                match["rest"] or "",
            )[0]
        )
        thing = re.sub(r"^(?:the|a|an|any)\s+", "", thing.lower())
        if not holds and thing != re.sub(r"^(?:the|a|an|any)\s+", "", cleaned(match["rest"] or "").lower()):
            return  # "stopped playing chess at night" leaves the days
        if verb == "do" and (match["rest"] or "").split()[:1] in ([], ["not"]):
            return
        gerunds = verb if verb.endswith("ing") else gerund(verb)
        if (verb in _HABITS or verb.endswith("ing")) and len(thing.split()) <= 3:
            yield Claim(subject_of(match), f"does {gerunds} {thing}".strip(), "yes" if holds else None, holds)

    return read


def employer_of(match: re.Match[str], _: str) -> Claims:
    """Whom somebody works for; phrases such as "works for a living" name nobody."""
    value = cleaned(match["v"] or match["w"] or "")
    if value and value.split()[0].lower() not in _NO_EMPLOYER:
        joined_thing = "joined" in match[0] and not match["v"]
        if not joined_thing:
            happened = bool(re.search(r"\b(?:started|got|joined|hired|landed)\b", match[0]))
            yield Claim(subject_of(match), "employer", value, happened=happened)


def no_occupation(match: re.Match[str], _: str) -> Claims:
    """What somebody no longer does for a living."""
    value = occupation_in(match["v"])
    if value is not None:
        yield Claim(subject_of(match), "occupation", value, holds=False)


def no_habit(match: re.Match[str], _: str) -> Claims:
    """What somebody does not do any more."""
    verb = match["verb"].lower()
    verb = base_of(verb) if verb.endswith("s") and "no longer" in match[0] else verb
    if verb in _HABITS:
        thing = re.sub(r"^(?:the|a|an|any)\s+", "", cleaned(match["rest"] or "").lower())
        if len(thing.split()) <= 3:
            yield Claim(subject_of(match), f"does {gerund(verb)} {thing}".strip(), None, holds=False)


def partner_of(match: re.Match[str], _: str) -> Claims:
    """Whose partner somebody is, by their name."""
    yield Claim(re.sub(r"['’]s$", "", match["s"]), "partner", cleaned(match["v"]))


def switched(match: re.Match[str], _: str) -> Claims:
    """What somebody uses instead of something else."""
    yield Claim(subject_of(match), f"does using {cleaned(match['v']).lower()}", None, holds=False, happened=True)
    if match["w"]:
        yield Claim(subject_of(match), f"does using {cleaned(match['w']).lower()}", "yes", happened=True)


def dismissed(match: re.Match[str], _: str) -> Claims:
    """Whom an employer has let go."""
    whom = next((match[name] for name in ("s", "go", "off") if match[name]), "").strip()
    yield Claim(whom, "employer", cleaned(match["v"]), holds=False, happened=True)


def called_off(match: re.Match[str], _: str) -> Claims:
    """Neither of two is engaged any more."""
    for who in (match["one"], match["s"], match["alone"]):
        if who:
            yield Claim(who.strip(), "relationship status", "engaged", holds=False, happened=True)


def qualified(match: re.Match[str], _: str) -> Claims:
    """What somebody has learnt to do for a living."""
    value = occupation_in(match["v"])
    if value is not None:
        yield Claim(subject_of(match), "occupation", value, happened=True)


def allergic(match: re.Match[str], _: str) -> Claims:
    """What somebody is, or no longer is, allergic to."""
    holds = not re.search(r"\bnot\b|n['’]t\b|no\s+longer", match[0])
    yield Claim(subject_of(match), f"allergic to {cleaned(match['v']).lower()}", "yes" if holds else None, holds)
