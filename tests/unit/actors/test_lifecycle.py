"""The whole table, every pair of state and event."""

import itertools

import pytest

from actors.lifecycle import TRANSITIONS, Event, State, state_after

ALLOWED = {
    State.ABSENT: {Event.NEEDED: State.ACTIVATING, Event.PASSIVATED: State.PASSIVE},
    State.ACTIVATING: {Event.TAKEN: State.ACTIVE, Event.REFUSED: State.FAILED},
    State.ACTIVE: {Event.DOUBTED: State.ABSENT, Event.PASSIVATED: State.PASSIVE},
    State.FAILED: {Event.NEEDED: State.ACTIVATING, Event.PASSIVATED: State.PASSIVE},
    State.PASSIVE: {},
}


@pytest.mark.parametrize(("state", "event"), itertools.product(State, Event), ids=str)
def test_every_event_in_every_state(state, event):
    after = ALLOWED[state].get(event)
    if after is None:
        with pytest.raises(ValueError, match=f"{state} cannot be {event}"):
            state_after(state, event)
    else:
        assert state_after(state, event) is after


def test_the_table_has_nothing_else():
    assert {(state, event): after for state, row in ALLOWED.items() for event, after in row.items()} == TRANSITIONS


def test_every_state_can_be_reached_and_only_passive_is_an_end():
    reached = {State.ABSENT}
    while more := {after for (state, _), after in TRANSITIONS.items() if state in reached} - reached:
        reached |= more
    assert reached == set(State)
    assert {state for state in State if not any(origin is state for origin, _ in TRANSITIONS)} == {State.PASSIVE}
