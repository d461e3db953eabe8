"""Retirements wait for the reads that began before them, and for no others."""

import threading

import pytest

from memory.store_calls import FindLive, RetireUnits
from storage.grace import GracefulEngine, ReadGrace
from tests.support.builders import fresh_scope

SCOPE = fresh_scope()


class Recording:
    def __init__(self) -> None:
        self.calls = []

    def call(self, scope, call):
        self.calls.append(call)


def in_thread(action) -> threading.Thread:
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    return thread


def test_without_reads_nothing_is_waited_for() -> None:
    assert ReadGrace().wait_for_earlier()


def test_a_retirement_waits_for_a_read_that_runs() -> None:
    grace, engine = ReadGrace(longest_wait_s=60), Recording()
    with grace.reading():
        retiring = in_thread(lambda: GracefulEngine(engine, grace).call(SCOPE, RetireUnits(("a",), 2, 1)))
        retiring.join(0.2)
        assert retiring.is_alive()
        assert engine.calls == []
    retiring.join(10)
    assert engine.calls == [RetireUnits(("a",), 2, 1)]


def test_a_retirement_does_not_wait_for_reads_that_begin_after_it() -> None:
    grace = ReadGrace(longest_wait_s=60)
    early = grace.reading()
    early.__enter__()
    waiting = in_thread(grace.wait_for_earlier)
    while grace._generation == 0:
        threading.Event().wait(0.001)
    with grace.reading():
        early.__exit__(None, None, None)
        waiting.join(10)
        assert not waiting.is_alive()


def test_other_calls_go_on_while_reads_run() -> None:
    grace, engine = ReadGrace(longest_wait_s=60), Recording()
    with grace.reading():
        GracefulEngine(engine, grace).call(SCOPE, FindLive(("a",)))
    assert engine.calls == [FindLive(("a",))]


def test_a_read_that_does_not_end_is_not_waited_for_for_ever() -> None:
    grace = ReadGrace(longest_wait_s=0.01)
    with grace.reading():
        assert not grace.wait_for_earlier()


def test_a_read_that_fails_is_over() -> None:
    grace = ReadGrace(longest_wait_s=60)
    with pytest.raises(ZeroDivisionError), grace.reading():
        _ = 1 // 0
    assert grace.wait_for_earlier()
