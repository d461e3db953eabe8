"""Access to the language model: callers wait for their turn in one line, and leave nothing behind when they give up."""

import asyncio
from datetime import date

import pytest

from memory.circuit import CircuitLimits
from memory.errors import Unavailable
from memory.model_budget import BudgetLimits, Grant, Outcome, Refusal, Ticket, Verdict
from memory.spending import Caps
from providers.model_access import AsyncModelAccess

TODAY = date(2024, 5, 8)
ANSWERED = Outcome(Verdict.ANSWERED)


def ticket(name: str, bank: str = "bank") -> Ticket:
    return Ticket(name, "tenant", bank, 100)


def access_of(**limits: object) -> AsyncModelAccess:
    return AsyncModelAccess(BudgetLimits(**limits), today=lambda: TODAY)


def test_a_turn_comes_when_another_call_is_settled():
    async def run() -> None:
        access = access_of(calls_at_once=1)
        assert await access.admit(ticket("first"), 1.0) == Grant(ticket("first"))
        second = asyncio.create_task(access.admit(ticket("second"), 1.0))
        await asyncio.sleep(0)
        assert not second.done()
        await access.settle("first", ANSWERED)
        assert await second == Grant(ticket("second"))

    asyncio.run(run())


def test_no_turn_in_time_leaves_the_line_as_it_was():
    async def run() -> None:
        access = access_of(calls_at_once=1)
        await access.admit(ticket("first"), 1.0)
        with pytest.raises(Unavailable, match="no turn at the language model"):
            await access.admit(ticket("second"), 0.01)
        assert (access.budget.waiting, access.budget.under_way) == (0, 1)

    asyncio.run(run())


def test_a_circuit_that_is_open_says_why_nobody_gets_a_turn():
    async def run() -> None:
        access = access_of(calls_at_once=1, circuit=CircuitLimits(failures=1, probe_every_s=60.0))
        await access.admit(ticket("first"), 1.0)
        await access.settle("first", Outcome(Verdict.FAILED, reason="HTTP 503"))
        with pytest.raises(Unavailable, match="does not answer: HTTP 503"):
            await access.admit(ticket("second"), 0.01)

    asyncio.run(run())


def test_a_caller_that_is_cancelled_gives_its_turn_back():
    async def run() -> None:
        access = access_of(calls_at_once=1)
        await access.admit(ticket("first"), 1.0)
        waiting = [asyncio.create_task(access.admit(ticket(name), 5.0)) for name in ("second", "third")]
        await asyncio.sleep(0)
        settling = asyncio.create_task(access.settle("first", ANSWERED))
        await asyncio.sleep(0)  # the second has its turn now, and has not seen it
        waiting[0].cancel()
        await settling
        assert await waiting[1] == Grant(ticket("third"))
        await access.settle("third", ANSWERED)
        assert (access.budget.waiting, access.budget.under_way) == (0, 0)

    asyncio.run(run())


def test_a_turn_comes_by_time_alone():
    async def run() -> None:
        access = access_of(calls_at_once=1000, requests_per_minute=3000)
        granted = await asyncio.gather(*(access.admit(ticket(f"t{number}"), 10.0) for number in range(510)))
        assert all(isinstance(each, Grant) for each in granted)

    asyncio.run(run())


def test_over_the_cap_is_an_answer_and_the_next_day_is_another():
    days = [TODAY]

    async def run() -> None:
        access = AsyncModelAccess(BudgetLimits(caps=Caps(bank_tokens=150)), today=lambda: days[-1])
        await access.admit(ticket("first"), 1.0)
        await access.settle("first", Outcome(Verdict.ANSWERED, 100))
        assert isinstance(await access.admit(ticket("second"), 1.0), Refusal)
        days.append(date(2024, 5, 9))
        assert isinstance(await access.admit(ticket("third"), 1.0), Grant)

    asyncio.run(run())
