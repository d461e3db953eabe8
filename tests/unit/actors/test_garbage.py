"""Full collections walk over what has come since the last one; every now and then over everything."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from actors.garbage import NO_FULL, TIDY_S, WHOLE_ROUNDS, tidy, tidy_for_ever
from actors.worker_process import keep_collections_short


class Ring:
    """Refers to itself: only a collection finds it."""

    def __init__(self) -> None:
        self.own = self


@pytest.fixture(autouse=True)
def own_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_is_left_is_set_aside_and_new_garbage_still_goes() -> None:
    kept = [Ring()]
    gone = weakref.ref(Ring())
    tidy(whole=False)
    assert gone() is None
    assert gc.get_freeze_count() > 0
    assert not any(each is kept[0] for each in gc.get_objects())
    later = weakref.ref(Ring())
    tidy(whole=False)
    assert later() is None


def test_a_ring_that_was_set_aside_goes_when_everything_is_walked_over() -> None:
    ring = Ring()
    tidy(whole=False)
    gone = weakref.ref(ring)
    del ring
    tidy(whole=False)
    assert gone() is not None
    tidy(whole=True)
    assert gone() is None


def test_it_goes_on_by_itself_and_walks_over_everything_now_and_then() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    seen: list[bool] = []
    ended = threading.Event()

    def wait(seconds: float) -> bool:
        nonlocal ring
        assert seconds == TIDY_S
        seen.append(gone() is not None)
        if len(seen) == 1:
            del ring
        if len(seen) > WHOLE_ROUNDS:
            ended.set()
            return True
        return False

    tidy_for_ever(wait)
    assert ended.wait(120.0)
    assert gc.get_threshold()[2] == NO_FULL
    assert seen == [True] * WHOLE_ROUNDS + [False]


def test_outside_a_worker_nothing_changes() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    keep_collections_short()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
