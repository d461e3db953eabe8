"""`python -m tests.faults.frozen_raylet DIRECTORY`: three Ray nodes, one of which falls silent while its hosts live on.

Ray gives the node up and starts its hosts elsewhere; the old processes write on until their raylet is woken. The store
is pinned to the head node. Every write either process was told of must be there, once, in one order.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actors.calls import ask
from actors.client import BankClient
from actors.placement import host_name
from actors.pulse import Pulse
from actors.settings import NAMESPACE, load_settings
from memory.errors import LorebankError
from memory.ids import Scope
from tests.faults.ray_scenario import actor, breaches, owned_by, readable, until

HOSTS = 6
FROZEN_S = 10.0


@contextmanager
def three_nodes() -> Iterator[Any]:
    from serve_app.main import set_ray_environment

    set_ray_environment()
    os.environ.update(
        RAY_health_check_initial_delay_ms="500",
        RAY_health_check_period_ms="500",
        RAY_health_check_timeout_ms="1000",
        RAY_health_check_failure_threshold="3",
    )
    import ray
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **memory})
    for _ in range(2):
        cluster.add_node(num_cpus=1, **memory)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def raylet_of(cluster: Any, node: str) -> Any:
    """The raylet's Popen of a worker node; None for the head."""
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    for worker in cluster.worker_nodes:
        if worker.node_id == node:
            return worker.all_processes[PROCESS_TYPE_RAYLET][0].process
    return None


async def pulse_of(name: str, timeout_s: float = 20.0) -> Pulse:
    return await ask(actor(name).pulse.remote(), timeout_s, name)


async def scenario(cluster: Any, settings: Any, log: Path) -> None:
    client = await BankClient.connect(settings)
    pulses = {host_name(n): await pulse_of(host_name(n)) for n in range(HOSTS)}
    name, old, raylet = next(
        (name, pulse, raylet_of(cluster, pulse.node))
        for name, pulse in pulses.items()
        if raylet_of(cluster, pulse.node)
    )
    assert raylet.pid
    scope = await owned_by(client, name)
    await ask(actor(name).write_on.remote(scope, log), 30.0, name)
    await until("the owner writes", lambda: writes(log, old.pid, 20))
    os.kill(raylet.pid, signal.SIGSTOP)
    frozen_s = time.time()
    print(f"{sum(pulse.node == old.node for pulse in pulses.values())} of {HOSTS} hosts on the node that falls silent")

    async def replaced() -> Pulse | None:
        with contextlib.suppress(LorebankError):
            pulse = await pulse_of(name, 2.0)
            return pulse if pulse.pid != old.pid else None
        return None

    new = await until("the host has a new process", replaced)
    found_s = time.time()
    await ask(actor(name).write_on.remote(scope, log), 30.0, name)
    await until("the new owner writes", lambda: writes(log, new.pid, 50))
    await asyncio.sleep(max(0.0, frozen_s + FROZEN_S - time.time()))
    os.kill(raylet.pid, signal.SIGCONT)
    reaping = threading.Thread(target=raylet.wait, daemon=True)  # a defunct raylet counts as alive to its workers
    reaping.start()
    await until("the raylet ends", lambda: ended(raylet))
    last = len(lines_of(log))
    await until("the new owner writes on", lambda: more(log, last + 20))
    await ask(actor(name).stop_writing.remote(), 30.0, name)
    await judge(client, scope, log, old.pid, new.pid, frozen_s, found_s)


async def ended(raylet: Any) -> bool:
    return raylet.returncode is not None


async def more(log: Path, count: int) -> bool:
    return len(lines_of(log)) >= count


async def writes(log: Path, pid: int, count: int) -> bool:
    """Whether a process had that many writes acknowledged."""
    return sum(line["pid"] == pid and "version" in line for line in lines_of(log)) >= count


def lines_of(log: Path) -> list[dict[str, Any]]:
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


async def judge(
    client: BankClient, scope: Scope, log: Path, old: int, new: int, frozen_s: float, found_s: float
) -> None:
    """Acknowledged writes of both processes are one sequence; what is readable is its end."""
    lines = lines_of(log)
    state = await readable(client, scope)
    done = sorted((line for line in lines if "version" in line), key=lambda line: line["version"])
    versions = [line["version"] for line in done]
    assert len(versions) == len(set(versions)), "a version was given twice"
    assert [line["seq"] for line in done] == sorted({line["seq"] for line in done}), "seqs follow another order"
    for earlier, later in itertools.pairwise(done):
        assert earlier["began_s"] <= later["ended_s"], "a write that ended earlier has the higher version"
    skipped = set(range(1, versions[-1] + 1)) - set(versions)
    refused = [line for line in lines if "refused" in line]
    assert len(skipped) <= len(refused) + 1, f"versions nobody was told of: {skipped}"
    version, text = state["texts"]["log"]
    known = {line["version"]: line["text"] for line in done}
    assert (version, text) == (versions[-1], known[versions[-1]]), "the last acknowledged write is not what is read"
    assert state["units"] == [text], "something else is readable too"
    assert await breaches(client, scope) == []
    late = [line for line in lines if line["pid"] == old and line["began_s"] > frozen_s]
    taken_s = min(line["ended_s"] for line in done if line["pid"] == new)
    both = [line for line in late if line["ended_s"] > taken_s and "version" in line]
    print(
        f"a new process answered {found_s - frozen_s:.1f} s after the raylet was stopped; its first write after"
        f" {taken_s - frozen_s:.1f} s; the old one tried {len(late)} writes after the stop, {len(both)} of them"
        f" acknowledged after the new one's first, {sum('refused' in line for line in late)} refused, its last attempt"
        f" {max((line['ended_s'] for line in late), default=frozen_s) - frozen_s:.1f} s after the stop;"
        f" {len(done)} acknowledged in all, {len(skipped)} versions of writes without an answer"
    )
    for reason in sorted({line["refused"].split(":")[0] for line in refused}):
        print(f"refused with {reason}")
    assert not both, "the old process went on to write after it had lost the bank"


def main() -> None:
    path = Path(sys.argv[1])
    with three_nodes() as cluster:
        from actors import cluster as deployment
        from tests.support.busy_host import BusyHostActor

        deployment.BankHostActor = BusyHostActor
        settings = load_settings(
            data=path / "data",
            embedder="hash",
            bank_hosts=HOSTS,
            embed_workers=1,
            embedded_on_head=True,
            extraction="off",  # nothing but the callers writes
            due_scan_s=60.0,  # a former owner finds out when it writes, not when it looks around
        )
        deployment.start_cluster(settings)
        asyncio.run(scenario(cluster, settings, path / "writes.ndjson"))


if __name__ == "__main__":
    main()
