"""Asynchronous tests without a plugin: each runs in a loop of its own."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any


def in_loop(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a coroutine function as a test; whatever hangs is cut off after a minute."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


async def idle(turns: int = 20) -> None:
    """Let everything that can run without an answer from outside do so."""
    for _ in range(turns):
        await asyncio.sleep(0)
