"""The checker of histories accepts what one writer can have done, and nothing else."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.histories import Event, Kind, Unexplained, _after, check_history, is_linearisable


def put(called, returned, text, version=None, seq=None, document="d"):
    return Event(Kind.PUT, document, called, returned, text, version, seq=seq)


def read(called, returned, text=None, version=None, document="d"):
    return Event(Kind.READ, document, called, returned, text, version)


def delete(called, returned, found=True, document="d"):
    return Event(Kind.DELETE, document, called, returned, found=found)


GOOD = {
    "nothing": [],
    "one after the other": [put(0, 1, "a", 1), read(2, 3, "a", 1), put(4, 5, "b", 2), read(6, 7, "b", 2)],
    "beside each other, the later call first": [put(0, 9, "a", 2), put(1, 8, "b", 1), read(10, 11, "a", 2)],
    "a read beside a put sees the old": [put(0, 1, "a", 1), put(2, 9, "b", 2), read(3, 4, "a", 1)],
    "a read beside a put sees the new": [put(0, 1, "a", 1), put(2, 9, "b", 2), read(3, 4, "b", 2)],
    "unanswered, and never happened": [put(0, None, "a"), read(1, 2), read(100, 101)],
    "unanswered, and happened late": [put(0, None, "a"), read(1, 2), read(50, 51, "a", 1)],
    "unanswered, and counted": [put(0, None, "a"), put(1, 2, "b", 2), read(3, 4, "b", 2)],
    "deleted": [put(0, 1, "a", 1), delete(2, 3), read(4, 5), delete(6, 7, found=False), put(8, 9, "b", 1)],
    "deleted by a call without an answer": [put(0, 1, "a", 1), delete(2, None), read(3, 4, "a", 1), read(5, 6)],
    "documents of their own": [put(0, 1, "a", 1), put(2, 3, "b", 1, document="e"), read(4, 5, "a", 1)],
    "seqs in order": [put(0, 1, "a", 1, seq=5), put(2, 3, "b", 1, seq=9, document="e")],
    "seqs of calls beside each other": [put(0, 4, "a", 1, seq=9), put(1, 3, "b", 1, seq=5, document="e")],
}
BAD = {
    "an acknowledged put is lost": [put(0, 1, "a", 1), read(2, 3)],
    "an acknowledged replace is undone": [put(0, 1, "a", 1), put(2, 3, "b", 2), read(4, 5, "a", 1)],
    "a version is given twice": [put(0, 1, "a", 1), put(2, 3, "b", 1)],
    "a version is left out": [put(0, 1, "a", 1), put(2, 3, "b", 3)],
    "a put is done twice": [put(0, 1, "a", 1), read(2, 3, "a", 2)],
    "nobody wrote it": [put(0, 1, "a", 1), read(2, 3, "x", 1)],
    "read before it was called": [read(0, 1, "a", 1), put(2, 3, "a", 1)],
    "new, then old": [put(0, 1, "a", 1), put(2, 99, "b", 2), read(3, 4, "b", 2), read(5, 6, "a", 1)],
    "a delete is undone": [put(0, 1, "a", 1), delete(2, 3), read(4, 5, "a", 1)],
    "a delete is undone by a put without an answer that was seen before it": [
        put(0, None, "a"), read(1, 2, "a", 1), delete(3, 4), read(5, 6, "a", 1),
    ],
    "nothing to delete was found where something was": [put(0, 1, "a", 1), delete(2, 3, found=False)],
    "something to delete was found where nothing was": [delete(0, 1, found=True)],
    "an unanswered put comes and goes": [put(0, None, "a"), read(1, 2, "a", 1), read(3, 4)],
    "one document of several": [put(0, 1, "a", 1, document="e"), put(2, 3, "b", 1), read(4, 5, document="e")],
    "a seq twice": [put(0, 1, "a", 1, seq=5), put(2, 3, "b", 1, seq=5, document="e")],
    "seqs against time": [put(0, 1, "a", 1, seq=9), put(2, 3, "b", 1, seq=5, document="e")],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_one_writer_can_have_done_is_accepted(name):
    check_history(GOOD[name])
    check_history(reversed(GOOD[name]))


@pytest.mark.parametrize("name", BAD)
def test_what_no_writer_can_have_done_is_refused(name):
    with pytest.raises(Unexplained):
        check_history(BAD[name])
    with pytest.raises(Unexplained):
        check_history(reversed(BAD[name]))


def explained_by_trying_all(events):
    """Every order of every choice of the unanswered calls."""
    answered = [event for event in events if event.returned is not None]
    open_ = [event for event in events if event.returned is None]
    for chosen in product([False, True], repeat=len(open_)):
        happened = answered + [event for event, choice in zip(open_, chosen, strict=True) if choice]
        for order in permutations(happened):
            if any(b.returned is not None and b.returned < a.called for at, a in enumerate(order) for b in order[at:]):
                continue
            state, possible = None, True
            for event in order:
                possible, state = _after(state, event)
                if not possible:
                    break
            if possible:
                return True
    return False


INSTANTS = st.tuples(st.integers(0, 8), st.integers(1, 6), st.booleans())
TEXTS = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.builds(lambda at, text, version: _event(put, at, text, version), INSTANTS, TEXTS, st.integers(1, 2)),
    st.builds(lambda at, text, version: _event(read, at, text, version), INSTANTS, TEXTS, st.integers(1, 2)),
    st.builds(lambda at: _event(read, at), INSTANTS),
    st.builds(lambda at, found: _event(delete, at, found), INSTANTS, st.booleans()),
)


def _event(make, at, *more):
    called, took, answered = at
    return make(called * 2, called * 2 + took * 2 + 1 if answered else None, *more)


@given(st.lists(EVENTS, max_size=5))
def test_it_agrees_with_trying_every_order(events):
    assert is_linearisable(events) == explained_by_trying_all(events)


@given(st.lists(st.sampled_from(["put", "delete", "read"]), max_size=40), st.randoms(use_true_random=False))
def test_what_one_writer_did_is_accepted_however_long_the_calls_seemed(kinds, choice):
    state, events = None, []
    for number, kind in enumerate(kinds):
        called, returned = number * 10 - choice.randrange(40), number * 10 + choice.randrange(40)
        if kind == "put":
            state = (state[0] + 1 if state else 1, f"text {number}")
            answered = choice.random() < 0.9
            events.append(put(called, returned if answered else None, state[1], state[0] if answered else None))
        elif kind == "delete":
            events.append(delete(called, returned, found=state is not None))
            state = None
        else:
            events.append(read(called, returned, *(reversed(state) if state else ())))
    check_history(events)
