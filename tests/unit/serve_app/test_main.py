"""The command line: flags, exit codes, one line about what is wrong; all before Ray is started."""

import os
import socket
from pathlib import Path

import pytest

from actors.data_lock import DataLock
from actors.settings import Settings
from memory.errors import BadSettings
from serve_app import main as command
from serve_app.ports import reserve_port


@pytest.fixture(autouse=True)
def signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "on_signals", lambda handler: None)


def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    seen: list[Settings] = []
    monkeypatch.setattr(command, "_run", seen.append)
    return seen


def test_every_setting_is_a_flag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = started(monkeypatch)
    flags = ["--port", "0", "--data", str(tmp_path), "--no-ui", "--request-timeout-s", "2.5", "--bank-hosts", "3"]
    assert command.main(flags) == 0
    assert (seen[0].port, seen[0].data, seen[0].request_timeout_s, seen[0].bank_hosts) == (0, tmp_path, 2.5, 3)
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in command._parser().format_help()


def test_what_is_no_flag_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = started(monkeypatch)
    monkeypatch.setenv("LOREBANK_REPLICAS", "4")
    assert command.main([]) == 0
    assert seen[0].replicas == 4


@pytest.mark.parametrize("flags", [["--replicas", "0"], ["--port", "70000"], ["--durability", "maybe"]])
def test_settings_that_cannot_be(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(flags) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"lorebank: {flags[0].removeprefix('--')}: ")
    assert said.count("\n") == 1


def test_a_taken_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.main(["--port", str(port), "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert said.count("\n") == 1


def test_a_held_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "DataLock", lambda data: DataLock(data, patience_s=0))
    with DataLock(tmp_path):
        assert command.main(["--port", "0", "--data", str(tmp_path)]) == 2
    assert f"process {os.getpid()}" in capsys.readouterr().err


def test_interrupted_while_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(settings: Settings) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", interrupted)
    assert command.main([]) == 0


def test_ports() -> None:
    port = reserve_port("127.0.0.1", 0)
    assert port.url == f"http://127.0.0.1:{port.number}"
    with pytest.raises(BadSettings):
        reserve_port("203.0.113.1", 0)
    port.release()
    for host, url in (("0.0.0.0", "http://127.0.0.1"), ("localhost", "http://localhost")):
        open_port = reserve_port(host, 0)
        assert open_port.url.startswith(url)
        open_port.release()


def test_open_to_others_without_keys_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for settings, warned in [
        (Settings(host="127.0.0.1"), False),
        (Settings(host="localhost"), False),
        (Settings(host="0.0.0.0"), True),
        (Settings(host="0.0.0.0", api_keys="k"), False),
    ]:
        command._warn_if_open(settings)
        assert ("api_keys" in capsys.readouterr().err) is warned


def test_the_environment_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"RAY_AUTH_MODE": "token", "PYTHONPATH": "/other"})
    command.set_ray_environment()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["PYTHONPATH"].split(os.pathsep)[1:] == ["/other"]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
