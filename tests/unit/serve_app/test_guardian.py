"""What a killed server started ends; what ended by itself is left alone."""

import subprocess
import sys

import psutil

SERVER = """
import subprocess, sys, time
from serve_app.guardian import Guardian
with Guardian() as guardian:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    guardian.learned()
    print(child.pid, flush=True)
    time.sleep(60)
"""

ENDING = """
import subprocess, sys
from serve_app.guardian import Guardian
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with Guardian() as guardian:
    guardian.learned()
print(child.wait(5.0))
"""
ALONE = """
import time
import psutil
from serve_app.guardian import Guardian
with Guardian() as guardian:
    psutil.Process(guardian.pid).kill()
    time.sleep(0.3)
    guardian.learned()
print("goes on")
"""


def test_children_of_a_killed_server_end() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    child = psutil.Process(int(server.stdout.readline()))
    others = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    server.communicate()
    _, left = psutil.wait_procs({child, *others}, timeout=5.0)
    assert left == []


def test_it_ends_with_its_server() -> None:
    # In a process of its own: a guardian ends everything below its process, and the tests' Ray is below this one.
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=30, check=True)
    assert int(ended.stdout) < 0


def test_a_server_goes_on_without_its_guardian() -> None:
    ended = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "goes on\n"
