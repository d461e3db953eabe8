"""When a part that does not answer is ended. Pure: signs and the time go in, verdicts come out."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Sign(StrEnum):
    """What one look at a part gave."""

    ANSWERED = "answered"
    GONE = "gone"
    """Its process has ended; Ray starts it anew by itself."""
    BUSY = "busy"
    """No answer in time, but its process works: native code may hold the interpreter for long."""
    SILENT = "silent"
    """No answer in time, and no work was seen: stopped, stuck, or on a machine out of sight."""


class Standing(StrEnum):
    """What is thought of a part."""

    STARTING = "starting"
    WELL = "well"
    SUSPECT = "suspect"
    CONDEMNED = "condemned"
    """Its process is to be ended now."""


@dataclass(frozen=True, slots=True)
class Patience:
    """`misses` silent looks in a row condemn; a part that works or starts has `busy_s` from its last answer."""

    misses: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What is known of one part; instants are seconds of a monotonic clock."""

    since_s: float
    """When it answered last, or its process was replaced."""
    standing: Standing = Standing.STARTING
    misses: int = 0


def judge(watch: Watch, sign: Sign, now_s: float, patience: Patience) -> Watch:
    """The watch after one more look.

    Misses are counted, not seconds: a supervisor that slept itself must see a part miss several looks before it acts.
    After it was condemned a part is starting: until it answers, only `busy_s` counts.
    """
    if sign is Sign.ANSWERED:
        return Watch(now_s, Standing.WELL)
    starting = watch.standing in {Standing.STARTING, Standing.CONDEMNED}
    if sign is Sign.GONE and not starting:
        return Watch(now_s)
    misses = watch.misses + 1 if sign is Sign.SILENT and not starting else 0
    if misses >= patience.misses or now_s - watch.since_s >= patience.busy_s:
        return Watch(now_s, Standing.CONDEMNED)
    return replace(watch, standing=Standing.STARTING if starting else Standing.SUSPECT, misses=misses)
