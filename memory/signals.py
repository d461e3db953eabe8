"""What of the candidates signals look at, read once from their payloads into columns of equal length, (n,)."""

import calendar
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.placing import STRIDE
from memory.records import UnitType

Column = NDArray[np.float64]
Flags = NDArray[np.bool_]

FULL_SHARE_TOKENS = 105
"""Length up to which a unit takes its full share of others' scores: 80 words. Longer ones hold more than one thing,
and a share lent by a neighbour would lift all of it."""
BEST_OF_SESSION = 3
_UNKNOWN = np.datetime64("NaT", "s")
_ASKING = ("?", "？", "؟")  # noqa: RUF001 - question marks of other scripts
_EXPERIENCE = UnitType.EXPERIENCE.value
_DAYS = tuple(name.lower() for name in calendar.day_name)
_TIME_WORDS = frozenset(
    [
        *("yesterday", "today", "tonight", "tomorrow", "ago", "last", "next", "since", "recently"),
        *(form for unit in ("day", "week", "weekend", "month", "year", *_DAYS) for form in (unit, unit + "s")),
        *(name.lower() for name in calendar.month_name if name and name != "May"),
    ]
)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_TO_SPACES = str.maketrans(dict.fromkeys(string.punctuation + "’“”…—", " "))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where candidates stand: document by number, the candidate right before and after each in it (-1: none known)."""

    document: NDArray[np.intp]
    previous: NDArray[np.intp]
    following: NDArray[np.intp]


def read_layout(payloads: Sequence[Mapping[str, Any]]) -> Layout:
    """Neighbours are those less than two strides apart: what stands farther off may have something between."""
    count = len(payloads)
    numbers: dict[str, int] = {}
    document = np.fromiter(
        (numbers.setdefault(payload["document_id"], len(numbers)) for payload in payloads), np.intp, count
    )
    position = np.fromiter((payload["position"] for payload in payloads), np.int64, count)
    order = np.lexsort((position, document))
    before, after = order[:-1], order[1:]
    adjacent = (document[before] == document[after]) & (position[after] - position[before] < 2 * STRIDE)
    previous, following = np.full(count, -1, np.intp), np.full(count, -1, np.intp)
    previous[after[adjacent]] = before[adjacent]
    following[before[adjacent]] = after[adjacent]
    return Layout(document, previous, following)


def share(scores: Column, neighbour: NDArray[np.intp]) -> Column:
    """The score of each candidate's neighbour; 0 where it has none."""
    return np.where(neighbour >= 0, scores[neighbour], 0.0)


def mean_of_best(scores: Column, document: NDArray[np.intp], count: int = BEST_OF_SESSION) -> Column:
    """For each candidate the mean of its document's `count` best scores."""
    order = np.lexsort((-scores, document))
    sorted_document = document[order]
    starts = np.searchsorted(sorted_document, sorted_document)
    best = order[np.arange(len(order)) - starts < count]
    sums = np.bincount(document[best], weights=scores[best])
    means: Column = sums / np.bincount(document[best])
    return means[document]


def read_shares(payloads: Sequence[Mapping[str, Any]]) -> Column:
    """How much of a share a unit takes by its length, in (0, 1]."""
    tokens = np.fromiter((payload["text_tokens"] for payload in payloads), np.float64, len(payloads))
    return np.minimum(1.0, FULL_SHARE_TOKENS / np.maximum(tokens, 1.0))


def read_questions(payloads: Sequence[Mapping[str, Any]]) -> Flags:
    """Whether a unit ends in a question."""
    return _flags(payload["text"].rstrip("\"' \n”’»)").endswith(_ASKING) for payload in payloads)


def read_agents(payloads: Sequence[Mapping[str, Any]]) -> Flags:
    """Whether the agent itself speaks."""
    return _flags(payload["type"] == _EXPERIENCE for payload in payloads)


def read_spoken(payloads: Sequence[Mapping[str, Any]]) -> Flags:
    """Whether somebody speaks: a turn, not a passage of a text."""
    return _flags("speaker" in payload for payload in payloads)


def read_holding(payloads: Sequence[Mapping[str, Any]], code: str) -> Flags:
    """Whether a unit holds a text, given in lower case, as it stands."""
    return _flags(code in payload["text"].lower() for payload in payloads)


def read_speakers(payloads: Sequence[Mapping[str, Any]], named: Sequence[str]) -> Flags:
    """Whether one of those named speaks."""
    return _flags(payload.get("speaker") in named for payload in payloads)


def read_times(payloads: Sequence[Mapping[str, Any]]) -> NDArray[np.datetime64]:
    """When it happened or else was said, datetime64[s]; NaT where unknown."""
    known = (payload.get("occurred_start") or payload.get("mentioned_at") for payload in payloads)
    # Stored instants are in UTC, of one width: numpy reads them without a zone.
    return np.array([_UNKNOWN if text is None else np.datetime64(text[:19], "s") for text in known])


def read_tellings(payloads: Sequence[Mapping[str, Any]]) -> Flags:
    """Whether the text tells a time, in English."""
    return _flags(_tells_a_time(payload["text"]) for payload in payloads)


def _tells_a_time(text: str) -> bool:
    # Splitting costs a third of what searching for any of the words does.
    if not _TIME_WORDS.isdisjoint(text.lower().translate(_TO_SPACES).split()):
        return True
    return ("19" in text or "20" in text) and _YEAR.search(text) is not None


def _flags(values: Any) -> Flags:
    return np.fromiter(values, np.bool_)
