"""Whether an endpoint is worth asking: closed while it answers, open once it failed several times in a row.

An open circuit lets probes through, one a second, so that it closes a moment after the endpoint is back. Most probes
are given up soon, so that one that hangs hides no recovery; one at a time may take as long as a call, for endpoints
that are slow. Pure: instants are seconds of any clock that only moves forward.
"""

from dataclasses import dataclass, field

LONGEST_PAUSE_S = 60.0
"""However long an endpoint asks to be left alone."""
LONG_PROBES = 1
"""Probes with a call's own time limit that are under way at once."""


@dataclass(frozen=True, slots=True)
class CircuitLimits:
    """When to open and how to probe."""

    failures: int = 5
    """Calls that failed in a row, with no answer between, before it opens."""
    probe_every_s: float = 1.0
    probe_s: float = 3.0
    """How long most probes wait for an answer."""


@dataclass(slots=True)
class Circuit:
    """The state of one endpoint. `reason` says why it is open."""

    limits: CircuitLimits = field(default_factory=CircuitLimits)
    open: bool = False
    reason: str = ""
    next_probe_at_s: float = 0.0
    _failures: int = 0
    _throttles: int = 0
    _paused_until_s: float = 0.0
    _long: int = 0
    _probes: int = 0

    def wait_s(self, now_s: float) -> float:
        """Seconds until a call, or a probe, may begin; 0: now."""
        at_s = self.next_probe_at_s if self.open else self._paused_until_s
        return max(0.0, at_s - now_s)

    def begin_probe(self, now_s: float, call_s: float) -> float:
        """Let a probe through: how long it may take. Every other one may take as long as a call, one at a time."""
        self.next_probe_at_s = now_s + self.limits.probe_every_s
        self._probes += 1
        if self._probes % 2 == 0 and self._long < LONG_PROBES:
            self._long += 1
            return call_s
        return min(self.limits.probe_s, call_s)

    def end_probe(self, timeout_s: float) -> None:
        """A probe has ended, however."""
        if timeout_s > self.limits.probe_s:
            self._long -= 1

    def suspect(self, now_s: float, reason: str) -> None:
        """Nothing has come back for so long that it is worth probing."""
        self.open, self.reason, self.next_probe_at_s = True, reason, now_s

    def answered(self) -> None:
        """The endpoint has answered, be it nonsense: whatever was wrong with it is over."""
        self.open, self.reason = False, ""
        self._failures = self._throttles = self._probes = 0
        self._paused_until_s = 0.0

    def failed(self, now_s: float, reason: str) -> None:
        """The endpoint did not answer, or with an error of its own."""
        self._failures += 1
        if self._failures >= self.limits.failures or self.open:
            if not self.open:
                self.next_probe_at_s = now_s + self.limits.probe_every_s
            self.open, self.reason = True, reason

    def throttled(self, now_s: float, stated_s: float | None) -> None:
        """The endpoint asks for fewer calls. Once it did so several times in a row, everybody waits."""
        self._throttles += 1
        if self.open:
            self.answered()
        elif self._throttles >= self.limits.failures:
            self._paused_until_s = now_s + min(stated_s if stated_s is not None else 1.0, LONGEST_PAUSE_S)
            self._throttles = 0
