import pytest

from memory.errors import BadSettings, DeadlineExceeded, ModelUnusable, Overloaded, Unavailable
from providers.policy import AttemptFailed, RetryPolicy, with_retries

POLICY = RetryPolicy(deadline_s=10, attempt_s=4, attempts=4, first_wait_s=0.5, longest_wait_s=1)


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds


class Script:
    """Fails as told, attempt by attempt, then answers "done"."""

    def __init__(self, *failures: Exception, time: Time | None = None, takes_s: float = 0.0) -> None:
        self.left: list[float] = []
        self._failures = list(failures)
        self._time = time
        self._takes_s = takes_s

    def __call__(self, left_s: float) -> str:
        self.left.append(left_s)
        if self._time:
            self._time.now_s += self._takes_s
        if self._failures:
            raise self._failures.pop(0)
        return "done"


def _run(script: Script, time: Time, policy: RetryPolicy = POLICY) -> str:
    return with_retries(
        policy, script, deadline_at_s=time.now_s + policy.deadline_s, sleep=time.sleep, monotonic=time.monotonic
    )


def _down(stated_wait_s: float | None = None) -> AttemptFailed:
    return AttemptFailed(Unavailable("down"), stated_wait_s)


def test_the_first_answer_is_returned_without_a_wait():
    time = Time()
    script = Script()
    assert _run(script, time) == "done"
    assert time.sleeps == []
    assert script.left == [4]  # attempt_s, since the deadline is farther


def test_waits_are_jittered_and_bounded():
    waits = []
    for _ in range(200):
        time = Time()
        assert _run(Script(_down(), _down(), _down()), time) == "done"
        waits.append(time.sleeps)
    for attempt, bound in enumerate((0.5, 1, 1)):
        column = [wait[attempt] for wait in waits]
        assert 0 <= min(column) < bound / 4
        assert bound * 3 / 4 < max(column) <= bound


def test_a_stated_wait_is_kept_and_jittered_upwards_only():
    time = Time()
    assert _run(Script(_down(3.0)), time) == "done"
    assert 3.0 <= time.sleeps[0] <= 3.5


def test_the_last_attempts_error_is_raised_with_its_cause():
    time = Time()
    last = AttemptFailed(Overloaded("full", 7.0))
    last.__cause__ = OSError("socket")
    script = Script(_down(), _down(), _down(), last)
    with pytest.raises(Overloaded, match="full") as caught:
        _run(script, time)
    assert caught.value.retry_after_s == 7.0
    assert isinstance(caught.value.__cause__, OSError)
    assert len(script.left) == 4


def test_no_wait_begins_that_would_end_after_the_deadline():
    time = Time()
    script = Script(_down(10.0))
    with pytest.raises(Unavailable):
        _run(script, time)
    assert time.sleeps == []
    assert len(script.left) == 1


def test_an_attempt_gets_no_more_than_what_is_left():
    time = Time()
    slow = [AttemptFailed(DeadlineExceeded("late")) for _ in range(3)]
    script = Script(*slow, time=time, takes_s=4)
    with pytest.raises(DeadlineExceeded):
        _run(script, time)
    assert len(script.left) == 3
    assert script.left[:2] == [4, 4]
    assert script.left[2] == pytest.approx(1010 - (time.now_s - 4))


def test_an_error_that_repeating_cannot_help_is_raised_at_once():
    time = Time()
    script = Script(ModelUnusable("wrong key"))
    with pytest.raises(ModelUnusable, match="wrong key"):
        _run(script, time)
    assert len(script.left) == 1
    assert time.sleeps == []


@pytest.mark.parametrize("name", ["deadline_s", "attempt_s", "attempts", "first_wait_s", "longest_wait_s"])
def test_values_must_be_positive(name: str):
    for value in (0, -1, float("nan")):
        with pytest.raises(BadSettings, match=f"{name} must be above 0"):
            RetryPolicy(**{name: value})
