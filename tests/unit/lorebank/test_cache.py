"""The recall cache: expiry, bound, and writes that overtake a recall."""

from lorebank._cache import MAX_ENTRIES, RecallCache


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_entries_expire() -> None:
    """Kept for the time given and not a moment longer."""
    clock = Clock()
    cache = RecallCache(5.0, clock)
    cache.keep(("b", b"q"), b"answer", cache.mark())
    clock.now_s = 4.9
    assert cache.find(("b", b"q")) == b"answer"
    clock.now_s = 5.0
    assert cache.find(("b", b"q")) is None


def test_zero_keeps_nothing() -> None:
    """The default of the client."""
    cache = RecallCache(0.0)
    cache.keep(("b", b"q"), b"answer", cache.mark())
    assert cache.find(("b", b"q")) is None


def test_answer_older_than_a_write_is_not_kept() -> None:
    """A recall that was under way when a write ended may not have seen it."""
    cache = RecallCache(5.0)
    mark = cache.mark()
    cache.forget("b")
    cache.keep(("b", b"q"), b"answer", mark)
    assert cache.find(("b", b"q")) is None


def test_forget_is_per_bank() -> None:
    """A write drops its own bank's answers only."""
    cache = RecallCache(5.0)
    for bank in ("a", "b"):
        cache.keep((bank, b"q"), b"answer", cache.mark())
    cache.forget("a")
    assert cache.find(("a", b"q")) is None
    assert cache.find(("b", b"q")) == b"answer"


def test_least_recently_used_go_first() -> None:
    """The number of entries is bounded."""
    cache = RecallCache(5.0)
    for number in range(MAX_ENTRIES):
        cache.keep(("b", b"%d" % number), b"answer", cache.mark())
    cache.find(("b", b"0"))
    cache.keep(("b", b"new"), b"answer", cache.mark())
    assert cache.find(("b", b"0")) == b"answer"
    assert cache.find(("b", b"1")) is None
