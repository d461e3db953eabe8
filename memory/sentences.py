"""Sentences of a text, by a library that knows abbreviations, addresses and quotation marks."""

import re

from sentencex import segment

_AFTER_PRONOUN = re.compile(r"(?<=\b(?:me|us)[.!?])\s+(?=[A-Z])|(?<=\bit\.)\s+(?=[A-Z])|(?<=[a-z]{3}[.!])\s+(?=I\b)")
"""Borders the library reads as abbreviations: "Me." is Maine to it."""
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""What no encoding can carry, and so not the library."""


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences in order, without the white space around them; each line begins a new one.

    In place of a lone surrogate stands the replacement character.
    """
    return tuple(
        sentence.strip()
        for line in text.splitlines()
        if line.strip()
        for part in segment("en", _LONE_SURROGATE.sub("\ufffd", line))
        for sentence in _AFTER_PRONOUN.split(part)
        if sentence.strip()
    )
