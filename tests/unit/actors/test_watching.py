"""What is made of a process that does not answer: real processes, and no Ray of their own."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil

from actors.pulse import Pulse, find_process, own_node, own_pulse
from actors.settings import load_settings
from actors.supervision import Sign, Standing, Watch
from actors.watching import Watcher, _Part
from tests.support.loops import idle, in_loop

SPIN = "print('spinning', flush=True)\nwhile True: pass"


@contextmanager
def child(source: str) -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def part_of(process: psutil.Process, node: str | None = None) -> _Part:
    """On this machine, which other tests may have made a node of Ray's."""
    return _Part(None, Watch(0.0), Pulse(own_node() if node is None else node, process.pid, process.create_time()))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def wait_for_work(process: psutil.Process) -> None:
    """Until it has used some more of the CPU."""
    before_s = process.cpu_times().user
    wait_until(lambda: process.cpu_times().user >= before_s + 0.1)


@in_loop
async def test_a_process_that_works_is_busy_and_a_stopped_one_is_silent():
    watcher = Watcher(load_settings(), {})
    with child(SPIN) as process:
        part = part_of(process)
        assert watcher._sign_of_process(part) is Sign.SILENT, "nothing to compare with yet"
        wait_for_work(process)
        assert watcher._sign_of_process(part) is Sign.BUSY
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        watcher._sign_of_process(part)
        assert watcher._sign_of_process(part) is Sign.SILENT


@in_loop
async def test_a_process_that_ended_is_gone_even_if_another_has_its_id():
    watcher = Watcher(load_settings(), {})
    with child(SPIN) as process:
        part, other = part_of(process), part_of(process)
        assert other.pulse is not None
        other.pulse = replace(other.pulse, started_s=other.pulse.started_s - 3600)
        assert watcher._sign_of_process(other) is Sign.GONE
        assert watcher._sign_of_process(part) is Sign.SILENT
    assert watcher._sign_of_process(part) is Sign.GONE


@in_loop
async def test_what_runs_on_another_machine_or_never_answered_is_out_of_sight():
    watcher = Watcher(load_settings(), {})
    with child(SPIN) as process:
        part = part_of(process, node="another")
        watcher._sign_of_process(part)
        wait_for_work(process)
        assert watcher._sign_of_process(part) is Sign.SILENT
    assert watcher._sign_of_process(_Part(None, Watch(0.0))) is Sign.SILENT


@in_loop
async def test_only_the_process_that_was_condemned_is_ended():
    watcher = Watcher(load_settings(), {})
    with child(SPIN) as process:
        other = part_of(process)
        assert other.pulse is not None
        other.pulse = replace(other.pulse, started_s=other.pulse.started_s - 3600)
        watcher._end(other)
        assert process.is_running()
        watcher._end(part_of(process))
        process.wait(30)


def test_a_pulse_names_this_process():
    pulse = own_pulse()
    found = find_process(pulse)
    assert found is not None
    assert found.pid == psutil.Process().pid


@in_loop
async def test_a_part_that_was_never_started_is_no_part_that_died():
    asked = asyncio.Event()

    def find():
        asked.set()
        raise ValueError("no such actor")

    watcher = Watcher(load_settings(), {"a": find})
    await asked.wait()
    await idle()
    assert (watcher.standings(), watcher.ended()) == ({"a": Standing.STARTING}, {"a": 0})
