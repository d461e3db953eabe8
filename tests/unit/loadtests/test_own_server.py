"""Which server is loaded, with a stand-in for the server's program."""

import sys
from pathlib import Path

import pytest

from loadtests import own_server as module
from loadtests.own_server import own_server, server_at
from lorebank.own_server import ServerNotStartedError

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
