"""What of this process's mapped files is not on disk, or in memory."""

from pathlib import Path


def dirty_bytes(path: Path) -> int:
    """Bytes of this process's mapping of the file that are not on disk."""
    return _counted(path, "Shared_Dirty:", "Private_Dirty:")


def resident_bytes(path: Path) -> int:
    """Bytes of this process's mapping of the file that it has in memory."""
    return _counted(path, "Rss:")


def _counted(path: Path, *names: str) -> int:
    after = Path("/proc/self/smaps").read_text(encoding="utf-8").split(str(path), 1)[1]
    return sum(int(line.split()[1]) << 10 for line in after.splitlines()[1:16] if line.startswith(names))
