"""Facts of a turn by rules alone: what an extraction does where there is no LLM. Precision before recall."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from memory.date_phrases import DatePhrase, find_dates
from memory.extraction.attribution import CONSEQUENCE, People, attribute, people_of, possessive, without_opening
from memory.extraction.candidates import CandidateFact, Category, Claim, Turn
from memory.extraction.categories import category_of
from memory.extraction.gates import is_ironic, reason_against
from memory.extraction.names import mentions_in
from memory.extraction.occupations import occupation_in
from memory.extraction.slots import claims_of, schedule_of
from memory.extraction.spelling import spelled_out
from memory.extraction.verbs import is_adverb, is_verb, third_person
from memory.records import UnitType
from memory.sentences import split_sentences
from memory.timeline import Span

MAX_SENTENCE_CHARS = 400
"""A longer "sentence" is a list, a log or a table."""

_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_FIRST_PERSON = re.compile(
    r"(?:(?!(?:it|that|this|they|he|she|there|you|these|those)\b)[^,.;:!?]{1,40},\s+|(?:last|this|next|yesterday|"
    r"today|tonight|in|on|at|since|after|before|during|over|when|while|back|earlier|later|recently|lately|by|for|"
    r"ever|sometimes|two|three|four|"
    r"five|six|ten|an?|the|every|as|\d+)\b[^,;]{1,60}?\s|yesterday\s+|today\s+|(?-i:[A-Z][\w’'-]+)(?:\s+and|"
    r",\s+(?-i:[A-Z][\w’'-]+)\s+and)\s+)?"
    r"(?:(?:i|we)(?:['’](?:m|ve|ll|d|re))?(?![\w’'])|me\s+and\s+(?:my|our|(?-i:[A-Z]))|some(?:one|body)\s+(?=.*\b(?:me|my|our|us)\b))",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?!\w+ing\b)(?-i:[A-ZÀ-Þ])[\w’'.&-]*(?:\s+(?:(?-i:[A-ZÀ-Þ\d])[\w’'.&-]*|sister|brother|"
    r"mother|father|mum|mom|dad|son|daughter|wife|husband|office|team|branch|plant|university|"
    r"and|of|the)){0,4}?"
    r"(?:,\s+[^,]{3,40},|\s+(?:from|at|in|down|across)\s+(?:the\s+|\w+['’]s\s+)?\w+(?:\s+\w+)?)?\s+(?:now\s+|also\s+|just\s+|recently\s+|finally\s+|has\s+|no\s+longer\s+)*(?:"
    r"works|worked|lives|lived|moved|relocated|married|joined|left|quit|bought|sold|visited|went|adopted|started|"
    r"studies|studied|graduated|retired|died|"
    r"plays|played|speaks|teaches|bakes|cooks|sings|runs|manages|writes|makes|collects|paints|builds|sells|became|"
    r"won|wrote|made|built|broke|passed|finished|"
    r"completed|signed|published|climbed|cooked|baked|returned|arrived|founded|hired|opened|launched|acquired|"
    r"announced|diagnosed|taught|recommended|"
    r"promised|invited|introduced|gave|is\s+leaving|joins|drives|owns|eats|drinks|likes|loves|hates|prefers|"
    r"enjoys|got\s+\w+|"
    r"resigned|(?:let|fired|sacked|dismissed|laid\s+off)\s+(?:(?-i:[A-Z])|the\s+user)[\w’'-]*|was\s+(?:born|hired|fired|promoted|founded|acquired|built|elected|diagnosed|raised|laid)|"
    r"(?:is|was)\s+(?:based|married|engaged|divorced|pregnant|allergic|from\s+[A-Z]\w*|(?:(?:up|down|over|out|back|off)\s+)?in\s+(?-i:[A-Z])\w*|turning|\d+\b|"
    r"moving|vegan|vegetarian|retired)|"
    r"(?:is|was)\s+(?=(?:an?|the)\s+(?P<job>[^,;]+))|"
    r"has\s+(?:an?|two|three|four|no)\s+\w+|doesn['’]t\s+(?:like|eat|drink|live|work)|will\s+\w+)(?:\b|(?<=\s))",
    re.IGNORECASE,
)
_OURS = re.compile(r"^(?:my|our|mine)\b", re.IGNORECASE)
_KIN = {
    "she": "sister|mother|mum|mom|daughter|wife|girlfriend|aunt|grandmother|grandma|niece",
    "he": "brother|father|dad|son|husband|boyfriend|uncle|grandfather|grandpa|nephew",
}
_COMMON = frozenset(
    """the this that these those there here it they he she someone somebody everyone everybody nobody anyone nothing
    something everything people one some many most few all both each thanks please a an what who when where why how
    if because while not no yes his her their its your today tomorrow yesterday last next so and but or maybe
    perhaps translate write fix correct summarise summarize imagine pretend suppose let remember note see look make
    take give show tell send remind add keep get go try do don't use call create find book explain help check read
    say think consider congratulations having being another glad sorry happy great nice sure proud love good
    together family life music time work in on at with for from to""".split()
)
_EMPTY = frozenset(
    """it that this them him her there here too so as well again also now then just one ones some any do does did done
    is was be been are to of for at in on with from about and but or all both the a an very really much more most
    lot lots way thing things stuff you me us mine yours same else either neither not never always still back up
    down out off over today yesterday""".split()
)
_HAPPENED = re.compile(
    r"^the\s+[\w’' -]+?\s+(?:starts|ends|begins|opens|closes|expires|launches|takes\s+place|happens|arrives|"
    r"leaves|lands|airs|aired|opened|closed|launched|started|ended|began|happened|arrived|failed|crashed|expired|shipped|"
    r"collapsed)\b|^(?:the|this|that)\s+[\w’' -]+?\s+(?:was|were|has\s+been|have\s+been|is|are|got|"
    r"will\s+be)\s+(?:now\s+|just\s+|finally\s+|recently\s+|also\s+)*"
    r"(?:\w+ed|moved|built|bought|sold|held|set|cut|shut|won|lost|found|made|sent|paid|broken|stolen|chosen|given|"
    r"taken|due|on|scheduled|at|\d{1,2}|"
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)\w*)\b",
    re.IGNORECASE,
)


_RELATIVE_DOES = re.compile(
    r"(?P<s>.+?['’]s\s+(?:(?:older|younger|little|big|eldest|youngest|late)\s+)?(?:sister|brother|mother|father|mum|mom|dad|"
    r"son|daughter|wife|husband|partner|girlfriend|boyfriend|fianc[eé]e?|uncle|aunt|cousin|niece|nephew|gran|grandma|"
    r"grandpa|grandmother|grandfather|flatmate|roommate|boss|neighbou?r|colleague|friend)(?:-in-law)?"
    r"(?:,\s+(?-i:[A-Z])\w+,)?)\s+(?:\w+ly\s+)?(?P<verb>[a-z]{3,}[^s'’\W]s)\s+(?=\w)",
    re.IGNORECASE,
)
"""A relative and what they do, by a verb that need not be known: one person's verb ends in "s"."""
_WE_DO = re.compile(
    r"we\s+(?!(?:all|both|two|three|four)\b)[a-z]{3,}\s+(?:an?|the|my|our|two|three|four|every|each)\s+\w",
    re.IGNORECASE,
)
_DONE_TO = re.compile(
    r"(?P<s>the\s+(?:[\w-]+\s+)?[\w-]+)\s+(?!\w*need\b)[a-z]{2,}ed\s+(?:the|an?|our|\w+['’]s|\d+)\s", re.IGNORECASE
)
"""What somebody unnamed did to something; a fact where it has a date."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    order: int
    statement: str
    subject: str


def extract_facts(
    turn: Turn, previous: Turn | None = None, known_names: Iterable[str] = ()
) -> tuple[CandidateFact, ...]:
    """The facts that a turn states, in its order. `previous` is the turn before it, of whoever spoke then.

    Raises:
        ValueError: `turn.said_at` has no time zone.
    """
    if is_ironic(turn.text):
        return ()
    people = _people(turn, previous)
    names = [name for name in (people.speaker, people.listener) if name]
    known = tuple(known_names)
    facts: list[CandidateFact] = []
    for sentence in _sentences(turn, previous, people):
        fact = _fact(sentence, turn, people, names, known)
        if fact is not None:
            follows = bool(facts) and facts[-1].sentence == sentence.order - 1 and CONSEQUENCE.match(sentence.text)
            facts.append(replace(fact, because_of=facts[-1].sentence) if follows else fact)
    return tuple(facts)


def _people(turn: Turn, previous: Turn | None) -> People:
    if previous is None:
        return people_of(turn.speaker, turn.role, None, None)
    return people_of(turn.speaker, turn.role, previous.speaker, previous.role)


def _sentences(turn: Turn, previous: Turn | None, people: People) -> Iterable[_Sentence]:
    last: str | None = None
    for order, typed in enumerate(split_sentences(_CODE.sub(" ", turn.text))):
        text = spelled_out(typed)
        if len(text) > MAX_SENTENCE_CHARS or reason_against(text) is not None:
            last = None
            continue
        named = _resolve_third_person(text, last, previous, people)
        statement = named and attribute(named, people)
        dated = bool(statement and find_dates(statement, turn.said_at))
        subject = statement and _subject(named or text, statement, people, dated=dated)
        if statement and subject and _says_something(statement, subject):
            yield _Sentence(text, order, statement, subject)
        last = subject


def _resolve_third_person(text: str, last: str | None, previous: Turn | None, people: People) -> str | None:
    """The sentence "She works there" with the person it speaks of; None where nobody is plain."""
    match = re.match(r"(?P<who>she|he)(?P<verb>['’]s)?\s+", text, re.IGNORECASE)
    if match is None:
        return text
    rest = ("is " if match["verb"] else "") + text[match.end() :]
    if last and last != people.speaker and " and " not in last:
        return f"{last} {rest}"
    kin = previous and re.search(rf"\byour\s+(?P<kin>{_KIN[match['who'].lower()]})\b", previous.text, re.IGNORECASE)
    if kin and people.speaker:
        return f"{possessive(people.speaker)} {kin['kin']} {rest}"
    return None


def _subject(text: str, statement: str, people: People, *, dated: bool) -> str | None:
    """Whom or what a statement is about; None where its sentence has no subject that would stand by itself."""
    words = statement.split()
    own = people.speaker or ""
    core = without_opening(text, people)
    inflected = (
        re.match(rf"{re.escape(own)}\s+(?:\w+ly\s+)?[a-z]{{2,}}s\s+\w", statement, re.IGNORECASE) if own else None
    )
    relative = _RELATIVE_DOES.match(statement) if _OURS.match(core) else None
    if relative and not is_adverb(relative["verb"]):
        return relative["s"]
    known = inflected or _WE_DO.match(core) or any(is_verb(word.strip(",.")) for word in words[1:])
    if not known:
        return None
    if _OURS.match(core):
        return _noun_phrase(words, least=2)
    if _FIRST_PERSON.match(core):
        return _capital(own)
    raised = _DONE_TO.match(statement)
    if raised and dated:
        return raised["s"]
    if _HAPPENED.match(statement):
        return " ".join(words[: 2 if len(words) > 2 and is_verb(words[2]) else 3])
    named = _NAMED.match(statement)
    if named is None or re.split(r"['’,]", words[0].lower())[0] in _COMMON:
        return None
    if named["job"] and occupation_in("a " + named["job"].split(" ", 1)[-1]) is None:
        return None
    return _noun_phrase(words, least=1)


def _noun_phrase(words: list[str], least: int) -> str | None:
    """The words before the first verb, up to five."""
    end = next((end for end in range(least, min(6, len(words))) if is_verb(words[end].strip(","))), None)
    return None if end is None else " ".join(words[:end]).strip(",")


def _says_something(statement: str, subject: str) -> bool:
    rest = statement.removeprefix(subject)
    words = [word.strip(",.!").lower() for word in rest.split()]
    after = words[1:] if words else []
    return not after or any(word not in _EMPTY and not is_adverb(word) for word in after)


def _fact(
    sentence: _Sentence, turn: Turn, people: People, names: Iterable[str], known: Iterable[str]
) -> CandidateFact | None:
    statement = sentence.statement
    dates = find_dates(statement, turn.said_at)
    occurred = dates[0].span if dates else None
    claims = _claims(statement, dates, turn)
    category = category_of(statement, claims, occurred, turn.said_at)
    if category in _LASTING and occurred is not None and _is_now(occurred, turn.said_at):
        category, claims = Category.CONTEXT, ()  # a mood of the day is no preference
    if category is Category.PLAN:
        claims = tuple(claim for claim in claims if claim.attribute == "date")
    if category is None:
        return None
    by_tool = turn.role in {"assistant", "tool"} and sentence.subject == _capital(people.speaker or "")
    return CandidateFact(
        statement=statement,
        text=_dated(statement, dates),
        type=UnitType.EXPERIENCE if by_tool else UnitType.WORLD,
        category=category,
        confidence=0.9 if claims else 0.8 if sentence.subject == _capital(people.speaker or "") else 0.7,
        sentence=sentence.order,
        subject=sentence.subject,
        occurred=occurred,
        claims=claims,
        mentions=tuple(mention.name for mention in mentions_in(statement, names, known)),
    )


_LASTING = frozenset({Category.PREFERENCE, Category.OPINION})
_MOMENT = timedelta(days=7)


def _is_now(occurred: Span, said_at: datetime) -> bool:
    return occurred.start <= said_at < occurred.end and occurred.end - occurred.start <= _MOMENT


def _claims(statement: str, dates: tuple[DatePhrase, ...], turn: Turn) -> tuple[Claim, ...]:
    bare = statement
    for phrase in reversed(dates):
        preposition = re.search(
            r"\s*\b(?:in|on|since|by|during|from|for|until|at|over|around)?\s*$", bare[: phrase.begin], re.IGNORECASE
        )
        begin = preposition.start() if preposition else phrase.begin
        bare = bare[:begin] + " " + bare[phrase.end :]
    bare = " ".join(bare.split()).strip(" ,")
    if turn.text == turn.text.lower():
        bare = _LOWER_PLACE.sub(lambda match: match[1] + match[2].upper(), bare)
    claims = claims_of(_alone(bare))
    if dates and dates[0].span.end - dates[0].span.start == timedelta(days=1):
        scheduled = schedule_of(statement[: dates[0].begin], dates[0].span.start.date().isoformat())
        if scheduled:
            return (scheduled, *claims)
    return claims


_LOWER_PLACE = re.compile(
    r"(\b(?:(?:lives|living|based)\s+in|(?:moved|relocated)\s+to)\s+)(?!(?:an?|the|my|our|this|that|with|peace|"
    r"fear)\b)([a-z])"
)
"""Where nothing is capitalised, a place is known by its verb."""


def _alone(statement: str) -> str:
    """What "we" claim, the speaker claims: "Ana and others live in Oslo" → "Ana lives in Oslo"."""
    match = re.match(r"(?P<name>[\w’' .-]+?) and others\s+(?P<verb>[\w’']+)", statement)
    return f"{match['name']} {third_person(match['verb'])}{statement[match.end() :]}" if match else statement


def _dated(statement: str, dates: tuple[DatePhrase, ...]) -> str:
    """The statement with what its relative dates meant, in brackets behind them."""
    text = statement
    for phrase in reversed(dates):
        if not re.search(r"\d{4}", statement[phrase.begin : phrase.end]):
            first, last = phrase.span.start.date(), (phrase.span.end - timedelta(days=1)).date()
            meant = first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"
            text = f"{text[: phrase.end]} ({meant}){text[phrase.end :]}"
    return text


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
