"""A server of one's own: it becomes ready, and nothing of it is left afterwards, whatever it does."""

import sys
import textwrap
import time
from pathlib import Path

import pytest

from lorebank import Client, own_server
from lorebank.own_server import OwnServer, ServerNotStartedError, group_lives, up_command

FAKE = """
    import signal, sys, threading
    from lorebank.testing import FakeServer
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with FakeServer() as server:
        print("warming up", flush=True)
        print("ready", server.url, flush=True)
        stop.wait()
"""
STUBBORN = """
    import os, signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("ready http://127.0.0.1:1", flush=True)
    time.sleep(60)
"""
LEAVES_A_CHILD = """
    import os, time
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("ready http://127.0.0.1:1", flush=True)
    time.sleep(60)
"""


def command(script: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(script)]


def group_of(server: OwnServer) -> int:
    assert server._process is not None
    return server._process.pid


def assert_gone(group: int) -> None:
    deadline_s = time.monotonic() + 5
    while group_lives(group):  # the kernel ends a killed process in its own time
        assert time.monotonic() < deadline_s, f"processes of group {group} are left"
        time.sleep(0.01)


def test_it_is_ready_then_stopped() -> None:
    """Its lines are shown, its URL answers, and its process ends with the block."""
    lines: list[str] = []
    with OwnServer(command(FAKE), lines.append) as server:
        group = group_of(server)
        with Client(server.url) as client:
            assert client.ready().status == "healthy"
    assert lines == ["warming up"]
    assert_gone(group)


def test_it_is_stopped_when_the_block_fails() -> None:
    """An error in between leaves no process either."""
    groups: list[int] = []

    def fail_inside() -> None:
        with OwnServer(command(FAKE), lambda _: None) as server:
            groups.append(group_of(server))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert_gone(groups[0])


def test_an_early_end_is_explained() -> None:
    """The last lines say what went wrong."""
    script = "import sys; print('first'); sys.exit('no room for the data')"
    with pytest.raises(ServerNotStartedError, match=r"ended before it was ready; its last lines:\nfirst\nno room"):
        OwnServer([sys.executable, "-c", script], lambda _: None).__enter__()


def test_a_server_that_never_gets_ready_is_stopped() -> None:
    """After the timeout the process is ended and the error says so."""
    server = OwnServer(command("import time; time.sleep(60)"), lambda _: None, start_timeout_s=0.2)
    started: list[int] = []
    stop = server.stop

    def noted_stop() -> None:
        started.append(group_of(server))
        stop()

    server.stop = noted_stop
    with pytest.raises(ServerNotStartedError, match="not ready after 0 s"):
        server.__enter__()
    assert_gone(started[0])


@pytest.mark.parametrize("script", [STUBBORN, LEAVES_A_CHILD], ids=["ignores SIGTERM", "leaves a child"])
def test_what_does_not_end_is_killed(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole group, after it had its chance."""
    monkeypatch.setattr(own_server, "GROUP_TIMEOUT_S", 0.1)
    with OwnServer(command(script), lambda _: None, stop_timeout_s=0.1) as server:
        group = group_of(server)
    assert_gone(group)


def test_up_command_starts_the_cli_without_pages() -> None:
    """The same Python, the given port and directory."""
    assert up_command(9001, Path("/d")) == [
        sys.executable, "-m", "lorebank.cli", "up", "--port", "9001", "--data", "/d", "--no-ui",
    ]  # fmt: skip
