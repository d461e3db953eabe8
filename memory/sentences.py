"""Sentences of a text, by a library that knows abbreviations, addresses and quotation marks."""

import re

from sentencex import segment

_AFTER_PRONOUN = re.compile(r"(?<=\b(?:me|us)[.!?])\s+(?=[A-Z])|(?<=\bit\.)\s+(?=[A-Z])|(?<=[a-z]{3}[.!])\s+(?=I\b)")
"""Borders the library reads as abbreviations: "Me." is Maine to it."""


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences in order, without the white space around them; each line begins a new one."""
    return tuple(
        sentence.strip()
        for line in text.splitlines()
        if line.strip()
        for part in segment("en", line)
        for sentence in _AFTER_PRONOUN.split(part)
        if sentence.strip()
    )
