"""Supervisor: a small Ray actor that watches hosts and storage shards. It is watched by the hosts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray

from actors.pulse import HEALTH, Pulse, own_pulse, with_pulse
from actors.settings import NAMESPACE, Settings
from actors.supervision import Standing
from actors.watching import Watcher

SUPERVISOR = "supervisor"


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
        self._watcher = Watcher(settings, {name: partial(_itself, handle) for name, handle in parts.items()})

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


def _itself(handle: Any) -> Any:
    return handle


SupervisorActor = with_pulse(Supervisor)
