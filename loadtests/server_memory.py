"""What the processes of a server take in memory, by what they do."""

import contextlib
from collections import Counter, defaultdict
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
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"process {pid} has no PSS")


def memory_by_role(server: int) -> Counter[str]:
    """PSS in bytes of all processes below the server's, summed by role."""
    found: Counter[str] = Counter()
    for pid in _below(server):
        with contextlib.suppress(OSError):  # it may have ended since
            title = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
            role = next((role for start, role in ROLES.items() if title.startswith(start)), OTHER)
            found[role] += pss_bytes(pid)
    return found


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
