import pytest

from actors.retrying import MIN_ATTEMPT_S, until_available
from memory.errors import DeadlineExceeded, Unavailable
from tests.support.loops import in_loop


@in_loop
async def test_it_is_tried_again_while_a_part_is_unavailable():
    given = []

    async def attempt(left_s):
        given.append(left_s)
        if len(given) < 3:
            raise Unavailable("restarting")
        return "done"

    assert await until_available(30.0, attempt) == "done"
    assert 30.0 >= given[0] > given[1] > given[2]


@in_loop
async def test_no_attempt_is_given_more_than_what_is_left_and_the_last_error_comes_out():
    given = []

    async def attempt(left_s):
        given.append(left_s)
        raise Unavailable("restarting")

    with pytest.raises(Unavailable, match="restarting"):
        await until_available(0.2, attempt)
    assert len(given) > 1
    assert given == sorted(given, reverse=True)
    assert given[0] <= 0.2
    assert given[-1] >= MIN_ATTEMPT_S


@in_loop
async def test_other_errors_are_not_tried_again():
    asked = []

    async def attempt(left_s):
        asked.append(left_s)
        raise DeadlineExceeded("no answer in time")

    with pytest.raises(DeadlineExceeded):
        await until_available(30.0, attempt)
    assert len(asked) == 1
