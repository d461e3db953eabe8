"""A whole server over a directory that was torn, damaged, backed up: it heals, or says what to do and stops."""

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from lorebank.own_server import free_port, up_command
from storage import schema
from tests.faults.killing import kill_all, tree_of
from tests.faults.test_kill_tree import WRITERS, start
from tests.support import damaging
from tests.support.recording_callers import Record, calling, check_record, wait_acknowledged

pytestmark = pytest.mark.long


def lorebank(*arguments: str | Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lorebank.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def written(data: Path) -> None:
    """A directory left by a server that was killed among its callers."""
    record = Record()
    with start(data) as server, calling(server.url, WRITERS, 0, record, until_lost=True) as callers:
        wait_acknowledged(callers, 60)
        threading.Event().wait(1.0)
        kill_all(tree_of(server.pid))


@pytest.mark.timeout(900)
def test_a_torn_log_of_units_under_writers_loses_nothing_acknowledged(tmp_path: Path) -> None:
    moments = random.Random(random.SystemRandom().randrange(1_000_000))
    data = tmp_path / "data"
    record = Record()
    for number in range(3):
        with start(data) as server:
            check_record(server.url, record)
            with calling(server.url, WRITERS, number, record, until_lost=True) as callers:
                wait_acknowledged(callers, 60)
                threading.Event().wait(moments.uniform(0.2, 2.0))
                kill_all(tree_of(server.pid))
        log = damaging.log_of(data / "shard-00" / schema.UNITS)
        used = damaging.used_bytes(log)
        damaging.overwrite(log, max(64, used - moments.randrange(100, 20_000)), b"\xa5" * 50)
    with start(data) as server:
        assert check_record(server.url, record) > 0


@pytest.mark.timeout(900)
def test_the_shards_process_killed_under_writers_comes_back_with_everything(tmp_path: Path) -> None:
    record = Record()
    with start(tmp_path / "data") as server:
        with calling(server.url, WRITERS, 1, record) as callers:
            for _ in range(3):
                for caller in callers:
                    caller.first_acknowledged.clear()
                wait_acknowledged(callers, 120)
                shard_process(server.pid).kill()
        assert check_record(server.url, record) > 0


def shard_process(server: int) -> psutil.Process:
    (found,) = [child for child in tree_of(server) if any("StorageShard" in part for part in _command(child))]
    return found


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.mark.timeout(900)
def test_a_directory_the_engine_aborts_on_stops_the_server_with_one_line_and_the_doctor_names_it(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    written(data)
    units = data / "shard-00" / schema.UNITS
    damaging.points_flipped(units)
    done = subprocess.run(up_command(free_port(), data), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("lorebank: ")]
    assert "SIGABRT" in line
    assert str(units) in line
    assert "lorebank restore" in line
    told = lorebank("doctor", "--data", data, "--json")
    assert told.returncode == 1
    (found,) = [check for check in json.loads(told.stdout) if check["name"] == "stored data"]
    assert found["state"] == "fail"
    assert "SIGABRT" in found["found"]


@pytest.mark.timeout(900)
def test_a_backup_made_under_writers_is_a_server_of_its_own(tmp_path: Path) -> None:
    data, backup, restored = tmp_path / "data", tmp_path / "backup", tmp_path / "restored"
    record = Record()
    with start(data) as server, calling(server.url, WRITERS, 7, record) as callers:
        wait_acknowledged(callers, 60)
        asked_s = time.monotonic()
        done = lorebank("backup", data, "--to", backup)
        assert done.returncode == 0, done.stderr
        assert "copying shard-00 while the server runs" in done.stderr
    told = lorebank("restore", backup, "--to", restored)
    assert told.returncode == 0, told.stderr
    shutil.rmtree(data)
    with start(restored) as server:
        assert check_record(server.url, record.as_known_at(asked_s)) > 0
    again = lorebank("doctor", "--data", restored, "--json")
    (found,) = [check for check in json.loads(again.stdout) if check["name"] == "stored data"]
    assert found["state"] == "ok", found
