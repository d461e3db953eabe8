"""Readers of the embedded engine let others pass after a call that kept the interpreter's lock for long."""

import time

from storage.courtesy import LONG_S, MOST_REST_S, REST_SHARE, CourteousShard


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


def test_a_long_call_is_followed_by_a_rest_and_a_short_one_is_not() -> None:
    rests: list[float] = []
    shard = CourteousShard(Slow(), rests.append)  # type: ignore[arg-type]
    for call in (shard.query, shard.scroll, shard.count, shard.facet):
        assert call(0.0) == 0.0
    assert shard.retrieve(0.0, True, False) == (0.0, True, False)
    assert shard.info() == 0.0
    assert rests == []
    shard.count(LONG_S * 1.2)
    assert rests[0] >= LONG_S * REST_SHARE
    shard.retrieve(4 * MOST_REST_S, True, False)
    assert rests[1:] == [MOST_REST_S]
