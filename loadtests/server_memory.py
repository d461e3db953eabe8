"""What the processes of a server take in memory, by what they do."""

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

ROLES = {
    "ray::BankHost": "bank hosts",
    "ray::StorageShard": "storage shards",
    "ray::ServeReplica": "replicas",
    "ray::ProxyActor": "proxy",
    "ray::embed_batch": "embedding workers",
}
"""Beginning of a process's title and what it does; every other process is Ray's own or idle."""
OTHER = "Ray and the rest"


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process: its own memory and its share of what it shares.

    Raises:
        OSError: it is gone, or this is no Linux.
    """
    return _rolled_up(pid, "Pss:")


def own_bytes(pid: int) -> int:
    """As pss_bytes, without the pages of files that are mapped: those the system takes back when it needs room.

    Raises:
        OSError: as pss_bytes.
    """
    return _rolled_up(pid, "Pss_Anon:") + _rolled_up(pid, "Pss_Shmem:")


def cpu_ms(pid: int) -> int:
    """CPU time that a process has taken so far, its dead children's not counted.

    Raises:
        OSError: it is gone.
    """
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def _rolled_up(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(f"process {pid} has no PSS")


def memory_by_role(server: int, measure: Callable[[int], int] = pss_bytes) -> Counter[str]:
    """PSS in bytes, or another measure, of all processes below the server's, summed by role."""
    found: Counter[str] = Counter()
    for pid in _below(server):
        with contextlib.suppress(OSError):  # it may have ended since
            found[_role(pid)] += measure(pid)
    return found


def pids_of_role(server: int, role: str) -> list[int]:
    """Processes below the server's that have a role, of ROLES."""
    return [pid for pid in _below(server) if _role(pid) == role]


def _role(pid: int) -> str:
    """Role of a process; OTHER, if it is gone."""
    with contextlib.suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        return next((role for start, role in ROLES.items() if title.startswith(start)), OTHER)
    return OTHER


def _below(root: int) -> set[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = path.read_text(errors="replace").partition(" ")
            children[int(rest.rpartition(")")[2].split()[1])].append(int(pid))
    found: set[int] = set()
    queue = [root]
    while queue:
        queue.extend(children[queue.pop()])
        found.update(queue)
    return found
