"""Writing dirty pages to disk ahead of the engine's flush, which lets no other thread of its process run meanwhile."""

import contextlib
import os
from pathlib import Path


def write_back(directory: Path) -> None:
    """Hand every file below to the disk. Mapped pages count; other threads run on, and may write.

    What the engine's own flush finds to do afterwards is what was written since. It is still what makes writes durable:
    it also writes what it keeps in memory until then.
    """
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # the engine starts a new log and deletes the old one
                file = os.open(os.path.join(folder, name), os.O_RDONLY)  # noqa: PTH118 - hundreds of them, often
                try:
                    os.fdatasync(file)
                finally:
                    os.close(file)
