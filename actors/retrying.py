"""How callers wait for a part that restarts."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from memory.errors import Unavailable

T = TypeVar("T")

MIN_ATTEMPT_S = 0.05
LONGEST_WAIT_S = 0.25
"""Between two attempts: what restarts is used this soon after it is back. A refused attempt costs far below 1 ms."""


async def until_available(timeout_s: float, attempt: Callable[[float], Awaitable[T]]) -> T:
    """The answer of `attempt`, which is made again while it raises Unavailable, for at most `timeout_s` in all.

    An attempt is given the seconds that are left for it.

    Raises:
        Unavailable: that is what it still raised at the end.
    """
    until_s = time.monotonic() + timeout_s

    async def once() -> T:
        return await attempt(max(MIN_ATTEMPT_S, until_s - time.monotonic()))

    return await AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(timeout_s),
        wait=wait_exponential_jitter(initial=0.05, max=LONGEST_WAIT_S, jitter=0.05),
        reraise=True,
    )(once)
