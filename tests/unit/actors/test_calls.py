import asyncio
import inspect

import pytest
import ray.exceptions
from ray.exceptions import RayError, RayTaskError

from actors.calls import RESTART_S, TABLE, ask, translate_ray
from memory.errors import DeadlineExceeded, NotFound, NotOwner, Overloaded, RetryLater, StaleEpoch, Unavailable
from tests.support.loops import in_loop

RAY_ERRORS = [
    kind
    for _, kind in inspect.getmembers(ray.exceptions, inspect.isclass)
    if issubclass(kind, BaseException) and kind.__module__ == ray.exceptions.__name__
]
EXPECTED = {
    "PendingCallsLimitExceeded": Overloaded,
    "GetTimeoutError": DeadlineExceeded,
    "RayChannelTimeoutError": DeadlineExceeded,
}
"""Everything else that Ray raises means that a part is not there now."""


def task_error(cause: Exception) -> Exception:
    """What awaiting a call gives when the callee raised `cause`."""
    return RayTaskError("method", "Traceback ...", cause, proctitle="p", pid=1, ip="127.0.0.1").as_instanceof_cause()


@pytest.mark.parametrize("kind", [kind for kind in RAY_ERRORS if kind is not RayTaskError])
def test_every_error_of_ray_has_one_of_ours(kind):
    made = translate_ray(kind.__new__(kind), "store")
    assert type(made) is EXPECTED.get(kind.__name__, Unavailable)
    assert isinstance(made, RetryLater)
    assert made.retry_after_s == RESTART_S
    assert str(made).startswith("store: ")


@pytest.mark.parametrize(("foreign", "ours", "meaning"), TABLE, ids=lambda value: getattr(value, "__name__", ""))
def test_every_row_of_the_table_counts(foreign, ours, meaning):
    made = translate_ray(foreign.__new__(foreign), "host")
    assert (type(made), str(made)) == (ours, f"host: {meaning}")


@pytest.mark.parametrize(
    "cause", [NotFound("nothing"), Overloaded("full", 3.0), StaleEpoch("older"), NotOwner("not mine", 4)]
)
def test_an_error_of_ours_raised_by_the_callee_comes_out_itself(cause):
    assert translate_ray(task_error(cause), "host") is cause


def test_a_mistake_of_the_callee_stays_a_mistake():
    wrong = task_error(KeyError("x"))
    assert translate_ray(wrong, "host") is wrong


def test_what_is_not_rays_is_left_alone():
    other = ValueError("x")
    assert translate_ray(other, "host") is other


@in_loop
async def test_an_answer_comes_through():
    async def answer():
        return 7

    assert await ask(answer(), 5.0, "host") == 7


@in_loop
async def test_no_answer_in_time_is_a_deadline_exceeded():
    forever = asyncio.get_running_loop().create_future()
    with pytest.raises(DeadlineExceeded, match="host: no answer in time"):
        await ask(forever, 0.001, "host")
    assert forever.cancelled()


@pytest.mark.parametrize("error", [task_error(NotFound("nothing")), NotFound("nothing")])
def test_the_callees_error_is_raised(error):
    async def fails():
        raise error

    with pytest.raises(NotFound, match="nothing"):
        in_loop(lambda: ask(fails(), 5.0, "host"))()


def test_the_root_of_rays_errors_is_the_last_row():
    assert TABLE[-1][0] is RayError
