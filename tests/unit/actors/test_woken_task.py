"""Work that is woken runs once more for what came while it ran, and stops at an error until it is woken again."""

import asyncio

import pytest

from actors.woken_task import WokenTask
from memory.errors import Unavailable
from tests.support.loops import in_loop


@in_loop
async def test_what_comes_while_it_runs_is_not_missed() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        begun.set()
        await go_on.wait()

    task = WokenTask("ana", "works")
    assert not task.running
    task.wake(work)
    await begun.wait()
    assert task.running
    task.wake(work)
    task.wake(work)
    go_on.set()
    await task.rest()
    assert runs == 2
    assert not task.running


@pytest.mark.parametrize("error", [Unavailable("the store is away"), RuntimeError("a bug")])
@in_loop
async def test_an_error_stops_it_until_it_is_woken_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    failing = [error]
    done = 0

    async def work() -> None:
        nonlocal done
        if failing:
            raise failing.pop()
        done += 1

    task = WokenTask("ana", "refreshes")
    task.wake(work)
    await task.rest()
    assert done == 0
    assert not task.running
    assert "bank 'ana': refreshes stop until it is looked at again" in caplog.text
    assert str(error) in caplog.text
    task.wake(work)
    await task.rest()
    assert done == 1


@in_loop
async def test_rest_before_it_was_ever_woken_returns_at_once() -> None:
    task = WokenTask("ana", "works")
    await task.rest()
    assert not task.running
