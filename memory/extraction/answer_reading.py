"""From a model's answer to candidate facts: nothing is taken over that does not stand in the window it is said to.

An answer whose shape is wrong is asked for again, window by window. A fact whose shape is right but that names no turn
of its window, quotes what nobody said, or is too long is dropped.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from json_repair import loads as repair_json
from pydantic import ValidationError
from rapidfuzz import fuzz

from memory.entities import normal_name
from memory.extraction.answer_dates import read_when
from memory.extraction.answer_schema import AnsweredWindow, LabelledFact, StatedClaim
from memory.extraction.candidates import CandidateFact, Claim
from memory.extraction.port import ExtractionMode, LabelKind, SourceTurn, WindowFact, WindowRequest
from memory.extraction.prompt import window_ids
from memory.records import UnitType
from memory.sentences import split_sentences

MAX_FACTS = 100
MAX_FACT_CHARS = 1000
MAX_QUOTE_CHARS = 500
MAX_NAME_CHARS = 100
MAX_VALUE_CHARS = 300
MAX_ENTITIES = 20
MAX_CLAIMS = 8
MAX_SOURCE_TURNS = 20
MAX_ANSWER_CHARS = 1_000_000
MAX_MENDED_CHARS = 100_000
MAX_MENDED_DEPTH = 50
"""What is longer or deeper is not mended: it costs time by the square of its depth."""
MIN_LIKENESS = 90.0
"""Of 100: how like a passage of its turn a quote must be; models change a letter or a comma."""

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class WindowReading:
    """Facts of one window; `dropped` counts those that did not hold up."""

    facts: tuple[WindowFact, ...]
    dropped: int


def read_answer(text: str, requests: Sequence[WindowRequest]) -> Mapping[str, WindowReading]:
    """What an answer says of the windows it was asked about, by hash. Those it leaves out or garbles are not in it."""
    parsed, mended = parse_json(text)
    given = parsed.get("windows") if isinstance(parsed, dict) else None
    by_id = dict(zip(window_ids(requests), map(_readable, requests), strict=True))
    readings: dict[str, WindowReading] = {}
    for entry in given if isinstance(given, list) else ():
        answered = _window(entry, mended=mended)
        request = by_id.get(answered.id) if answered else None
        if answered is None or request is None or request.window in readings:
            continue
        reading = _read_window(answered, request)
        if reading is not None:
            readings[request.window] = reading
    return readings


def parse_json(text: str) -> tuple[Any, bool]:
    """The answer's JSON, and whether it had to be mended."""
    if len(text) > MAX_ANSWER_CHARS:
        return None, False
    fence = _FENCE.search(text)
    start, end = text.find("{"), text.rfind("}")
    for candidate in (text, fence[1] if fence else "", text[start : end + 1] if 0 <= start < end else ""):
        try:
            return json.loads(candidate), False
        except (ValueError, RecursionError):
            continue
    if len(text) > MAX_MENDED_CHARS or _depth(text) > MAX_MENDED_DEPTH:
        return None, False
    try:
        return repair_json(text[max(start, 0) :]), True
    except (ValueError, RecursionError):
        return None, False


def _depth(text: str) -> int:
    """How deep brackets are nested, those within strings counted too."""
    return max(accumulate((character in "{[") - (character in "}]") for character in text), default=0)


def _window(entry: Any, *, mended: bool) -> AnsweredWindow | None:
    try:
        window = AnsweredWindow.model_validate(entry)
    except ValidationError:
        return None
    return None if mended and window.count != len(window.facts) else window


def _read_window(answered: AnsweredWindow, request: WindowRequest) -> WindowReading | None:
    """The window's facts; None where it states some of which none holds up: such an answer is of other things."""
    facts: list[WindowFact] = []
    place: dict[int, int] = {}
    said: set[tuple[str, tuple[int, ...]]] = set()
    for order, stated in enumerate(answered.facts[:MAX_FACTS]):
        fact = _fact(stated, request, answered.language, place)
        if fact is not None and (_folded(fact.fact.text), fact.turns) not in said:
            said.add((_folded(fact.fact.text), fact.turns))
            place[order] = len(facts)
            facts.append(fact)
    if answered.facts and not facts:
        return None
    return WindowReading(tuple(facts), len(answered.facts) - len(facts))


def _fact(
    stated: LabelledFact, request: WindowRequest, language: str | None, place: Mapping[int, int]
) -> WindowFact | None:
    turns = tuple(sorted(set(stated.turns)))
    if not turns or turns[0] < 0 or turns[-1] >= len(request.turns) or len(turns) > MAX_SOURCE_TURNS:
        return None
    verbatim = request.profile.mode is ExtractionMode.VERBATIM
    first = request.turns[turns[0]]
    if verbatim:
        turns, text, quote, source = turns[:1], first.text.strip(), None, first
    else:
        text = _clean(stated.text)
        found = _find_quote(stated.quote, turns, request)
        if not text or len(text) > MAX_FACT_CHARS or found is None:
            return None
        quote, source = found
    entities = _entities(stated, text, request)
    return WindowFact(
        CandidateFact(
            statement=text,
            text=text,
            type=UnitType(stated.type),
            category=stated.category,
            confidence=min(max(stated.confidence, 0.0), 1.0) if stated.confidence == stated.confidence else 0.0,
            sentence=_sentence_of(source, quote),
            subject=_clean(stated.subject)[:MAX_NAME_CHARS] or first.speaker or "",
            occurred=read_when(stated.when, quote or text, source.said_at),
            claims=tuple(claim for claim in map(_claim, stated.claims[:MAX_CLAIMS]) if claim is not None),
            mentions=tuple(name for name, _ in entities),
        ),
        turns,
        entities,
        quote,
        language if language and _LANGUAGE.fullmatch(language) else None,
        _labels(stated, request),
        tuple(sorted({place[cause] for cause in stated.because if cause in place})),
    )


def _find_quote(
    quote: str | None, turns: tuple[int, ...], request: WindowRequest
) -> tuple[str | None, SourceTurn] | None:
    """The quote and the turn it stands in; None where it stands in none of those named, or is missing."""
    wanted = _folded(quote or "")
    if not wanted or len(wanted) > MAX_QUOTE_CHARS:
        return None
    for turn in (request.turns[index] for index in turns):
        said = _folded(turn.text)
        if wanted in said or (
            len(wanted) <= len(said) and fuzz.partial_ratio(wanted, said, score_cutoff=MIN_LIKENESS) > 0
        ):
            return _clean(quote or ""), turn
    return None


def _folded(text: str) -> str:
    """A text as quotes are compared: no case, no blanks to speak of, one kind of quotation mark."""
    plain = text.casefold().replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"').replace("…", " ")
    return " ".join(plain.split()).strip(" .\"'")


def _entities(stated: LabelledFact, text: str, request: WindowRequest) -> tuple[tuple[str, str], ...]:
    """Names with types, each once; those that the caller gave where the fact names them."""
    found: dict[str, tuple[str, str]] = {}
    for entity in stated.entities[:MAX_ENTITIES]:
        name = _clean(entity.name)
        if name and len(name) <= MAX_NAME_CHARS:
            found.setdefault(normal_name(name), (name, entity.type))
    said = f" {normal_name(text)} "
    for name, kind in request.profile.given_entities:
        if f" {normal_name(name)} " in said:
            found[normal_name(name)] = (name, kind or found.get(normal_name(name), ("", "concept"))[1])
    return tuple(found.values())


def _claim(stated: StatedClaim) -> Claim | None:
    subject, attribute = _clean(stated.subject), _clean(stated.attribute).lower()
    value = _clean(stated.value or "") or None
    if not subject or not attribute or len(subject) > MAX_NAME_CHARS or len(attribute) > MAX_NAME_CHARS:
        return None
    if (value is None and stated.holds) or len(value or "") > MAX_VALUE_CHARS:
        return None
    return Claim(subject, attribute, value, stated.holds, stated.replaces, stated.happened)


def _labels(stated: LabelledFact, request: WindowRequest) -> tuple[tuple[str, str], ...]:
    """Labels of the bank's vocabulary alone; a label that holds one value keeps its first."""
    vocabulary = {label.name: label for label in request.profile.labels}
    found: list[tuple[str, str]] = []
    for given in stated.labels[:MAX_ENTITIES]:
        label, value = vocabulary.get(given.label), _clean(given.value)
        if label is None or not value or len(value) > MAX_VALUE_CHARS or (label.name, value) in found:
            continue
        closed = label.kind in {LabelKind.VALUE, LabelKind.VALUES}
        if closed and value not in {allowed for allowed, _ in label.values}:
            continue
        if label.kind is LabelKind.VALUE and any(name == label.name for name, _ in found):
            continue
        found.append((label.name, value))
    return tuple(found)


def _sentence_of(turn: SourceTurn, quote: str | None) -> int:
    wanted = _folded(quote or "")
    if not wanted:
        return 0
    sentences = split_sentences(turn.text)
    return next((order for order, sentence in enumerate(sentences) if wanted in _folded(sentence)), 0)


def _readable(request: WindowRequest) -> WindowRequest:
    """The window as the model saw it: without lone surrogates."""
    turns = tuple(replace(turn, text=_well_formed(turn.text)) for turn in request.turns)
    return replace(request, turns=turns)


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _clean(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", _well_formed(text)).split())
