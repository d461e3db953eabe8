"""Name the speaker: "I moved to Oslo" by Ana is "Ana moved to Oslo"."""

import re
from dataclasses import dataclass

from memory.extraction.verbs import BASE_VERBS, MODALS, is_adverb, is_participle, is_second_verb, third_person
from memory.tense import SAME_IN_PAST, is_past_form

_TOKEN = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*['’]?|\s+|.", re.DOTALL)
_CONSEQUENCE = (
    r"therefore|consequently|as a result|as a consequence|because of (?:that|this)|for (?:that|this) reason|hence|"
    r"(?:that|this|which)(?:['’]s| is| was) why"
)
CONSEQUENCE = re.compile(rf"(?:and\s+)?(?:{_CONSEQUENCE})\b", re.IGNORECASE)
"""What opens a sentence that follows from the one before; "so" opens any."""
OPENING = re.compile(
    r"^(?:(?:actually|well|so|and|but|oh|yes|yeah|yep|no|nope|ok|okay|also|btw|by the way|anyway|honestly|hey|hi|hello|"
    r"sure|right|wow|good news|fyi|update|news|ah|hmm|um|plus|thanks|thank you|you know|to be honest|guess what|"
    r"please note(?: that)?|"
    r"(?:please )?(?:keep in mind|remember)(?: that)?|as (?:i|we) (?:mentioned|said)(?: before| earlier)?|"
    rf"for the record|just so you know|{_CONSEQUENCE})\b"
    r"(?:[,:!.–—-]+\s*|\s+(?=(?:i|we|my|our)\b|(?:i|we)['’])))+",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"[,\s]+(?:you know|thanks|thank you|by the way|btw|actually|haha|though|too)?[.!…\s]*$", re.IGNORECASE
)
_CONTRACTED = {"m": "is", "ve": "has", "ll": "will"}
_FIRST = re.compile(r"i(?:['’](?:m|ve|ll|d))?", re.IGNORECASE)
_WE = re.compile(r"we(?:['’](?:re|ve|ll|d))?", re.IGNORECASE)
_YOU = re.compile(r"you(?:['’](?:re|ve|ll|d))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class People:
    """Who speaks and who is spoken to, as they are named within a sentence; None where that is not known."""

    speaker: str | None
    listener: str | None = None


def people_of(speaker: str | None, role: str | None, listener: str | None, listener_role: str | None) -> People:
    """Names to put for "I" and "you"; a role stands in where there is no name."""
    me = speaker or _ROLES.get(role or "")
    you = listener or _ROLES.get(listener_role or "")
    if you is None and role in {"assistant", "user"}:
        you = _ROLES["user" if role == "assistant" else "assistant"]
    return People(me, you if you != me else None)


_ROLES = {"user": "the user", "assistant": "the assistant", "human": "the user", "ai": "the assistant"}


def possessive(name: str) -> str:
    """The name with its ending: "Ana" → "Ana's"."""
    return name + "'s"


def attribute(sentence: str, people: People) -> str | None:
    """The sentence with its speaker and listener named, without openings such as "Well,".

    None where it speaks of "I" or "you" and nobody is known by that word.
    """
    text = _CLOSING.sub("", without_opening(sentence, people)).rstrip(".! ")
    tokens = _TOKEN.findall(text)
    words = [index for index, token in enumerate(tokens) if token[0].isalnum()]
    for order, index in enumerate(words):
        token = tokens[index]
        if _FIRST.fullmatch(token) and not _is_numeral(tokens, index):
            if people.speaker is None:
                return None
            _name_subject(tokens, words, order, people.speaker, joint=_is_joint(tokens, words, order, people.speaker))
        elif _YOU.fullmatch(token):
            if people.listener is None:
                return None
            _name_you(tokens, words, order, people.listener)
        elif _WE.fullmatch(token):
            if people.speaker is None:
                return None
            _name_we(tokens, words, order, people.speaker)
        else:
            named = _plain(token, people)
            if named is None:
                return None
            tokens[index] = named
    return _tidy("".join(tokens))


def without_opening(sentence: str, people: People) -> str:
    """The sentence without interjections and without the name of whom it is said to, at its begin and end."""
    text = OPENING.sub("", sentence.strip())
    if people.listener:
        name = re.escape(people.listener.split()[0])
        short = re.escape(people.listener[:3])
        text = re.sub(rf"^(?:\w+\s+)?{short}\w*[,!.]+\s+(?=\w)", "", text)
        text = re.sub(rf",\s+{name}([.!]*)$", r"\1", text)
        text = OPENING.sub("", text)
    return text


def _plain(word: str, people: People) -> str | None:
    """A word that stands for a person, named; other words stay."""
    low = word.lower()
    if low in {"my", "mine", "our", "ours"}:
        return possessive(people.speaker) if people.speaker else None
    if low == "me":
        return people.speaker
    if low == "us" and word != "US":
        return f"{people.speaker} and others" if people.speaker else None
    if low in {"your", "yours"}:
        return possessive(people.listener) if people.listener else None
    if low == "myself":
        return "themself"
    return {"ourselves": "themselves", "yourself": "themself"}.get(low, word)


def _is_numeral(tokens: list[str], index: int) -> bool:
    """Whether it counts, as in "World War I"."""
    before = "".join(tokens[:index]).rstrip()
    return tokens[index] == "I" and bool(re.search(r"\b(?:War|Part|Chapter|Phase|Type|Volume|Elizabeth|Act)$", before))


def _is_joint(tokens: list[str], words: list[int], order: int, name: str) -> bool:
    """Whether "and I" ends a subject of several people: "my husband and I"."""
    if any(tokens[index] == name or tokens[index].startswith(name + " ") for index in words[:order]):
        return False  # the speaker was the subject before: "I'm a nurse and I ..."
    before = [tokens[index].lower() for index in words[:order]]
    if not before or before[-1] != "and" or len(before) > 5:
        return False
    return not any(is_past_form(word) or word in BASE_VERBS or word in {"is", "are", "has"} for word in before[:-1])


def _word(tokens: list[str], words: list[int], order: int) -> str:
    return tokens[words[order]] if order < len(words) else ""


def _name_subject(tokens: list[str], words: list[int], order: int, name: str, *, joint: bool) -> None:
    index = words[order]
    _, _, ending = tokens[index].replace("’", "'").partition("'")
    verb = _verb_after(tokens, words, order)
    if ending:
        word = _CONTRACTED.get(ending.lower()) or ("had" if is_participle(_word(tokens, words, verb)) else "would")
        if joint and word in {"is", "has"}:
            word = {"is": "are", "has": "have"}[word]
        tokens[index] = f"{name} {word}"
    else:
        tokens[index] = name
        if not joint and verb < len(words):
            tokens[words[verb]] = third_person(tokens[words[verb]], "".join(tokens))
    _agree_further(tokens, words, verb, present=not joint and ending.lower() in {"", "m"})


def _verb_after(tokens: list[str], words: list[int], order: int) -> int:
    verb = order + 1
    if verb < len(words) - 2 and "".join(tokens[words[verb] : words[verb + 1] + 1]).lower() == "no longer":
        verb += 2
    while verb < len(words) - 1 and is_adverb(tokens[words[verb]]):
        if tokens[words[verb]].lower() == "myself":
            tokens[words[verb]] = ""
            tokens[words[verb] - 1] = ""
        verb += 1
    return verb


def _agree_further(tokens: list[str], words: list[int], verb: int, *, present: bool) -> None:
    """Verbs after "and" that share the subject: "and teach it" → "and teaches it"."""
    first = _word(tokens, words, verb)
    if not present or first.lower() in MODALS or first.lower() in {"doesn't", "doesn’t", "does", "didn't", "didn’t"}:
        return
    told_back = is_past_form(first)
    for order in range(verb + 1, len(words) - 1):
        before, word = tokens[words[order - 1]].lower(), tokens[words[order]]
        if _FIRST.fullmatch(word) or word.lower() in {"who", "that", "to"}:
            return
        if told_back and (before != "and" or word.lower() in SAME_IN_PAST):
            continue
        if before in {"and", "but", "or"} and is_second_verb(word, _word(tokens, words, order + 1)):
            tokens[words[order]] = third_person(word)


def _name_we(tokens: list[str], words: list[int], order: int, name: str) -> None:
    index = words[order]
    _, _, ending = tokens[index].replace("’", "'").partition("'")
    verb = {"re": " are", "ve": " have", "ll": " will"}.get(ending.lower(), "")
    if ending.lower() == "d":
        verb = " had" if is_participle(_word(tokens, words, _verb_after(tokens, words, order))) else " would"
    tokens[index] = f"{name} and others{verb}"


def _name_you(tokens: list[str], words: list[int], order: int, name: str) -> None:
    index = words[order]
    _, _, ending = tokens[index].replace("’", "'").partition("'")
    if ending:
        tokens[index] = name + {"re": " is", "ve": " has", "ll": " will", "d": " would"}[ending.lower()]
        return
    tokens[index] = name
    verb = _verb_after(tokens, words, order)
    following = _word(tokens, words, verb).lower()
    if following in BASE_VERBS or following in {"are", "were", "have", "don't", "don’t", "aren't", "aren’t", "do"}:
        tokens[words[verb]] = third_person(tokens[words[verb]], "".join(tokens))


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text[:1].upper() + text[1:] if text else text
