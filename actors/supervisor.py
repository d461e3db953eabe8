"""Supervisor: a small Ray actor that watches hosts and storage shards, and keeps a spare process for them.

It is watched by the hosts.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray

from actors.pulse import HEALTH, Pulse, own_pulse, with_pulse
from actors.settings import NAMESPACE, Settings
from actors.spare import Spare
from actors.supervision import Standing
from actors.watching import Watcher

SUPERVISOR = "supervisor"
FIRST_S = 60.0
"""So long after the supervisor began a spare process is started: what has just started has more to do, or ends soon."""
SETTLE_S = 1.0
"""So long after a part was replaced one is started for the next."""


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """Standing of each part by its Ray name, and how many processes of it were ended."""

    standings: Mapping[str, Standing]
    ended: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"watches {len(self.standings)} parts, ended {sum(self.ended.values())}"


class Supervisor:
    """Has every host and storage shard watched."""

    def __init__(self, settings: Settings, parts: Mapping[str, Any]) -> None:
        spare = Spare(SETTLE_S) if settings.spare_process else None
        watched = {name: partial(_itself, handle) for name, handle in parts.items()}
        self._watcher = Watcher(settings, watched, spare.order if spare else _nothing)
        if spare:
            asyncio.get_running_loop().call_later(FIRST_S, spare.order)

    async def report(self) -> SupervisorReport:
        """What it thinks of each part."""
        return SupervisorReport(self._watcher.standings(), self._watcher.ended())

    @ray.method(concurrency_group=HEALTH)
    async def pulse(self) -> Pulse:
        """That its process runs."""
        return own_pulse()


def find_supervisor() -> Any:
    """The deployment's supervisor.

    Raises:
        ValueError: it does not run.
    """
    return ray.get_actor(SUPERVISOR, namespace=NAMESPACE)


def _nothing() -> None:
    """No spare process is kept."""


def _itself(handle: Any) -> Any:
    return handle


SupervisorActor = with_pulse(Supervisor)
