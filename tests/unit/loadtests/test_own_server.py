"""Which server is loaded, with a stand-in for the server's program."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from loadtests import own_server as module
from loadtests.own_server import own_server, server_at
from lorebank.own_server import ServerNotStartedError, group_lives

STAND_IN = "import os, sys, time; os.makedirs(sys.argv[2]); print('ready', sys.argv[1], flush=True); time.sleep(60)"


def test_our_own_server_has_a_directory_that_goes_with_it(monkeypatch):
    folders = []

    def command(port: int, data: Path) -> list[str]:
        folders.append(data)
        return [sys.executable, "-c", STAND_IN, f"http://127.0.0.1:{port}", str(data)]

    monkeypatch.setattr(module, "up_command", command)
    with own_server() as url:
        assert url.startswith("http://127.0.0.1:")
        assert folders[0].is_dir()
    assert not folders[0].parent.exists()


def test_a_server_that_ends_early_is_told_with_its_output(monkeypatch):
    monkeypatch.setattr(module, "up_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no such model')"])
    with pytest.raises(ServerNotStartedError, match="no such model"), server_at(None):
        pytest.fail("it was never ready")


def test_a_given_url_starts_nothing():
    with server_at("http://127.0.0.1:1") as url:
        assert url == "http://127.0.0.1:1"


ENDED = """
    import time
    from loadtests import own_server as module
    from loadtests.entry import start
    module.up_command = lambda port, data: {command}
    def main() -> None:
        with module.own_server() as url:
            print(url, flush=True)
            time.sleep(60)
    start(main)
"""


def test_a_load_test_that_is_ended_by_sigterm_leaves_no_server(tmp_path: Path):
    told = tmp_path / "pid"
    stand_in = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); print('ready x', flush=True)"
    program = textwrap.dedent(ENDED).format(command=[sys.executable, "-c", f"{stand_in}; time.sleep(60)"])
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        assert load.stdout.readline() == "x\n"
        server = int(told.read_text())
        assert os.getpgid(server) == server
        load.terminate()
        assert load.wait(30) == 128 + 15
    deadline_s = time.monotonic() + 5
    while group_lives(server):  # the kernel ends a killed process in its own time
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
