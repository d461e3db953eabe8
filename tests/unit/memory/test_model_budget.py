"""The budget of the language model, with a clock of its own: rates, calls at once, turns, the circuit, recovery."""

import random
from dataclasses import dataclass, field
from datetime import date
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.model_budget import BudgetLimits, Grant, ModelBudget, Outcome, Refusal, Ticket, Verdict
from memory.spending import Caps

TODAY = date(2024, 5, 8)
ANSWERED = Outcome(Verdict.ANSWERED)
FAILED = Outcome(Verdict.FAILED, reason="HTTP 500")
_ids = count()


def ticket(bank: str = "bank", tokens: int = 100, tenant: str = "tenant") -> Ticket:
    return Ticket(f"ticket-{next(_ids)}", tenant, bank, tokens)


def enter(budget: ModelBudget, *tickets: Ticket) -> None:
    for each in tickets:
        budget.enter(each)


def granted(budget: ModelBudget, now_s: float) -> list[Ticket]:
    return [each.ticket for each in budget.grant(now_s, TODAY) if isinstance(each, Grant)]


def test_calls_at_once_are_bounded_and_a_settled_one_makes_room():
    budget = ModelBudget(BudgetLimits(calls_at_once=2))
    tickets = [ticket() for _ in range(4)]
    enter(budget, *tickets)
    assert granted(budget, 0.0) == tickets[:2]
    assert granted(budget, 1.0) == []
    budget.settle(1.0, tickets[0].id, ANSWERED)
    assert granted(budget, 1.0) == [tickets[2]]
    assert (budget.waiting, budget.under_way) == (1, 2)


def test_banks_take_turns():
    budget = ModelBudget(BudgetLimits(calls_at_once=100))
    flood = [ticket("flood") for _ in range(5)]
    quiet = [ticket("quiet", tenant="other") for _ in range(2)]
    enter(budget, *flood, *quiet)
    assert [each.bank for each in granted(budget, 0.0)] == [
        "flood",
        "quiet",
        "flood",
        "quiet",
        "flood",
        "flood",
        "flood",
    ]


def test_requests_keep_to_their_rate():
    budget = ModelBudget(BudgetLimits(calls_at_once=1000, requests_per_minute=60))
    enter(budget, *(ticket() for _ in range(100)))
    assert len(granted(budget, 0.0)) == 10
    assert budget.next_s(0.0) == pytest.approx(1.0)
    assert len(granted(budget, 5.0)) == 5
    assert len(granted(budget, 1000.0)) == 10


def test_tokens_keep_to_their_rate_by_what_was_really_spent():
    budget = ModelBudget(BudgetLimits(calls_at_once=1000, tokens_per_minute=6000))
    first = [ticket(tokens=500) for _ in range(4)]
    enter(budget, *first)
    assert granted(budget, 0.0) == first[:2]
    budget.settle(0.0, first[0].id, Outcome(Verdict.ANSWERED, 1500))
    assert budget.next_s(0.0) == pytest.approx(15.0)
    assert granted(budget, 14.9) == []
    assert granted(budget, 15.1) == [first[2]]


def test_a_call_larger_than_a_burst_goes_when_everything_is_there():
    budget = ModelBudget(BudgetLimits(tokens_per_minute=600))
    huge = ticket(tokens=5000)
    enter(budget, huge, ticket(tokens=1))
    assert granted(budget, 0.0) == [huge]
    budget.settle(0.0, huge.id, Outcome(Verdict.ANSWERED, 5000))
    assert budget.next_s(0.0) == pytest.approx((5000 - 100 + 1) / 10)


def test_over_the_cap_is_refused_and_others_pass():
    budget = ModelBudget(BudgetLimits(caps=Caps(bank_tokens=150)))
    first, second, other = ticket("one"), ticket("one"), ticket("two")
    enter(budget, first, second, other)
    found = budget.grant(0.0, TODAY)
    assert [each.ticket for each in found if isinstance(each, Grant)] == [first, other]
    (refusal,) = (each for each in found if isinstance(each, Refusal))
    assert refusal.ticket == second
    assert "may spend 150 tokens" in refusal.reason
    budget.settle(0.0, first.id, Outcome(Verdict.ANSWERED, 10))
    enter(budget, second)
    assert granted(budget, 0.0) == [second]


def test_whoever_leaves_the_line_is_not_granted():
    budget = ModelBudget(BudgetLimits(calls_at_once=1))
    gone, stays = ticket(), ticket()
    enter(budget, gone, stays)
    budget.leave(gone)
    assert granted(budget, 0.0) == [stays]
    budget.leave(stays)
    assert budget.next_s(0.0) is None


def test_a_caller_that_died_gives_its_place_back_and_its_tokens_count():
    budget = ModelBudget(BudgetLimits(calls_at_once=1, call_s=60.0))
    dead, next_ = ticket(tokens=70), ticket()
    enter(budget, dead, next_)
    assert granted(budget, 0.0) == [dead]
    assert budget.next_s(0.0) == 75.0
    assert granted(budget, 75.0) == [next_]
    assert budget.ledger.spent["tenant", "bank"] == 70
    budget.settle(80.0, dead.id, Outcome(Verdict.ANSWERED, 1000))
    assert budget.ledger.spent["tenant", "bank"] == 70


def test_an_open_circuit_lets_probes_through_and_the_line_moves_once_one_is_answered():
    budget = ModelBudget(BudgetLimits(calls_at_once=50))
    tickets = [ticket() for _ in range(50)]
    enter(budget, *tickets)
    for each in granted(budget, 0.0)[:5]:
        budget.settle(0.0, each.id, FAILED)
    enter(budget, *(ticket() for _ in range(20)))
    assert granted(budget, 0.5) == []
    (probe,) = budget.grant(1.0, TODAY)
    assert probe.probe_s == 3.0
    budget.settle(1.5, probe.ticket.id, ANSWERED)
    found = budget.grant(1.5, TODAY)
    assert len(found) == 5
    assert all(each.probe_s is None for each in found)


@dataclass
class World:
    """Callers over a budget and an endpoint, in simulated time: who is answered when."""

    budget: ModelBudget
    answer_s: float
    down_from_s: float
    down_until_s: float
    hangs: bool
    seed: int = 0
    now_s: float = 0.0
    answered: list[float] = field(default_factory=list)
    probes: int = 0
    _running: list[tuple[float, Ticket, Outcome, bool]] = field(default_factory=list)

    def run(self, tickets: int, until_s: float) -> None:
        enter(self.budget, *(ticket() for _ in range(tickets)))
        rng = random.Random(self.seed)
        while self.now_s < until_s and (self.budget.waiting or self._running):
            for grant in self.budget.grant(self.now_s, TODAY):
                assert isinstance(grant, Grant)
                self._call(grant, rng)
            ends = [end for end, *_ in self._running]
            wait_s = self.budget.next_s(self.now_s)
            times = [*ends, *([] if wait_s is None else [self.now_s + max(wait_s, 0.001)])]
            self.now_s = min(times)
            for done in [each for each in self._running if each[0] <= self.now_s]:
                self._running.remove(done)
                _, whose, outcome, probe = done
                self.budget.settle(self.now_s, whose.id, outcome)
                if outcome.verdict is Verdict.ANSWERED and not probe:
                    self.answered.append(self.now_s)
                else:
                    self.budget.enter(ticket())

    def _call(self, grant: Grant, rng: random.Random) -> None:
        limit_s = self.budget.limits.call_s if grant.probe_s is None else grant.probe_s
        self.probes += grant.probe_s is not None
        takes_s = self.answer_s * rng.uniform(0.5, 1.5)
        begins_s, ends_s = self.now_s, self.now_s + takes_s
        down = begins_s < self.down_until_s and ends_s > self.down_from_s
        if down and self.hangs:
            ends_s = begins_s + limit_s
        elif down:
            ends_s = max(begins_s, self.down_from_s) + 0.01
        elif takes_s > limit_s:
            down, ends_s = True, begins_s + limit_s
        outcome = FAILED if down else ANSWERED
        self._running.append((ends_s, grant.ticket, outcome, grant.probe_s is not None))


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize("answer_s", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("down_s", [2.0, 30.0, 600.0])
def test_the_backlog_drains_within_five_seconds_of_recovery_and_an_answer(hangs, answer_s, down_s):
    """Whether the endpoint refused or hung, for however long; simulated time, so exactly so."""
    world = World(ModelBudget(BudgetLimits(calls_at_once=16, call_s=60.0)), answer_s, 4.0, 4.0 + down_s, hangs)
    world.run(2500, until_s=world.down_until_s + 20.0)
    first_s = min(at_s for at_s in world.answered if at_s > world.down_until_s)
    assert first_s - world.down_until_s <= 5.0 + 2 * 1.5 * answer_s
    assert world.probes <= down_s + 5


@pytest.mark.parametrize("answer_s", [5.0, 15.0])
def test_an_endpoint_slower_than_a_short_probe_is_found_by_the_long_one(answer_s):
    world = World(ModelBudget(BudgetLimits(calls_at_once=16, call_s=60.0)), answer_s, 100.0, 160.0, hangs=False)
    world.run(20_000, until_s=400.0)
    assert min(at_s for at_s in world.answered if at_s > 160.0) <= 160.0 + 5.0 + 3 * 1.5 * answer_s


def test_slow_answers_alone_open_no_circuit():
    world = World(ModelBudget(BudgetLimits(calls_at_once=4, call_s=60.0)), 20.0, 1e9, 1e9, hangs=False)
    world.run(100, until_s=1e6)
    assert len(world.answered) == 100
    assert world.probes == 0


@given(st.lists(st.tuples(st.sampled_from("ewsfgx"), st.integers(0, 30), st.floats(0, 5)), max_size=80))
def test_any_sequence_of_events_keeps_the_bounds_and_forgets_no_ticket(events):
    budget = ModelBudget(BudgetLimits(calls_at_once=3, call_s=4.0, requests_per_minute=240, tokens_per_minute=60_000))
    now_s, running, entered, ended = 0.0, [], 0, 0
    for what, which, later_s in events:
        now_s += later_s
        if what == "e":
            budget.enter(ticket(f"bank-{which % 3}"))
            entered += 1
        elif what == "w" and running:
            budget.settle(now_s, running.pop(which % len(running)).id, ANSWERED)
            ended += 1
        elif what == "f" and running:
            budget.settle(now_s, running.pop(which % len(running)).id, FAILED)
            ended += 1
        elif what == "s" and running:
            running.pop(which % len(running))  # the caller has died
            ended += 1
        new = granted(budget, now_s)
        running += new
        assert budget.under_way <= 3 or budget.circuit.open
        assert len(set(running)) == len(running)
        assert entered == budget.waiting + len(running) + ended
        assert (budget.next_s(now_s) is None) == (budget.waiting == 0)
    for _ in range(2000):
        if not budget.waiting:
            break
        now_s += max(budget.next_s(now_s), 0.001)
        for each in granted(budget, now_s):
            budget.settle(now_s, each.id, ANSWERED)
    assert budget.waiting == 0
