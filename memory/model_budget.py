"""Who may call the language model, and when: requests, tokens and calls at once, the circuit, and caps by day.

A pure state machine. Callers put tickets in line and are told which of them may go; banks take turns. Instants are
seconds of a clock that only moves forward, days are UTC dates; both come in as arguments.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from memory.circuit import Circuit, CircuitLimits
from memory.spending import Caps, Ledger

BURST_S = 10.0
"""Seconds' worth of a rate that may be used at once."""
LEAST_PATIENCE_S = 3.0
PATIENCE = 2.0
"""Nothing has come back for so many times as long as the slowest of the latest answers took: something is wrong."""
LATEST_ANSWERS = 32
LEASE_SLACK_S = 15.0
"""How much longer than its call a lease lasts: whoever does not settle until then is taken for dead."""


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """What the endpoint bears; None: no limit."""

    calls_at_once: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    call_s: float = 60.0
    """How long one call may take."""
    caps: Caps = field(default_factory=Caps)
    circuit: CircuitLimits = field(default_factory=CircuitLimits)


class Verdict(StrEnum):
    """How a call or a probe ended, as far as the endpoint goes."""

    ANSWERED = "answered"
    THROTTLED = "throttled"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The caller gave up for reasons of its own."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A wish to make one call. `tokens`: prompt and answer, estimated."""

    id: str
    tenant: str
    bank: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Grant:
    """A ticket may go. `probe_s`: not with its call, but with a tiny one that waits so long, and then asks again."""

    ticket: Ticket
    probe_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A ticket may not go today."""

    ticket: Ticket
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a granted call ended: the verdict, the tokens it spent, what the endpoint said about waiting."""

    verdict: Verdict
    tokens: int = 0
    stated_wait_s: float | None = None
    reason: str = ""


@dataclass(slots=True)
class _Bucket:
    """A rate: refills with time, may be overdrawn by what was estimated too low."""

    per_minute: int | None
    level: float = 0.0
    at_s: float | None = None

    def wait_s(self, now_s: float, amount: float) -> float:
        """Seconds until there is room; a request larger than the whole bucket goes when it is full."""
        if self.per_minute is None:
            return 0.0
        self._refill(now_s)
        missing = min(amount, self._size) - self.level
        return max(0.0, missing * 60.0 / self.per_minute)

    def take(self, now_s: float, amount: float) -> None:
        """Use up; negative: give back."""
        if self.per_minute is not None:
            self._refill(now_s)
            self.level -= amount

    @property
    def _size(self) -> float:
        return max(1.0, (self.per_minute or 0) * BURST_S / 60.0)

    def _refill(self, now_s: float) -> None:
        rate = (self.per_minute or 0) / 60.0
        gone_s = 0.0 if self.at_s is None else now_s - self.at_s
        self.level = self._size if self.at_s is None else min(self._size, self.level + gone_s * rate)
        self.at_s = now_s


@dataclass(slots=True)
class _Lease:
    """A granted call. `lost`: it hangs, and holds up nobody any more."""

    grant: Grant
    began_s: float
    until_s: float
    lost: bool = False


class ModelBudget:
    """Tickets in line, leases under way, and what the endpoint and the day still allow."""

    def __init__(self, limits: BudgetLimits) -> None:
        self.limits = limits
        self.circuit = Circuit(limits.circuit)
        self.ledger = Ledger(limits.caps)
        self._requests = _Bucket(limits.requests_per_minute)
        self._tokens = _Bucket(limits.tokens_per_minute)
        self._lines: OrderedDict[tuple[str, str], deque[Ticket]] = OrderedDict()
        self._leases: dict[str, _Lease] = {}
        self._took_s: deque[float] = deque(maxlen=LATEST_ANSWERS)
        self._answered_at_s = 0.0

    @property
    def waiting(self) -> int:
        """Tickets in line."""
        return sum(len(line) for line in self._lines.values())

    @property
    def under_way(self) -> int:
        """Calls granted and neither settled nor given up, probes among them."""
        return sum(not lease.lost for lease in self._leases.values())

    def in_trouble(self, now_s: float) -> bool:
        """Whether the endpoint, as a whole, does not answer at present or has asked everybody to wait."""
        return self.circuit.open or self.circuit.wait_s(now_s) > 0

    def enter(self, ticket: Ticket) -> None:
        """Put a ticket in its bank's line."""
        self._lines.setdefault((ticket.tenant, ticket.bank), deque()).append(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out of line, if it stands there."""
        line = self._lines.get((ticket.tenant, ticket.bank), deque())
        if ticket in line:
            line.remove(ticket)
        if not line:
            self._lines.pop((ticket.tenant, ticket.bank), None)

    def grant(self, now_s: float, today: date) -> list[Grant | Refusal]:
        """Everything that may go now, and what may not go today. Each of them has left the line."""
        self._expire(now_s)
        self._suspect(now_s)
        self.ledger.turn_to(today)
        found: list[Grant | Refusal] = []
        while self._lines:
            line = next(iter(self._lines.values()))
            ticket = line[0]
            reason = self.ledger.refusal(ticket.tenant, ticket.bank, ticket.tokens)
            if reason is not None:
                found.append(Refusal(ticket, reason))
            elif self.wait_s(now_s, ticket) > 0 or self._is_full():
                break
            else:
                found.append(self._lease(ticket, now_s))
            line.popleft()
            self._lines.popitem(last=False)
            if line:
                self._lines[ticket.tenant, ticket.bank] = line
        return found

    def next_s(self, now_s: float) -> float | None:
        """Seconds until `grant` may find more though nothing is settled; None: nobody is in line."""
        if not self._lines:
            return None
        times = [lease.until_s - now_s for lease in self._leases.values()]
        if not self._is_full():
            times.append(self.wait_s(now_s, next(iter(self._lines.values()))[0]))
        if (suspected_at_s := self._suspected_at_s()) is not None:
            times.append(suspected_at_s - now_s)
        return max(0.0, min(times)) if times else None

    def wait_s(self, now_s: float, ticket: Ticket) -> float:
        """Seconds until rates and circuit let a ticket go."""
        waits_s = [self.circuit.wait_s(now_s), self._requests.wait_s(now_s, 1)]
        if not self.circuit.open:
            waits_s.append(self._tokens.wait_s(now_s, ticket.tokens))
        return max(waits_s)

    def settle(self, now_s: float, ticket_id: str, outcome: Outcome) -> None:
        """A granted call has ended. One whose lease has expired was counted then."""
        held = self._leases.pop(ticket_id, None)
        if held is None:
            return
        self._end(held.grant, now_s, outcome.tokens)
        ticket = held.grant.ticket
        self.ledger.spend(ticket.tenant, ticket.bank, outcome.tokens)
        match outcome.verdict:
            case Verdict.ANSWERED:
                self.circuit.answered()
                self._answered_at_s = now_s
                if held.grant.probe_s is None:
                    self._took_s.append(now_s - held.began_s)
            case Verdict.THROTTLED:
                self.circuit.throttled(now_s, outcome.stated_wait_s)
            case Verdict.FAILED:
                self.circuit.failed(now_s, outcome.reason)
            case Verdict.UNKNOWN:
                pass

    def _is_full(self) -> bool:
        return not self.circuit.open and self.under_way >= self.limits.calls_at_once

    def _lease(self, ticket: Ticket, now_s: float) -> Grant:
        probe_s = self.circuit.begin_probe(now_s, self.limits.call_s) if self.circuit.open else None
        grant = Grant(ticket, probe_s)
        until_s = now_s + (self.limits.call_s if probe_s is None else probe_s) + LEASE_SLACK_S
        self._leases[ticket.id] = _Lease(grant, now_s, until_s)
        self._requests.take(now_s, 1)
        if probe_s is None:
            self._tokens.take(now_s, ticket.tokens)
            self.ledger.promise(ticket.tenant, ticket.bank, ticket.tokens)
        return grant

    def _end(self, grant: Grant, now_s: float, spent: int) -> None:
        ticket = grant.ticket
        if grant.probe_s is not None:
            self.circuit.end_probe(grant.probe_s)
            self._tokens.take(now_s, spent)
            return
        self._tokens.take(now_s, spent - ticket.tokens)
        self.ledger.promise(ticket.tenant, ticket.bank, -ticket.tokens)

    def _expire(self, now_s: float) -> None:
        """Leases of callers that are gone: their calls count as spent, for nobody knows."""
        for id_, lease in list(self._leases.items()):
            if lease.until_s <= now_s:
                del self._leases[id_]
                ticket = lease.grant.ticket
                spent = 0 if lease.grant.probe_s is not None else ticket.tokens
                self._end(lease.grant, now_s, spent)
                self.ledger.spend(ticket.tenant, ticket.bank, spent)

    def _suspected_at_s(self) -> float | None:
        """When the calls under way will have been silent for too long; None: never, as far as can be told."""
        if self.circuit.open or not self._took_s or not self._is_full():
            return None
        patience_s = max(LEAST_PATIENCE_S, PATIENCE * max(self._took_s))
        oldest_s = min(lease.began_s for lease in self._leases.values() if not lease.lost)
        return max(oldest_s, self._answered_at_s) + patience_s

    def _suspect(self, now_s: float) -> None:
        """Where every call hangs, probe: should the endpoint answer again, nobody waits for them."""
        at_s = self._suspected_at_s()
        if at_s is not None and at_s <= now_s:
            self.circuit.suspect(now_s, "no call is answered any more")
            for lease in self._leases.values():
                lease.lost = True
