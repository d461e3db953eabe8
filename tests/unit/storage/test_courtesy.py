"""Readers of the embedded engine let others pass after a call that kept the interpreter's lock for long."""

import time
from threading import Event, Thread

import pytest

from storage.courtesy import LONG_S, MOST_REST_S, PASS_TICK_S, CourteousShard, Crowd


class Slow:
    """Stands for an engine whose calls take as long as they are told to."""

    def count(self, seconds: float) -> float:
        until_s = time.perf_counter() + seconds
        while time.perf_counter() < until_s:
            pass
        return seconds

    query = scroll = facet = count

    def info(self) -> float:
        return self.count(0.0)

    def retrieve(self, seconds: float, with_payload: object, with_vector: object) -> tuple[float, object, object]:
        return self.count(seconds), with_payload, with_vector


def test_a_long_call_is_followed_by_a_rest_where_others_read() -> None:
    rests: list[float] = []
    crowd = Crowd()
    shard = CourteousShard(Slow(), crowd, rests.append)  # type: ignore[arg-type]  # an engine that is only slow
    with crowd.reading():
        shard.count(LONG_S * 1.2)
        assert rests == []  # nobody else is there
        release = Event()
        began = Event()
        other = Thread(target=_read_until, args=(crowd, began, release))
        other.start()
        assert began.wait(10.0)
        for call in (shard.query, shard.scroll, shard.count, shard.facet):
            assert call(0.0) == 0.0
        assert shard.retrieve(0.0, True, False) == (0.0, True, False)
        assert shard.info() == 0.0
        assert rests == []  # they were short
        shard.count(LONG_S * 1.5)
        assert LONG_S <= sum(rests) <= MOST_REST_S
        rests.clear()
        shard.retrieve(2 * MOST_REST_S, True, False)
        assert sum(rests) == pytest.approx(MOST_REST_S)
        rests.clear()
        release.set()
        other.join()
        shard.count(LONG_S * 1.5)
        assert rests == []
    assert not crowd.has_others()


def _read_until(crowd: Crowd, began: Event, release: Event) -> None:
    with crowd.reading():
        began.set()
        release.wait(10.0)


def test_reads_that_have_begun_are_let_pass_and_later_ones_are_not_waited_for() -> None:
    crowd = Crowd()
    crowd.let_pass(1.0, _never)  # nobody reads
    began, release = Event(), Event()
    other = Thread(target=_read_until, args=(crowd, began, release))
    other.start()
    assert began.wait(10.0)
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            release.set()
            other.join()
            again.start()
            assert began_again.wait(10.0)

    began_again, release_again = Event(), Event()
    again = Thread(target=_read_until, args=(crowd, began_again, release_again))
    crowd.let_pass(1.0, rest)
    assert rests == [PASS_TICK_S] * 3
    assert crowd.has_others()
    release_again.set()
    again.join()


def test_a_read_without_end_is_not_waited_for_for_ever() -> None:
    crowd = Crowd()
    began, release = Event(), Event()
    other = Thread(target=_read_until, args=(crowd, began, release))
    other.start()
    assert began.wait(10.0)
    rests: list[float] = []
    crowd.let_pass(0.1, rests.append)
    assert sum(rests) == pytest.approx(0.1)
    release.set()
    other.join()


def _never(_: float) -> None:
    raise AssertionError
