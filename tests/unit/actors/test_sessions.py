"""Which server's Ray another process of the same user joins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors import sessions
from actors.sessions import find_address, publish
from memory.errors import BadSettings


@pytest.fixture
def parent(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(sessions, "_parent", lambda: tmp_path)
    return tmp_path


def server(parent: Path, name: str) -> Path:
    """A server of this process; its data directory."""
    (parent / name).mkdir()
    publish(parent / name, Path("/data") / name, f"address-of-{name}")
    return Path("/data") / name


def test_the_server_on_the_directory_comes_before_any_other(parent):
    one, two = server(parent, "one"), server(parent, "two")
    assert (find_address(one), find_address(two)) == ("address-of-one", "address-of-two")


def test_the_only_server_is_found_whatever_its_directory(parent):
    server(parent, "one")
    assert find_address(Path("/elsewhere")) == "address-of-one"


def test_several_servers_are_named(parent):
    server(parent, "one")
    server(parent, "two")
    with pytest.raises(BadSettings, match=r"/data/one, /data/two.*LOREBANK_DATA"):
        find_address(Path("/elsewhere"))


def test_an_address_given_comes_first(parent, monkeypatch):
    one = server(parent, "one")
    monkeypatch.setenv("RAY_ADDRESS", "given")
    assert find_address(one) == "given"


@pytest.mark.parametrize("left", ["killed", "garbled"])
def test_what_a_server_left_behind_is_no_server(parent, left):
    server(parent, "one")
    path = parent / "one" / "lorebank.json"
    if left == "garbled":
        path.write_bytes(b"{")
    else:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        path.write_text(path.read_text().replace(str(os.getpid()), str(ended.pid)))
    with pytest.raises(BadSettings, match="no server of yours runs"):
        find_address(Path("/data/one"))
