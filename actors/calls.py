"""Calls to Ray actors: a deadline on every await, and Ray's errors translated from one table into ours."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from ray.exceptions import (
    GetTimeoutError,
    PendingCallsLimitExceeded,
    RayActorError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)

from memory.errors import DeadlineExceeded, LorebankError, Overloaded, RetryLater, Unavailable

T = TypeVar("T")

RESTART_S = 2.0
"""How long an actor usually takes to come back; what clients are told to wait."""

TABLE: tuple[tuple[type[BaseException], type[RetryLater], str], ...] = (
    (PendingCallsLimitExceeded, Overloaded, "too many calls are waiting"),
    (GetTimeoutError, DeadlineExceeded, "no answer in time"),
    (TimeoutError, DeadlineExceeded, "no answer in time"),
    (TaskCancelledError, Unavailable, "the call was cancelled"),
    (WorkerCrashedError, Unavailable, "a worker process died"),
    (RayActorError, Unavailable, "an actor is restarting"),
    (RayError, Unavailable, "the cluster cannot answer"),
)
"""Ray's error, ours, what it means; the first row that matches counts."""


def translate_ray(exc: BaseException, what: str) -> BaseException:
    """The error to raise in place of one of Ray's: the callee's own if it is one of ours."""
    if isinstance(exc, RayTaskError):
        cause = exc.cause
        if isinstance(cause, LorebankError):
            return cause
        return exc
    for foreign, ours, meaning in TABLE:
        if isinstance(exc, foreign):
            return ours(f"{what}: {meaning}", RESTART_S)
    return exc


async def ask(pending: Any, timeout_s: float, what: str) -> Any:
    """Answer of an actor call or task.

    Raises:
        DeadlineExceeded: none came in time; a write may or may not have happened.
        Unavailable: the actor is restarting.
        LorebankError: whatever of ours the callee raised.
    """
    try:
        return await asyncio.wait_for(_awaited(pending), timeout_s)
    except (RayError, TimeoutError) as exc:
        raise translate_ray(exc, what) from exc


async def _awaited(pending: Awaitable[T]) -> T:
    return await pending
