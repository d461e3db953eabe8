import asyncio

import pytest

from actors.credits import Limits
from actors.turnstile import Turnstile
from memory.errors import Overloaded
from tests.support.loops import idle, in_loop


def line_of(commands: int) -> Turnstile:
    return Turnstile(Limits(commands, 1000))


@in_loop
async def test_turns_are_taken_in_the_order_of_tickets():
    line, order = line_of(10), []

    async def take(number: int, ticket):
        async with ticket.turn():
            order.append(number)
            await asyncio.sleep(0)
            order.append(number)

    tickets = [line.ticket() for _ in range(5)]
    await asyncio.gather(*(take(n, tickets[n]) for n in (3, 1, 4, 0, 2)))
    assert order == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    await idle()
    assert line.inside == 0


@in_loop
async def test_a_full_line_refuses_and_a_free_place_is_given_again():
    line = line_of(2)
    first, _ = line.ticket(), line.ticket()
    with pytest.raises(Overloaded, match="2 commands") as caught:
        line.ticket()
    assert caught.value.retry_after_s == 1.0
    assert line.inside == 2
    async with first.turn():
        pass
    await idle()
    assert line.inside == 1
    line.ticket()


@in_loop
async def test_a_ticket_given_back_lets_the_next_pass_only_after_the_earlier_ones():
    line, order = line_of(10), []
    first, second, third = (line.ticket() for _ in range(3))

    async def take_third():
        async with third.turn():
            order.append("third")

    waiting = asyncio.create_task(take_third())
    second.give_back()
    await idle()
    assert order == []
    async with first.turn():
        order.append("first")
    await waiting
    assert order == ["first", "third"]
    await idle()
    assert line.inside == 0


@in_loop
async def test_giving_back_twice_is_giving_back_once():
    line = line_of(10)
    ticket = line.ticket()
    ticket.give_back()
    ticket.give_back()
    await idle()
    assert line.inside == 0


@in_loop
async def test_a_turn_that_fails_passes_on():
    line = line_of(10)
    first, second = line.ticket(), line.ticket()
    with pytest.raises(ValueError, match="broken"):
        async with first.turn():
            raise ValueError("broken")
    async with second.turn():
        pass
    await idle()
    assert line.inside == 0


@in_loop
async def test_one_who_stops_waiting_does_not_stop_those_behind():
    line, order = line_of(10), []
    first, second, third = (line.ticket() for _ in range(3))

    async def take(ticket, name):
        async with ticket.turn():
            order.append(name)

    leaving = asyncio.create_task(take(second, "second"))
    behind = asyncio.create_task(take(third, "third"))
    await idle()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await idle()
    assert order == []
    async with first.turn():
        order.append("first")
    await behind
    assert order == ["first", "third"]
    await idle()
    assert line.inside == 0


@in_loop
async def test_a_line_that_ran_empty_starts_anew():
    line = line_of(1)
    for _ in range(3):
        async with line.ticket().turn():
            assert line.inside == 1
        await idle()
    assert line.inside == 0
