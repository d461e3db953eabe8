"""The spare process: a worker of Ray's that has imported what actors need and waits for one of them to end.

Ray starts a process for each actor that it makes anew, and such a process takes two seconds of CPU to import Ray and
us. Ray keeps none in reserve for actors; but one that was started for an actor which is taken back meanwhile stays, and
the next actor begins in it. Nothing depends on it: without a spare, the next actor begins in a new process.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # it has no types
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.pulse import own_node
from actors.spare_imports import CLAIM

log = logging.getLogger("lorebank.spare")

TAKEN_BACK_S: Final = 0.15
"""After this time the actor is taken back: its process has been started then and has not begun to work for it."""
CLAIMED_S: Final = 15.0
"""A process that was started has imported Ray by then."""
ATTEMPTS: Final = 3
_IDLE: Final = "ray::IDLE"
"""Title of a worker that waits."""
_POLL_S: Final = 0.1


class Waiting:
    """The actor that is taken back."""


class Spare:
    """Sees to it that there is one, a while after it was told that there may be none."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._needed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def order(self) -> None:
        """There may be none now."""
        self._needed.set()

    async def _keep(self) -> None:
        while True:
            await self._needed.wait()
            await asyncio.sleep(self._settle_s)  # what has just begun has more need of the processors
            self._needed.clear()
            try:
                await have_spare()
            except Exception:
                log.exception("no spare process was started")  # actors start without one, only later


async def have_spare() -> int | None:
    """Process id of the spare of this node, which is started where there is none; None where that came to nothing."""
    claim = os.environ.get(CLAIM)
    if claim is None:
        return None
    for _ in range(ATTEMPTS):
        found = await asyncio.to_thread(_find, Path(claim))
        if found is not None:
            return found
        await _start(Path(claim))
    return await asyncio.to_thread(_find, Path(claim))


async def _start(claim: Path) -> None:
    await asyncio.to_thread(claim.touch)
    here = NodeAffinitySchedulingStrategy(own_node(), soft=False)
    waiting: Any = ray.remote(Waiting).options(num_cpus=0, max_restarts=0, scheduling_strategy=here).remote()
    try:
        await asyncio.sleep(TAKEN_BACK_S)
    finally:
        ray.kill(waiting)
    for _ in range(round(CLAIMED_S / _POLL_S)):
        if not await asyncio.to_thread(claim.exists):
            return
        await asyncio.sleep(_POLL_S)


def _find(claim: Path) -> int | None:
    """The process that has claimed and still waits; what others left is swept."""
    found = None
    for path in claim.parent.glob(f"{claim.name}.*"):
        pid = int(path.suffix[1:])
        if _waits(pid):
            found = pid
        else:
            path.unlink(missing_ok=True)
    return found


def _waits(pid: int) -> bool:
    try:
        return " ".join(psutil.Process(pid).cmdline()).startswith(_IDLE)
    except psutil.Error:
        return False
