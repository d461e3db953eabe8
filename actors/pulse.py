"""Pulse: which process carries an actor, said by itself on a concurrency group of its own, and what becomes of it."""

import os
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no types
import ray

HEALTH = "health"
"""Concurrency group of the calls that say a process lives: work that waits or runs does not delay them."""
_SAME_START_S = 1.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """A process: its Ray node, its id there, when it started (seconds since 1970)."""

    node: str
    pid: int
    started_s: float


def with_pulse(actor: type) -> Any:
    """The Ray actor of a class whose `pulse` is in HEALTH."""
    return ray.remote(concurrency_groups={HEALTH: 1})(actor)  # type: ignore[call-overload]  # Ray's stubs know no groups


def own_pulse() -> Pulse:
    """This process."""
    return Pulse(own_node(), os.getpid(), psutil.Process().create_time())


def own_node() -> str:
    """Ray id of the node this process runs on; empty without Ray."""
    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else ""


def find_process(pulse: Pulse) -> psutil.Process | None:
    """The process of a pulse of this node; None once it has ended, even if another one has its id."""
    try:
        process = psutil.Process(pulse.pid)
        ended = abs(process.create_time() - pulse.started_s) > _SAME_START_S
        return None if ended or process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None
