"""Asking again where a part of the deployment restarts or is full, for as long as a job has patience."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from memory.errors import RetryLater

LONGEST_PAUSE_S = 5.0
SHORTEST_PAUSE_S = 0.05

T = TypeVar("T")


async def patiently(patience_s: float, ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, asked for again while a part restarts or is full.

    Raises:
        RetryLater: it was so for too long.
    """
    until_s = time.monotonic() + patience_s
    while True:
        try:
            return await ask()
        except RetryLater as exc:
            if time.monotonic() >= until_s:
                raise
            await asyncio.sleep(min(max(exc.retry_after_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))
