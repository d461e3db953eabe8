"""Repeats a call to a remote model within a deadline: jittered waits, and the wait the server asked for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from memory.errors import BadSettings, RetryLater

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to try.

    The wait before attempt n + 1 is uniform in 0 ... min(longest_wait_s, first_wait_s * 2**(n - 1)); where the server
    stated a wait, it is that plus uniform 0 ... first_wait_s.

    Raises:
        BadSettings: a value is not positive.
    """

    deadline_s: float = 30.0
    """For all attempts together."""
    attempt_s: float = 10.0
    """For one attempt; what is left until the deadline, if that is less."""
    attempts: int = 5
    first_wait_s: float = 0.25
    longest_wait_s: float = 8.0

    def __post_init__(self) -> None:
        for name in ("deadline_s", "attempt_s", "attempts", "first_wait_s", "longest_wait_s"):
            if not getattr(self, name) > 0:
                raise BadSettings(f"retry policy: {name} must be above 0, is {getattr(self, name)}")


class AttemptFailed(Exception):
    """One attempt failed in a way that may pass; `stated_wait_s` is what the server asked for, if it did.

    A signal between an adapter and `with_retries`; callers of either never see it.
    """

    def __init__(self, error: RetryLater, stated_wait_s: float | None = None) -> None:
        super().__init__(error, stated_wait_s)
        self.error = error
        self.stated_wait_s = stated_wait_s


def with_retries(
    policy: RetryPolicy,
    attempt: Callable[[float], T],
    *,
    deadline_at_s: float,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:
    """The answer of the first attempt that gives one; `attempt` gets the seconds it may take.

    `deadline_at_s` is an instant of `monotonic`: several calls may share one deadline. No wait begins that would end
    after it.

    Raises:
        RetryLater: every attempt failed; this is the last one's error.
    """
    retrying = Retrying(
        sleep=sleep,
        stop=_stop(policy, deadline_at_s, monotonic),
        wait=_wait(policy),
        retry=retry_if_exception_type(AttemptFailed),
        reraise=True,
    )
    try:
        return retrying(lambda: attempt(max(0.0, min(policy.attempt_s, deadline_at_s - monotonic()))))
    except AttemptFailed as exc:
        raise exc.error from exc.__cause__


async def with_retries_async(
    policy: RetryPolicy,
    attempt: Callable[[float], Awaitable[T]],
    *,
    deadline_at_s: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:
    """As `with_retries`, for attempts that are awaited.

    Raises:
        RetryLater: every attempt failed; this is the last one's error.
    """
    retrying = AsyncRetrying(
        sleep=sleep,
        stop=_stop(policy, deadline_at_s, monotonic),
        wait=_wait(policy),
        retry=retry_if_exception_type(AttemptFailed),
        reraise=True,
    )

    async def one() -> T:
        return await attempt(max(0.0, min(policy.attempt_s, deadline_at_s - monotonic())))

    try:
        return await retrying(one)
    except AttemptFailed as exc:
        raise exc.error from exc.__cause__


def _wait(policy: RetryPolicy) -> Callable[[RetryCallState], float]:
    jitter = wait_random_exponential(multiplier=policy.first_wait_s, max=policy.longest_wait_s)

    def wait_s(state: RetryCallState) -> float:
        failure = state.outcome.exception() if state.outcome else None
        stated = failure.stated_wait_s if isinstance(failure, AttemptFailed) else None
        return jitter(state) if stated is None else stated + min(jitter(state), policy.first_wait_s)

    return wait_s


def _stop(
    policy: RetryPolicy, deadline_at_s: float, monotonic: Callable[[], float]
) -> Callable[[RetryCallState], bool]:
    def is_over(state: RetryCallState) -> bool:
        return state.attempt_number >= policy.attempts or monotonic() + state.upcoming_sleep >= deadline_at_s

    return is_over
