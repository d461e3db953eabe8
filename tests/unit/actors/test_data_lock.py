"""One server per data directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.data_lock import LOCK_FILE, DataLock
from memory.errors import BadSettings, StoreLocked

HOLD = """
import sys
from pathlib import Path
from actors.data_lock import DataLock
with DataLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    with DataLock(tmp_path / "data"), pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        DataLock(tmp_path / "data", patience_s=0).__enter__()


def test_it_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with DataLock(tmp_path, patience_s=0):
            assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked, match=f"process {holder.pid}"):
        DataLock(tmp_path, patience_s=0).__enter__()
    holder.kill()
    with DataLock(tmp_path, patience_s=5.0):
        pass
    holder.communicate()


def test_a_directory_that_cannot_be_made() -> None:
    with pytest.raises(BadSettings, match="cannot be used"):
        DataLock(Path("/proc/nothing/here")).__enter__()
