"""The states of one activation of a bank, and the one table of what leads from each to which.

There is no state "passivating": all that was acknowledged is in the store, so an activation has nothing to write when
it goes, and going takes no time. A bank that was dropped is addressed anew: its next command meets a fresh activation.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """What an activation is doing."""

    ABSENT = "absent"
    """Nothing is known of what the store holds: never taken, or taken and doubted since."""
    ACTIVATING = "activating"
    """The epoch is being taken; whoever needs the bank waits for the same attempt."""
    ACTIVE = "active"
    """The owner of the bank's epoch: what it has in memory is what the store holds."""
    FAILED = "failed"
    """The last attempt to take the bank failed; the next command makes another."""
    PASSIVE = "passive"
    """Dropped from memory for good; never asked again."""


class Event(StrEnum):
    """What happens to an activation."""

    NEEDED = "needed"
    TAKEN = "taken"
    REFUSED = "refused"
    DOUBTED = "doubted"
    """A write ended without saying whether it was committed, or another owner was seen."""
    PASSIVATED = "passivated"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.ABSENT, Event.NEEDED): State.ACTIVATING,
    (State.FAILED, Event.NEEDED): State.ACTIVATING,
    (State.ACTIVATING, Event.TAKEN): State.ACTIVE,
    (State.ACTIVATING, Event.REFUSED): State.FAILED,
    (State.ACTIVE, Event.DOUBTED): State.ABSENT,
    (State.ABSENT, Event.PASSIVATED): State.PASSIVE,
    (State.ACTIVE, Event.PASSIVATED): State.PASSIVE,
    (State.FAILED, Event.PASSIVATED): State.PASSIVE,
}
"""Every transition there is; any other is a defect of the caller."""


def state_after(state: State, event: Event) -> State:
    """The state that an event leads to.

    Raises:
        ValueError: the event cannot happen in this state.
    """
    after = TRANSITIONS.get((state, event))
    if after is None:
        raise ValueError(f"a bank that is {state} cannot be {event}")
    return after
