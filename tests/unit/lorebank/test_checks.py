"""What `lorebank doctor` looks at, each against a real or a broken thing."""

import fcntl
import json
import os
import socket
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lorebank import _checks
from lorebank._checks import (
    Check,
    check_data,
    check_llm,
    check_lock,
    check_model,
    check_packages,
    check_port,
    check_python,
    check_server,
    check_space,
)
from lorebank.cli import app
from lorebank.own_server import free_port
from lorebank.testing import FakeServer
from tests.support.scripted_llm import ScriptedLlm

NO_SERVER = Check("server", "warn", "none")


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.11 is the oldest that works."""
    assert check_python().state == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert check_python() == Check("python", "fail", "3.10.4", "use Python 3.11 or newer")


def test_packages() -> None:
    """Versions of what is there, names of what is not."""
    assert check_packages("p", ["pydantic"], "fail").found.startswith("pydantic ")
    missing = check_packages("p", ["pydantic", "no-such-package"], "warn")
    assert (missing.state, missing.found) == ("warn", "not installed: no-such-package")


def test_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service, weights of a plausible size, or a warning."""
    assert check_model({"LOREBANK_EMBEDDING_BASE_URL": "http://e"}).found == "service at http://e"
    spec = ModuleSpec("m", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(_checks.importlib.util, "find_spec", lambda _: spec)
    assert check_model({}).state == "warn"
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(b"version https://git-lfs")
    assert check_model({}).state == "warn"
    os.truncate(weights, _checks.MIN_WEIGHTS_BYTES)
    assert check_model({}) == Check("embedding model", "ok", str(weights))
    monkeypatch.setattr(_checks.importlib.util, "find_spec", lambda _: None)
    assert check_model({}).state == "warn"


def test_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, to be made, a file, or not writable."""
    assert check_data(tmp_path).state == "ok"
    assert check_data(tmp_path / "a" / "b").found.endswith("(will be made)")
    (tmp_path / "file").touch()
    assert check_data(tmp_path / "file").state == "fail"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check_data(tmp_path).state == "fail"


@pytest.mark.skipif(not _checks.LOCKS_FILE.exists(), reason="locks can be seen on Linux only")
def test_lock_names_its_holder(tmp_path: Path) -> None:
    """A lock anywhere below the directory, by whatever process, shows."""
    (tmp_path / "shard").mkdir()
    assert check_lock(tmp_path).state == "ok"
    assert check_lock(tmp_path / "absent").state == "ok"
    with (tmp_path / "shard" / "wal").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = check_lock(tmp_path)
    assert found.state == "warn"
    assert f"process {os.getpid()}" in found.found
    assert check_lock(tmp_path).state == "ok"


def test_waiting_for_a_lock_is_not_holding_it(tmp_path: Path) -> None:
    """Lines with an arrow are processes that wait."""
    (tmp_path / "wal").touch()
    file_id = _checks._lock_id(tmp_path / "wal")
    locks = f"1: FLOCK  ADVISORY  WRITE 11 {file_id} 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 22 {file_id} 0 EOF\n"
    assert _checks.lock_holders(tmp_path, locks) == {11}


def test_lock_on_other_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks cannot be seen, that is said."""
    monkeypatch.setattr(_checks, "LOCKS_FILE", tmp_path / "none")
    assert check_lock(tmp_path).found == "cannot be seen on this system"


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little room is a warning."""
    monkeypatch.setattr(_checks, "MIN_FREE_BYTES", 1)
    assert check_space(tmp_path / "absent").state == "ok"
    monkeypatch.setattr(_checks, "MIN_FREE_BYTES", 2**70)
    assert check_space(tmp_path).state == "warn"


def test_port() -> None:
    """Free, taken by the server, taken by something else."""
    assert check_port(free_port(), NO_SERVER).state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert check_port(port, NO_SERVER).state == "warn"
        assert check_port(port, Check("server", "ok", "ready")).found == "taken by the server"


def test_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, ready, starting, and something that is no lorebank at all."""
    assert check_server(f"http://127.0.0.1:{free_port()}", None).state == "warn"
    with FakeServer() as server:
        assert check_server(server.url, None).state == "ok"
        server.ready = False
        starting = check_server(server.url, None)
        assert starting.state == "fail"
        assert "503" in starting.found
        monkeypatch.setattr(server, "handle", lambda _: (200, {}, b"<html>"))
        assert "not a lorebank server" in check_server(server.url, None).found


def test_doctor_exit_code_follows_the_worst(tmp_path: Path) -> None:
    """Warnings are fine, failures are not; --json for scripts."""
    with FakeServer() as server:
        arguments = ["doctor", "--url", server.url, "--data", str(tmp_path), "--port", str(free_port())]
        good = CliRunner().invoke(app, arguments)
        assert good.exit_code == 0, good.output
        server.ready = False
        bad = CliRunner().invoke(app, [*arguments, "--json"])
    assert bad.exit_code == 1
    assert {row["name"]: row["state"] for row in json.loads(bad.output)}["server"] == "fail"


def test_language_model() -> None:
    """None, half of one, one that answers, and one that refuses, is gone or is down; the key is never shown."""
    assert check_llm({}) == Check("language model", "ok", "none: facts are found by rules")
    server = ScriptedLlm()
    given = {"LOREBANK_LLM_BASE_URL": server.url, "LOREBANK_LLM_MODEL": "m", "LOREBANK_LLM_API_KEY": "sk-secret"}
    try:
        assert check_llm({"LOREBANK_LLM_BASE_URL": server.url}).state == "fail"
        assert check_llm(given).found == f"m at {server.url} answers"
        server.behave(rates={"server_error": 1.0})
        assert check_llm(given).state == "warn"
        server.behave(rates={}, api_key="another")
        refused = check_llm(given)
        assert (refused.state, "sk-secret" in repr(refused)) == ("fail", False)
        server.behave(down=True)
        assert "does not answer" in check_llm(given).found
    finally:
        server.stop()
    assert check_llm(given).state == "warn"
    assert check_llm({**given, "LOREBANK_LLM_BASE_URL": "no url"}).state == "warn"
