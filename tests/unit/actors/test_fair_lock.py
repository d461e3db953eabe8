import threading
from collections.abc import Callable

from actors.fair_lock import FairLock

DEADLINE_S = 10.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    reached = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if condition():
            return
        reached.wait(0.001)
    raise AssertionError("it did not come about")


class Line:
    """Threads that ask for the lock one after the other and write down when they have it."""

    def __init__(self) -> None:
        self.lock = FairLock()
        self.order: list[str] = []
        self._threads: list[threading.Thread] = []

    def ask(self, name: str) -> None:
        def hold() -> None:
            with self.lock:
                self.order.append(name)

        waiting = len(self.lock._waiting)
        self._threads.append(threading.Thread(target=hold))
        self._threads[-1].start()
        until(lambda: len(self.lock._waiting) == waiting + 1)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def test_it_is_had_in_the_order_of_asking():
    line = Line()
    with line.lock:
        for name in "abcde":
            line.ask(name)
        assert line.lock.contended
        assert line.order == []
    line.join()
    assert line.order == list("abcde")
    assert not line.lock.contended


def test_who_gives_way_lets_all_pass_that_wait_and_holds_it_again():
    line = Line()
    with line.lock:
        line.ask("a")
        line.ask("b")
        line.lock.give_way()
        assert line.order == ["a", "b"]
        line.lock.give_way()  # nobody waits
        line.ask("c")
        assert line.order == ["a", "b"]
    line.join()
    assert line.order == ["a", "b", "c"]


def test_who_waits_too_long_gives_up_the_place():
    line = Line()
    with line.lock:
        assert not line.lock.acquire(0.0)
        assert not line.lock.contended
        line.ask("a")
        assert not line.lock.acquire(0.0)
        line.ask("b")
    line.join()
    assert line.order == ["a", "b"]
    assert line.lock.acquire(0.0)


def test_giving_up_loses_no_handover():
    """Whether the lock was handed over in the moment of giving up or not: it is never held by nobody for good."""
    lock, got = FairLock(), []

    def work() -> None:
        for _ in range(300):
            if lock.acquire(0.0001):
                got.append(1)
                lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert got
    assert not lock.contended
    assert lock.acquire(0.0)


def test_two_never_hold_it_at_once():
    lock, inside, most = FairLock(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with lock:
                inside += 1
                most = max(most, inside)
                lock.give_way()
                inside -= 1

    def seen() -> None:
        nonlocal most
        for _ in range(200):
            with lock:
                most = max(most, inside)

    # Giving way lets others in on purpose, so that only one thread may do it here.
    threads = [threading.Thread(target=target) for target in (work, seen, seen)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert most == 1
