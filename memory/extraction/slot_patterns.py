"""The wordings of claims: a pattern each, and how its match is read.

Patterns are tense-aware: "lived" and "visited" fill no slot, "used to live" ends one.
"""

import re
from collections.abc import Callable, Iterator

from memory.extraction.candidates import Claim
from memory.extraction.occupations import occupation_in
from memory.extraction.verbs import base_of, gerund

_SUBJECT = r"^(?P<s>(?:[^\W_][\w’'.&-]*\s+){0,4}?[^\W_][\w’'.&-]*)\s+"
_SOFT = (
    r"(?:(?:now|currently|still|also|actually|really|just|finally|recently|officially|always|usually|often|"
    r"already|"
    r"mostly|absolutely|genuinely|truly|sometimes|regularly|both|all|only|since|then)\s+)*"
)
_PLACE = r"(?P<v>(?-i:[A-ZÀ-ÖØ-Þ])[\w’'.-]*(?:(?:,\s+|\s+(?:of\s+|de\s+|la\s+)?)(?-i:[A-ZÀ-ÖØ-Þ])[\w’'.-]*)*)"
_NAME = r"(?P<v>(?-i:[A-ZÀ-ÖØ-Þ])[\w’'.&-]*(?:\s+(?:(?:of|the|and|de|van|von|for)\s+)?(?-i:[A-ZÀ-ÖØ-Þ\d])[\w’'.&-]*)*)"
_REST = r"(?P<v>[^,;]+?)"
_NOT = r"(?:is\s+not|is\s+no\s+longer|isn['’]t|no\s+longer|does\s+not|doesn['’]t|do\s+not|don['’]t)"
_END = (
    r"(?=$|[,;]|\s+(?:now|these\s+days|nowadays|anymore|any\s+more|for|with|because|since|as|when|again|and|"
    r"but|so|instead|at|in|on|near|by|"
    r"to|every|from|until|after|before|full|part|who|which|where|currently|right|today|alone|together)\b)"
)
_CHANGED = re.compile(
    r"\b(?:now|these\s+days|nowadays|became|become|becomes|promoted|switched|instead|new|turned|from\s+now\s+on|"
    r"anymore|no\s+longer|"
    r"changed|currently|hired|started|moved|just)\b",
    re.IGNORECASE,
)
_ATTRIBUTES = (
    r"(?:full\s+|last\s+|first\s+)?name|nickname|manager|boss|supervisor|landlord|landlady|dentist|doctor|gp|"
    r"therapist|lawyer|accountant|"
    r"coach|trainer|tutor|advisor|adviser|assistant|address|e-?mail(?:\s+address)?|phone(?:\s+number)?|number|"
    r"budget|car|birthday|salary|"
    r"hometown|blood\s+type|major|shoe\s+size|time\s*zone|username|website|favou?rite\s+[\w-]+(?:\s+[\w-]+)?|"
    r"ring\s+size|"
    r"native\s+language|mother\s+tongue|star\s+sign|pronouns|height|weight|rent|postcode|zip\s+code|go-to\s+\w+"
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
_GONE = r"(?:has\s+)?(?:just\s+|finally\s+|recently\s+)?"

Claims = Iterator[Claim]
ClaimReader = Callable[[re.Match[str], str], Claims]
"""Takes a match and its whole clause."""


def _clean(value: str) -> str:
    value = re.sub(
        r"\s+(?:now|these\s+days|nowadays|anymore|any\s+more|for\s+good|again|instead|though|too|as\s+well|"
        r"so\s+much|a\s+lot|at\s+the\s+moment|"
        r"at\s+all|currently|right\s+now|in|on|at|since|by|from|for|of|and)$",
        "",
        value.strip(" .,!\"'”“"),
        flags=re.IGNORECASE,
    ).strip(" .,!")
    return re.sub(r"^(?:an?|the|my|our|some)\s+", "", value, flags=re.IGNORECASE)


def _subject(match: re.Match[str]) -> str:
    subject = match["s"].strip(" ,")
    kin = re.fullmatch(
        r".+['’]s?\s+(?:(?:older|younger|little|big|best|twin)\s+)?[a-z]+,?\s+(?P<name>[A-Z][\w-]+)", subject
    )
    return kin["name"] if kin else subject


def _slot(attribute: str, *, holds: bool = True, happened: bool = False, weak: bool = False) -> ClaimReader:
    """Reader of patterns whose group `v` is the value."""

    def read(match: re.Match[str], clause: str) -> Claims:
        value = _clean(match["v"]) if "v" in match.re.groupindex and match["v"] else None
        if value is None and holds:
            return
        replaces = not weak or not holds or bool(_CHANGED.search(clause))
        yield Claim(_subject(match), attribute, value, holds, replaces, happened)

    return read


def _fixed(attribute: str, value: str | None, *, holds: bool = True, happened: bool = False) -> ClaimReader:
    """Reader of patterns that say the same whatever they match."""

    def read(match: re.Match[str], _: str) -> Claims:
        yield Claim(_subject(match), attribute, value, holds, happened=happened)

    return read


def _married(status: str) -> ClaimReader:
    def read(match: re.Match[str], _: str) -> Claims:
        happened = bool(re.search(r"got|has\s+just|\bmarried\s+[A-Z]", match[0]) and not re.search(r"\bis\b", match[0]))
        partner = match["v"]
        if partner:
            yield Claim(_subject(match), "partner", _clean(partner), happened=happened)
        yield Claim(_subject(match), "relationship status", status, happened=happened)

    return read


def _alone(status: str) -> ClaimReader:
    def read(match: re.Match[str], _: str) -> Claims:
        happened = not re.search(r"\bis\b", match[0])
        partner = match["v"] if "v" in match.re.groupindex else None
        yield Claim(_subject(match), "partner", _clean(partner) if partner else None, holds=False, happened=happened)
        yield Claim(_subject(match), "relationship status", status, happened=happened)

    return read


def _parted(match: re.Match[str], _: str) -> Claims:
    for one, other in ((match["s"], match["o"]), (match["o"], match["s"])):
        yield Claim(one, "partner", other, holds=False, happened=True)
        yield Claim(one, "relationship status", "single", happened=True)


def _occupation(match: re.Match[str], clause: str) -> Claims:
    value = occupation_in(match["v"])
    if value is not None:
        happened = bool(re.search(r"\b(?:became|got|promoted|started|become|hired)\b", match[0]))
        sure = bool(_CHANGED.search(clause))
        yield Claim(_subject(match), "occupation", value, replaces=sure, happened=happened)


_NAMED_ONLY = frozenset(
    """manager boss supervisor landlord landlady dentist doctor gp therapist lawyer accountant coach trainer
    tutor advisor
    adviser assistant address hometown name budget birthday car""".split()
)
_SAME_ATTRIBUTE = {"e-mail": "email", "email address": "email", "e-mail address": "email", "full name": "name"}


_NO_VALUE = re.compile(
    r"(?:not|being|so|very|really|too|getting|always|never|in|on|at|broken|great|good|nice|terrible|awful|annoying|dead|gone|"
    r"sick|fine|full)\b",
    re.IGNORECASE,
)


def _attribute(match: re.Match[str], _: str) -> Claims:
    name = " ".join(match["a"].lower().split()).replace("color", "colour").replace("favorite", "favourite")
    value = _clean(match["v"])
    if name in {"phone", "number"} and re.search(r"\d{3}", value):
        name = "phone number"
    if not value or len(value.split()) > 8 or _NO_VALUE.match(value):
        return
    named = re.match(r"an?\s|the\s|[^a-z]", match["v"]) if name == "car" else re.match(r"[^a-z]|\S*\d", value)
    if name in _NAMED_ONLY and not named:
        return  # "my boss is strict", "my car is red"
    yield Claim(re.sub(r"['’]s$", "", match["s"]), _SAME_ATTRIBUTE.get(name, name), value)


def _likes(value: str) -> ClaimReader:
    def read(match: re.Match[str], _: str) -> Claims:
        thing = _clean(
            re.split(r"\s+(?:because|when|but|so|since|than|more|and\s+(?:i|[A-Z]))\b", match["v"])[0]
        ).lower()
        if (
            thing
            and len(thing.split()) <= 5
            and not re.match(r"(?:it|that|this|them|him|her|you|how|when|what|to\s+be|you|\w+\s+others)\b", thing)
        ):
            yield Claim(_subject(match), f"likes {thing}", value)

    return read


def _has(*, holds: bool, happened: bool = False) -> ClaimReader:
    def read(match: re.Match[str], _: str) -> Claims:
        thing = _clean(
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
            yield Claim(_subject(match), f"has {thing}", "yes" if holds else None, holds, happened=happened)

    return read


def _habit(*, holds: bool) -> ClaimReader:
    def read(match: re.Match[str], _: str) -> Claims:
        verb = base_of(match["verb"]) if holds else match["verb"].lower()
        thing = _clean(
            re.split(
                r"\s+(?:in|at|on|with|every|because|when|for|before|after|since|to|about|and|but|or)\b|[,;]",
                match["rest"] or "",
            )[0]
        )
        thing = re.sub(r"^(?:the|a|an|any)\s+", "", thing.lower())
        if not holds and thing != re.sub(r"^(?:the|a|an|any)\s+", "", _clean(match["rest"] or "").lower()):
            return  # "stopped playing chess at night" leaves the days
        if verb == "do" and (match["rest"] or "").split()[:1] in ([], ["not"]):
            return
        gerunds = verb if verb.endswith("ing") else gerund(verb)
        if (verb in _HABITS or verb.endswith("ing")) and len(thing.split()) <= 3:
            yield Claim(_subject(match), f"does {gerunds} {thing}".strip(), "yes" if holds else None, holds)

    return read


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _employer_of(match: re.Match[str], _: str) -> Claims:
    value = _clean(match["v"] or match["w"] or "")
    if value and value.split()[0].lower() not in _NO_EMPLOYER:
        joined_thing = "joined" in match[0] and not match["v"]
        if not joined_thing:
            happened = bool(re.search(r"\b(?:started|got|joined|hired|landed)\b", match[0]))
            yield Claim(_subject(match), "employer", value, happened=happened)


def _no_occupation(match: re.Match[str], _: str) -> Claims:
    value = occupation_in(match["v"])
    if value is not None:
        yield Claim(_subject(match), "occupation", value, holds=False)


def _no_habit(match: re.Match[str], _: str) -> Claims:
    verb = match["verb"].lower()
    verb = base_of(verb) if verb.endswith("s") and "no longer" in match[0] else verb
    if verb in _HABITS:
        thing = re.sub(r"^(?:the|a|an|any)\s+", "", _clean(match["rest"] or "").lower())
        if len(thing.split()) <= 3:
            yield Claim(_subject(match), f"does {gerund(verb)} {thing}".strip(), None, holds=False)


def _partner_of(match: re.Match[str], _: str) -> Claims:
    yield Claim(re.sub(r"['’]s$", "", match["s"]), "partner", _clean(match["v"]))


def _switched(match: re.Match[str], _: str) -> Claims:
    yield Claim(_subject(match), f"does using {_clean(match['v']).lower()}", None, holds=False, happened=True)
    if match["w"]:
        yield Claim(_subject(match), f"does using {_clean(match['w']).lower()}", "yes", happened=True)


def _allergic(match: re.Match[str], _: str) -> Claims:
    holds = not re.search(r"\bnot\b|n['’]t\b|no\s+longer", match[0])
    yield Claim(_subject(match), f"allergic to {_clean(match['v']).lower()}", "yes" if holds else None, holds)


CLAIM_READERS: tuple[tuple[re.Pattern[str], ClaimReader], ...] = (
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:lives|resides|is\s+(?:now\s+|currently\s+)?(?:living|based|settled|"
        rf"residing))\s+{_SOFT}(?:back\s+)?in\s+{_PLACE}"),
     _slot("location")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:moved|relocated|emigrated|moved\s+back|"
        rf"moved\s+house)\s+(?:back\s+|over\s+|out\s+|down\s+|up\s+)?to\s+{_PLACE}"),
     _slot("location", happened=True)),
    (_pattern(rf"{_SUBJECT}{_NOT}\s+(?:live|living|based|lives)\s+in\s+{_PLACE}"), _slot("location", holds=False)),
    (_pattern(rf"{_SUBJECT}used\s+to\s+live\s+in\s+{_PLACE}"), _slot("location", holds=False)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:moved\s+(?:away\s+from|out\s+of)|left)\s+{_PLACE}(?=$|\s+for\s+good)"),
     _slot("location", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:works|is\s+(?:now\s+)?(?:working|employed)|is\s+employed|"
        rf"teaches)\s+{_SOFT}(?:as\s+[^,]+?\s+)?(?:at|for)\s+"
              rf"(?:{_NAME}|(?:an?|the)\s+(?P<w>[a-z][\w-]+(?:\s+[a-z][\w-]+)??)(?={_END}))"),
     _employer_of),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:started\s+(?:working\s+|work\s+|a\s+(?:new\s+)?job\s+)?(?:at|for)|"
        rf"got\s+(?:a\s+(?:new\s+)?|the\s+)?(?:job|position|hired)\s+"
              rf"(?:at|with|by)|landed\s+a\s+job\s+at|got\s+hired\s+(?:at|by)|joined)\s+(?:{_NAME}|"
              rf"the\s+(?P<w>[a-z][\w-]+)(?={_END}))"),
     _employer_of),
    (_pattern(rf"{_SUBJECT}{_NOT}\s+(?:work|working|employed|works|teach|teaching)\s+(?:at|"
        rf"for)\s+(?:the\s+)?{_REST}{_END}"),
     _slot("employer", holds=False)),
    (_pattern(rf"{_SUBJECT}used\s+to\s+work\s+(?:at|for)\s+(?:the\s+)?{_REST}{_END}"), _slot("employer", holds=False)),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:quit|left|lost|resigned\s+from)\s+(?:\S+['’]s?|their|his|her|the|my|"
        rf"\S+\s+\S+['’]s)\s+(?:\w+\s+)?job"
              rf"(?:\s+(?:at|with)\s+(?:the\s+)?{_REST}{_END})?"), _slot("employer", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}(?:was|has\s+been|got)\s+(?:just\s+)?(?:fired|laid\s+off|let\s+go|made\s+redundant|"
        rf"sacked)(?:\s+(?:from|by)\s+{_NAME})?"),
     _slot("employer", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:left|quit|resigned\s+from)\s+{_NAME}(?=\s*$|\s+(?:in|last|after|because|for|and)\b)"),
     _slot("employer", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}is\s+unemployed\b"), _fixed("employer", None, holds=False)),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:is|works|is\s+working|became|has\s+become|got\s+promoted\s+to|"
        rf"was\s+promoted\s+to|has\s+been\s+promoted\s+to|"
              rf"got\s+(?:a|the)\s+job\s+as|started\s+(?:working\s+)?as)\s+{_SOFT}(?:as\s+)?(?P<v>(?:(?:an?|"
              rf"the)\s+)?[^,;]+)"), _occupation),
    (_pattern(rf"{_SUBJECT}(?:used\s+to\s+(?:be|work\s+as)|is\s+no\s+longer|{_NOT}\s+work\s+as)\s+(?P<v>an?\s+[^,;]+)"),
     _no_occupation),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:is|has\s+become|became|went|has\s+gone|turned)\s+{_SOFT}(?:an?\s+)?(?:strict\s+)?"
              r"(?P<v>vegan|vegetarian|pescatarian|pescetarian|keto|gluten-free|omnivore|flexitarian|kosher|"
              r"halal)\b(?!\s+\w*(?:chef|cook|restaurant|food))"),
     _slot("diet")),
    (_pattern(rf"{_SUBJECT}(?:is\s+not|isn['’]t|is\s+no\s+longer|used\s+to\s+be|stopped\s+being)\s+(?:an?\s+)?"
              r"(?P<v>vegan|vegetarian|pescatarian|keto|gluten-free|omnivore|"
 r"flexitarian)\b"), _slot("diet", holds=False)),
    (_pattern(rf"{_SUBJECT}(?:is|has\s+been|got|just\s+got|"
        rf"is\s+now)\s+{_SOFT}(?:happily\s+)?married(?:\s+to\s+{_NAME})?"), _married("married")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:married|wed)\s+{_NAME}"), _married("married")),
    (_pattern(rf"{_SUBJECT}(?:is|got|has\s+gotten|has\s+got|"
        rf"just\s+got)\s+{_SOFT}engaged(?:\s+to\s+{_NAME})?"), _married("engaged")),
    (_pattern(rf"{_SUBJECT}(?:is|has\s+(?:been|started)|started)\s+{_SOFT}dating\s+{_NAME}"), _married("dating")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:broke|broken|split)\s+up\s+with\s+{_NAME}"), _alone("single")),
    (_pattern(rf"{_SUBJECT}(?:(?:is|got|has\s+gotten|has)\s+{_SOFT}divorced|"
        rf"divorced)(?:\s+(?:from\s+)?{_NAME})?"), _alone("divorced")),
    (_pattern(rf"{_SUBJECT}is\s+{_SOFT}(?:single|not\s+married|widowed|"
        rf"not\s+seeing\s+anyone)\b(?!\s+\w+)"), _alone("single")),
    (_pattern(rf"{_SUBJECT}(?:is|turned|has\s+turned|just\s+turned|is\s+now|"
        rf"turns)\s+{_SOFT}(?P<v>\d{{1,3}})(?=\s*$|\s+(?:years?\s+old|now|today|years?)|[,;])"),
     _slot("age")),
    (_pattern(rf"^(?P<s>.+?['’]s|the)\s+(?:new\s+|current\s+)?(?P<a>{_ATTRIBUTES})\s+(?:is|has\s+changed\s+to|"
        rf"changed\s+to)\s+{_SOFT}(?:called\s+)?"
              r"(?P<v>.+?)(?=$|;|,\s|\s+(?:because|but|and\s+(?:[A-Z]|the\s+user)\S*)\b)"), _attribute),
    (_pattern(r"^(?P<s>(?-i:[A-Z])[\w-]+)\s+and\s+(?P<o>(?-i:[A-Z])[\w-]+|the\s+user)\s+(?:has\s+|have\s+|just\s+|"
        r"finally\s+|recently\s+)*(?:broke|broken|split)\s+up\b"),
     _parted),
    (_pattern(rf"{_SUBJECT}{_SOFT}drives\s+(?P<v>an?\s+(?!(?:lot|bit|little|few|car|long|"
        rf"great)\b)[^,;]+?){_END}"), _slot("car")),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?:likes|loves|adores|enjoys|is\s+(?:really\s+)?(?:into|fond\s+of|a\s+(?:big\s+|"
        rf"huge\s+)?fan\s+of))\s+{_REST}(?=$|[,;])"),
     _likes("yes")),
    (_pattern(rf"{_SUBJECT}(?:{_SOFT}(?:hates|dislikes|detests|despises|loathes|can['’]?(?:no)?t\s+stand|"
        rf"cannot\s+stand)|(?:does\s+not|doesn['’]t|no\s+longer)\s+"
              rf"(?:{_SOFT}|even\s+)(?:likes?|loves?|enjoys?)|is\s+(?:not|no\s+longer)\s+(?:a\s+fan\s+of|"
              rf"into))\s+{_REST}(?=$|[,;]|\s+any\s?more)"),
     _likes("no")),
    (_pattern(rf"{_SUBJECT}(?:{_SOFT}(?:owns|has|has\s+got)|{_GONE}(?:bought|adopted|"
        rf"got))\s+(?P<v>an?\s+[a-z][^,;]*)"), _has(holds=True)),
    (_pattern(rf"{_SUBJECT}{_GONE}(?:sold|lost|cancelled|canceled|gave\s+away|given\s+away|got\s+rid\s+of|crashed|"
        rf"returned|scrapped|donated)\s+"
              r"(?:\S+['’]s|(?:the\s+)?user['’]s|their|his|her|my)\s+(?!job\b)(?P<v>[a-z][^,;]*)"),
     _has(holds=False, happened=True)),
    (_pattern(r"^(?P<s>[^,]+?)['’]s\s+(?P<v>[a-z]+(?:\s[a-z]+)?)\s+(?:has\s+)?(?:died|passed\s+away|was\s+stolen|"
        r"ran\s+away|broke\s+down\s+for\s+good)"),
     _has(holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}(?:does\s+not|doesn['’]t|no\s+longer)\s+(?:have|has|own|owns)\s+(?P<v>(?:an?|"
        rf"the)\s+[a-z][^,;]*?)\s*(?:any\s?more)?$"),
     _has(holds=False)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:quit|stopped|gave\s+up|given\s+up)\s+(?P<verb>[a-z]+ing)\b"
              r"(?P<rest>\s+[^,;]*)?"), _habit(holds=False)),
    (_pattern(rf"{_SUBJECT}(?:does\s+not|doesn['’]t|"
        rf"no\s+longer)\s+(?P<verb>[a-z]+?)(?P<rest>\s[^,;]*?)??(?:\s+any\s?more)?$"),
     _no_habit),
    (_pattern(rf"{_SUBJECT}{_SOFT}(?P<verb>[a-z]+s)\b(?P<rest>\s+[^,;]*)?"), _habit(holds=True)),
    (_pattern(rf"^(?P<s>[\w-]+['’]s|the\s+user['’]s)\s+(?:girlfriend|boyfriend|wife|husband|partner|fianc[eé]e?|spouse)"
              rf"\s+is\s+(?:called\s+|named\s+)?{_NAME}$"),
     _partner_of),
    (_pattern(rf"{_SUBJECT}{_SOFT}has\s+{_SOFT}a\s+(?:new\s+)?(?:girlfriend|boyfriend)\b"),
     _fixed("relationship status", "in a relationship")),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}graduated\b"),
     _fixed("occupation", "student", holds=False, happened=True)),
    (_pattern(rf"{_SUBJECT}(?:has\s+)?{_SOFT}(?:switched|migrated|moved)\s+from\s+"
              r"(?P<v>[^,;]+?)\s+to\s+(?P<w>(?-i:[A-Z])[^,;]*)"),
     _switched),
    (_pattern(rf"{_SUBJECT}(?:is|isn['’]t)\s+(?:not\s+|no\s+longer\s+)?{_SOFT}allergic\s+to\s+{_REST}(?=$|[,;]|\s+any\s?more)"),
     _allergic),
    (_pattern(rf"{_SUBJECT}(?:has\s+been|was|got)\s+{_SOFT}promoted\s+to\s+{_REST}{_END}"),
     _slot("occupation", happened=True)),
    (_pattern(rf"{_SUBJECT}{_SOFT}lives\s+at\s+(?P<v>\d+\w?\s+[^,;]+)"), _slot("address")),
    (_pattern(rf"{_SUBJECT}used\s+to\s+(?P<verb>[a-z]+)(?P<rest>\s+[^,;]*)?$"), _no_habit),
    (_pattern(rf"{_SUBJECT}{_SOFT}weighs\s+{_SOFT}(?P<v>\d+(?:[.,]\d+)?\s*(?:kg|kilos|lbs?|pounds|stone))\b"),
     _slot("weight")),
)  # fmt: skip
