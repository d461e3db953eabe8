"""What the supervisor makes of a process that does not answer: real processes, and no Ray of their own."""

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
from actors.supervisor import Supervisor, SupervisorReport, _Part
from tests.support.loops import in_loop

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
    supervisor = Supervisor(load_settings(), {})
    with child(SPIN) as process:
        part = part_of(process)
        assert supervisor._sign_of_process(part) is Sign.SILENT, "nothing to compare with yet"
        wait_for_work(process)
        assert supervisor._sign_of_process(part) is Sign.BUSY
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        supervisor._sign_of_process(part)
        assert supervisor._sign_of_process(part) is Sign.SILENT


@in_loop
async def test_a_process_that_ended_is_gone_even_if_another_has_its_id():
    supervisor = Supervisor(load_settings(), {})
    with child(SPIN) as process:
        part, other = part_of(process), part_of(process)
        assert other.pulse is not None
        other.pulse = replace(other.pulse, started_s=other.pulse.started_s - 3600)
        assert supervisor._sign_of_process(other) is Sign.GONE
        assert supervisor._sign_of_process(part) is Sign.SILENT
    assert supervisor._sign_of_process(part) is Sign.GONE


@in_loop
async def test_what_runs_on_another_machine_or_never_answered_is_out_of_sight():
    supervisor = Supervisor(load_settings(), {})
    with child(SPIN) as process:
        part = part_of(process, node="another")
        supervisor._sign_of_process(part)
        wait_for_work(process)
        assert supervisor._sign_of_process(part) is Sign.SILENT
    assert supervisor._sign_of_process(_Part(None, Watch(0.0))) is Sign.SILENT


@in_loop
async def test_only_the_process_that_was_condemned_is_ended():
    supervisor = Supervisor(load_settings(), {})
    with child(SPIN) as process:
        other = part_of(process)
        assert other.pulse is not None
        other.pulse = replace(other.pulse, started_s=other.pulse.started_s - 3600)
        supervisor._end(other)
        assert process.is_running()
        supervisor._end(part_of(process))
        process.wait(30)


def test_a_pulse_names_this_process():
    pulse = own_pulse()
    found = find_process(pulse)
    assert found is not None
    assert found.pid == psutil.Process().pid


def test_a_report_counts():
    report = SupervisorReport({"a": Standing.WELL, "b": Standing.STARTING}, {"a": 2, "b": 1})
    assert str(report) == "watches 2 parts, ended 3"
