"""Two processes that each believe to own a bank: the store lets one of them write."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", ["zombie_host", "frozen_raylet"])
def test_nothing_a_former_owner_writes_is_read(tmp_path: Path, scenario: str) -> None:
    command = [sys.executable, "-m", f"tests.faults.{scenario}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=360, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
