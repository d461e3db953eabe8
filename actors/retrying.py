"""How callers wait for a part that restarts."""

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from memory.errors import Unavailable


def until_available(timeout_s: float) -> AsyncRetrying:
    """Calls a coroutine function again while it raises Unavailable, for at most `timeout_s`; then that is raised."""
    return AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(timeout_s),
        wait=wait_exponential_jitter(initial=0.05, max=1.0),
        reraise=True,
    )
