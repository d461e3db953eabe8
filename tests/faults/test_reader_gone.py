"""Whoever read what the server says is gone: it serves on, and stops as it would have."""

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from lorebank.own_server import READY_PREFIX, STOP_TIMEOUT_S, free_port, group_lives, up_command
from tests.faults.killing import kill_all, tree_of

pytestmark = pytest.mark.long


@pytest.mark.timeout(400)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_nobody_reads_stops_as_asked(tmp_path: Path, sent: signal.Signals) -> None:
    server = subprocess.Popen(
        up_command(free_port(), tmp_path / "data"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        with server.stdout as said:
            url = next(line.removeprefix(READY_PREFIX).strip() for line in said if line.startswith(READY_PREFIX))
        with urllib.request.urlopen(f"{url}/health/ready", timeout=30) as answer:
            assert answer.status == 200
        began_s = time.monotonic()
        os.kill(server.pid, sent)
        code = server.wait(STOP_TIMEOUT_S)
        print(f"{sent.name}: stopped with {code} after {time.monotonic() - began_s:.1f} s")
        assert code == 0
        assert not group_lives(server.pid)
    finally:
        if server.poll() is None:
            kill_all(tree_of(server.pid))
            server.wait()
    assert (tmp_path / "data" / "shard-00" / "clean").exists()
