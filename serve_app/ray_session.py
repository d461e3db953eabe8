"""A local Ray of this server's own: its environment, its start, and an end that leaves no process behind."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types
import ray

from actors.sessions import publish
from actors.settings import NAMESPACE
from actors.spare_imports import CLAIM

OBJECT_STORE_BYTES = 200 << 20
"""Ray takes 30 % of the memory by default; what is passed between our processes is small."""
_END_TIMEOUT_S = 3.0


def start_ray(temp_dir: Path, data: Path) -> None:
    """Start a Ray of one node whose processes end with this one; what an earlier one left in `temp_dir` is removed.

    Jobs of the same user find it by the data directory.
    """
    shutil.rmtree(temp_dir, ignore_errors=True)
    os.environ[CLAIM] = str(temp_dir / "spare")
    ray.init(
        address="local",
        namespace=NAMESPACE,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(temp_dir),
    )
    publish(temp_dir, data, ray.get_runtime_context().gcs_address)


def stop_ray(spared: int) -> None:
    """Stop it and wait until no process but `spared` is left below this one; those that stay are killed."""
    started = [process for process in children() if process.pid != spared]
    ray.shutdown()
    end(started)


def children() -> list[psutil.Process]:
    """Every process below this one."""
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def end(processes: Iterable[psutil.Process]) -> None:
    """Wait for processes to end, then kill those that have not."""
    _, left = psutil.wait_procs(processes, timeout=_END_TIMEOUT_S)
    kill(left)
    psutil.wait_procs(left, timeout=_END_TIMEOUT_S)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes; those that are gone already are left alone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
