"""Cut text into verbatim chunks: a message is one chunk, long ones are split; passages go by structure.

Every function answers with pieces whose separators and texts, concatenated in order, give the input back byte for byte.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from semantic_text_splitter import MarkdownSplitter, TextSplitter

MAX_CHUNK_CHARS = 900
"""About 200 tokens of English: what the local embedder reads whole (it truncates at 256)."""
MIN_PASSAGE_CHARS = 240
"""Shorter paragraphs of plain text are merged with the next, so that a passage says enough to be found."""

_PARAGRAPH_BREAK = re.compile(r"\n[ \t\r]*\n\s*")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
_BULLET = re.compile(r"^ {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]+\S", re.MULTILINE)
_SPEAKER_LINE = re.compile(r"^[ \t]*(?P<name>[^\W\d_](?:[\w .'’-]{0,38}\w)?):[ \t]+(?=\S)")
_TRANSCRIPT_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk's text, and the text between it and the piece before."""

    separator: str
    text: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces in order; `tail` is what follows the last one."""

    items: tuple[Piece, ...]
    tail: str

    def original(self) -> str:
        """The text they were cut from."""
        return "".join(piece.separator + piece.text for piece in self.items) + self.tail


def cut_message(text: str) -> Pieces:
    """Pieces of one message: itself where it is short, else split at paragraph, sentence and word borders."""
    if len(text) <= MAX_CHUNK_CHARS:
        return Pieces((Piece("", text),), "") if text.strip() else Pieces((), text)
    return _pieces(text, _split_long(text, 0, len(text), markdown=False))


def cut_passages(text: str) -> Pieces:
    """Pieces of a text that is no message: a transcript by its lines, Markdown by blocks, prose by paragraphs."""
    turns = transcript_turns(text)
    if turns:
        return turns
    return cut_markdown(text) if looks_like_markdown(text) else cut_prose(text)


def cut_prose(text: str) -> Pieces:
    """Pieces of plain text: paragraphs, short ones merged with what follows, long ones split."""
    spans: list[tuple[int, int]] = []
    for start, end in _paragraphs(text):
        if spans and spans[-1][1] - spans[-1][0] < MIN_PASSAGE_CHARS and end - spans[-1][0] <= MAX_CHUNK_CHARS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return _pieces(text, (part for span in spans for part in _split_long(text, *span, markdown=False)))


def cut_markdown(text: str) -> Pieces:
    """Pieces of Markdown: a heading opens a piece, fenced code stays whole where it fits, long sections are split."""
    spans: list[tuple[int, int]] = []
    fenced = _fenced_spans(text)
    for start, end in _paragraphs(text):
        before = bisect_left(fenced, (start, 0)) - 1
        inside = before >= 0 and start < fenced[before][1]
        opens = not inside and _HEADING.match(text, start) is not None
        fits = bool(spans) and end - spans[-1][0] <= MAX_CHUNK_CHARS
        only_heading = bool(spans) and _HEADING.match(text, spans[-1][0]) and "\n" not in text[slice(*spans[-1])]
        if spans and (inside or only_heading or (fits and not opens)):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return _pieces(text, (part for span in spans for part in _split_long(text, *span, markdown=True)))


def looks_like_markdown(text: str) -> bool:
    """Whether the text uses headings, fenced code or at least three list items."""
    return bool(_HEADING.search(text) or _FENCE.search(text)) or len(_BULLET.findall(text)) >= 3


def speaker_prefix(text: str) -> str | None:
    """Name in front of a `Name: text` line, or None."""
    match = _SPEAKER_LINE.match(text)
    return match["name"] if match else None


def shared_speaker_form(texts: Sequence[str]) -> bool:
    """Whether texts show the `Name: text` form: nearly all, and names come back (in notes they do not)."""
    names = [name for name in map(speaker_prefix, texts) if name is not None]
    return len(names) >= 2 and len(names) >= _TRANSCRIPT_SHARE * len(texts) and 2 * len(set(names)) <= len(names) + 1


def transcript_turns(text: str) -> Pieces | None:
    """Pieces of a text whose lines are turns (`Name: text`), each with its speaker; None where they are not."""
    lines = [(match.start(), match.end()) for match in re.finditer(r"[^\n]+", text) if not match[0].isspace()]
    if len(lines) < 2 or not shared_speaker_form([text[start:end] for start, end in lines]):
        return None
    turns: list[tuple[int, int, str | None]] = []
    for start, end in lines:
        name = speaker_prefix(text[start:end])
        if name is None and turns:
            turns[-1] = (turns[-1][0], end, turns[-1][2])
        else:
            turns.append((start, end, name))
    speakers: list[str | None] = []
    spans: list[tuple[int, int]] = []
    for start, end, name in turns:
        for part in _split_long(text, *_trimmed(text, start, end), markdown=False):
            spans.append(part)
            speakers.append(name)
    pieces = _pieces(text, spans)
    named = (Piece(p.separator, p.text, name) for p, name in zip(pieces.items, speakers, strict=True))
    return Pieces(tuple(named), pieces.tail)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in _PARAGRAPH_BREAK.finditer(text):
        yield from _nonblank(text, start, gap.start())
        start = gap.end()
    yield from _nonblank(text, start, len(text))


def _nonblank(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    low, high = _trimmed(text, start, end)
    if low < high:
        yield low, high


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))


def _fenced_spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    opened: tuple[int, str] | None = None
    for match in _FENCE.finditer(text):
        mark = match[1]
        if opened is None:
            opened = (match.start(), mark)
        elif mark[0] == opened[1][0] and len(mark) >= len(opened[1]):
            spans.append((opened[0], match.end()))
            opened = None
    if opened is not None:
        spans.append((opened[0], len(text)))
    return spans


def _split_long(text: str, start: int, end: int, *, markdown: bool) -> Iterator[tuple[int, int]]:
    if end - start <= MAX_CHUNK_CHARS:
        yield from _nonblank(text, start, end)
        return
    splitter = _markdown_splitter() if markdown else _text_splitter()
    for offset, part in splitter.chunk_indices(text[start:end]):
        yield from _nonblank(text, start + offset, start + offset + len(part))


def _pieces(text: str, spans: Iterator[tuple[int, int]] | Sequence[tuple[int, int]]) -> Pieces:
    items: list[Piece] = []
    at = 0
    for start, end in spans:
        items.append(Piece(text[at:start], text[start:end]))
        at = end
    return Pieces(tuple(items), text[at:])


@cache
def _text_splitter() -> TextSplitter:
    return TextSplitter(MAX_CHUNK_CHARS)


@cache
def _markdown_splitter() -> MarkdownSplitter:
    return MarkdownSplitter(MAX_CHUNK_CHARS)
