"""Histories of concurrent callers of one bank, and whether one writer, doing one thing after the other, explains them.

Linearisability is local: a history is explained if that of each document is. Per document the search is Wing and
Gong's, with Lowe's memory of (what is done, state) pairs. The bank's own promise, one order over all documents, is
checked on the sequence numbers it gave out.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

Version = tuple[int, str]
"""A document's version and text."""


class Kind(StrEnum):
    PUT = "put"
    DELETE = "delete"
    READ = "read"


@dataclass(frozen=True)
class Event:
    """One call: its instants (of any clock that all callers share) and, if an answer came, what it said.

    Without an answer (`returned` is None) it may have happened at any time after the call, or never.
    """

    kind: Kind
    document: str
    called: float
    returned: float | None = None
    text: str | None = None
    """Of a put what was written, of a read what was found; None: there was no such document."""
    version: int | None = None
    """What a put was given, or a read found."""
    found: bool = True
    """Whether a delete found the document."""
    seq: int | None = None


class Unexplained(AssertionError):
    """No order of the calls explains their answers."""


def check_history(events: Iterable[Event]) -> None:
    """See that every document's calls have an order that explains them, and that the bank's seqs are one order.

    Raises:
        Unexplained: they do not; says which.
    """
    events = list(events)
    documents: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        documents[event.document].append(event)
    for document, own in documents.items():
        if not is_linearisable(own):
            listed = "\n".join(str(event) for event in sorted(own, key=lambda event: event.called))
            raise Unexplained(f"{document}: no order explains\n{listed}")
    check_seqs(events)


def is_linearisable(events: Sequence[Event]) -> bool:
    """Whether calls of one document can have happened one after the other, each between its call and its answer."""
    ordered = sorted(events, key=lambda event: (event.returned is None, event.returned, event.called))
    answered = sum(1 << place for place, event in enumerate(ordered) if event.returned is not None)
    by_call = sorted(range(len(ordered)), key=lambda place: ordered[place].called)
    calls = [ordered[place].called for place in by_call]
    called_first = list(accumulate((1 << place for place in by_call), int.__or__, initial=0))
    seen: set[tuple[int, Version | None]] = set()
    stack: list[tuple[int, Version | None]] = [(0, None)]
    while stack:
        done, state = stack.pop()
        left = answered & ~done
        if not left:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        first_return = ordered[_lowest(left)].returned
        assert first_return is not None
        open_ = called_first[bisect_right(calls, first_return)] & ~done
        following = []
        while open_:
            place = _lowest(open_)
            open_ &= open_ - 1
            possible, after = _after(state, ordered[place])
            if possible:
                following.append((done | 1 << place, after))
        stack.extend(reversed(following))  # those answered first are tried first
    return False


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _after(state: Version | None, event: Event) -> tuple[bool, Version | None]:
    """Whether an event can happen in a state, and the state then."""
    if event.kind is Kind.READ:
        return event.returned is None or state == (None if event.text is None else (event.version, event.text)), state
    if event.kind is Kind.DELETE:
        return event.returned is None or event.found == (state is not None), None
    assert event.text is not None
    version = state[0] + 1 if state else 1
    return event.returned is None or event.version == version, (version, event.text)


def check_seqs(events: Iterable[Event]) -> None:
    """Seqs are given once, and a call that began after another had returned has the higher one.

    Raises:
        Unexplained: it is not so.
    """
    ordered = sorted((event for event in events if event.seq is not None), key=lambda event: event.seq or 0)
    latest: Event | None = None
    for earlier, event in zip([None, *ordered], ordered, strict=False):
        if earlier is not None and earlier.seq == event.seq:
            raise Unexplained(f"seq {event.seq} was given twice: {earlier}, {event}")
        if latest is not None and event.returned is not None and event.returned < latest.called:
            raise Unexplained(f"{event} had returned before {latest} was called, and has the higher seq")
        if latest is None or event.called > latest.called:
            latest = event
