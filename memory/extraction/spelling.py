"""English as it is typed: contractions without their apostrophe, and "is" and "has" behind a noun, written out."""

import re

from memory.extraction.verbs import is_verb

_MARKED = """don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't couldn't wouldn't shouldn't mustn't
    can't I've I'm you're you've we've they're they've he's she's that's what's"""
_UNMARKED = {word.replace("'", "").lower(): word for word in _MARKED.split()}
"""Those that are no other English word."""
_WORD = re.compile(rf"(?<![\w'’-])(?:{'|'.join(_UNMARKED)})(?![\w'’-])", re.IGNORECASE)
_NOUN = r"(?<![\w'’])(?!(?:it|that|this|there|here|what|who|where|when|how|he|she|let|one|everything|something)['’])"
_HAS = re.compile(
    rf"({_NOUN}\w[\w-]*)['’]s\s+(?=(?:\w+ly\s+|just\s+|now\s+)?(?:been|got|had|gone|become|begun)\b)", re.IGNORECASE
)
_IS = re.compile(
    rf"({_NOUN}\w[\w-]*)['’]s\s+(?=(?:an?|the|my|our|not|no\s+longer|in|at|on|from|into|called|named|now|just|really|very|"
    r"so|also|still|always|never|currently|pregnant|allergic|married|engaged|divorced|retired|vegan|vegetarian|"
    r"(?!(?:wedding|meeting|building|training|painting|recording|opening|hearing)\b)\w{2,}ing\s+(?:to|in|at|on|for|the|"
    r"an?|my|our))\b)",
    re.IGNORECASE,
)
"""No possessive stands before these words."""
_LAST = re.compile(rf"({_NOUN}\w[\w-]*)['’]s\s+(?=(?-i:[A-ZÀ-Þ\d]))", re.IGNORECASE)


def spelled_out(sentence: str) -> str:
    """The sentence as rules expect it: "im in" → "I'm in", "My wife's a vet" → "My wife is a vet".

    Where a sentence has no verb but that one, "'s" before a name or number is "is" too: "My favourite band's Pulp".
    """
    text = _WORD.sub(lambda match: _UNMARKED[match[0].lower()], sentence)
    text = _IS.sub(r"\1 is ", _HAS.sub(r"\1 has ", text))
    if re.match(r"(?:my|our)\b", text, re.IGNORECASE) and not any(
        is_verb(word) for word in re.findall(r"[\w'’]+", text)
    ):
        text = _LAST.sub(r"\1 is ", text, count=1)
    return text
