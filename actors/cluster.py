"""The deployment's actors: start those that are missing, find those that run, send commands to their owners."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import ray

from actors.calls import ask, translate_ray
from actors.host import BankHostActor
from actors.language_model import LANGUAGE_MODEL, LANGUAGE_MODEL_CALLS, LanguageModelActor
from actors.placement import Ring, ensure_ring, host_name, load_ring, owner_of
from actors.retrying import until_available
from actors.settings import NAMESPACE, Settings
from actors.storage_shard import READERS, StorageShardActor, shard_name
from actors.stores import DeploymentStore, shard_store
from actors.supervisor import SUPERVISOR, SupervisorActor
from actors.tasks import warm_up
from actors.wiring import connect_server, embedding_space, prepare_data
from memory.commands import Command
from memory.errors import BadSettings, LorebankError, NotOwner, RetryLater, Unavailable
from memory.ids import Scope
from memory.spaces import Filled, FillPage

log = logging.getLogger("lorebank.cluster")

HOST_CALLS = 4096
"""Calls one host works on at once; its banks bound what waits."""
START_TIMEOUT_S = 120.0
OPEN_TIMEOUT_S = 3600.0
"""A damaged directory is looked through, and may be written anew, when it is opened."""
CLOSE_TIMEOUT_S = 10.0
ON_HEAD = {"node:__internal_head__": 0.001}
"""A share of Ray's own resource of the head node."""
SUPERVISOR_CALLS = 16
SUPERVISOR_S = 1.0
"""How long readiness waits for what the supervisor has to say."""


class Cluster:
    """Handles of a running deployment's actors."""

    def __init__(
        self, settings: Settings, store: DeploymentStore, hosts: Mapping[str, Any], ring: Ring, supervisor: Any
    ) -> None:
        self.store = store
        self._settings = settings
        self._hosts = dict(hosts)
        self._ring = ring
        self._supervisor = supervisor

    async def command(self, scope: Scope, command: Command) -> Any:
        """Have the bank's owner do a command; sent again under its operation id while a part restarts.

        Raises:
            InvalidRequest, Overloaded: as the bank says.
            Unavailable, DeadlineExceeded: no owner answered before the deadline.
        """
        return await until_available(
            self._settings.request_timeout_s, lambda left_s: self._send(scope, command, left_s)
        )

    async def fill(self, scope: Scope, page: FillPage) -> Filled:
        """Have the bank's owner give units the vectors that they lack of another model.

        Raises:
            Unavailable, DeadlineExceeded: no owner answered before the deadline.
            Conflict: that model is not written any more.
        """
        filled: Filled = await until_available(
            self._settings.request_timeout_s, lambda left_s: self._send(scope, page, left_s)
        )
        return filled

    async def follow_spaces(self) -> None:
        """Have every host read which models are written.

        Raises:
            RetryLater: one of them does not answer.
        """
        timeout_s = self._settings.request_timeout_s
        await asyncio.gather(*(ask(host.follow_spaces.remote(), timeout_s, name) for name, host in self._hosts.items()))

    async def _send(self, scope: Scope, command: Command | FillPage, timeout_s: float) -> Any:
        host = self._host(owner_of(self._ring, scope))
        try:
            method = host.fill if isinstance(command, FillPage) else host.perform
            pending = method.remote(scope, command, self._ring.version)
            return await ask(pending, timeout_s, "bank host")
        except NotOwner as exc:
            self._ring = await load_ring(self.store) or self._ring
            raise Unavailable(f"bank {scope.bank!r} moved: {exc}", 0.1) from exc

    def _host(self, name: str) -> Any:
        """The host of that name, which a newer ring may name for the first time."""
        if name not in self._hosts:
            try:
                self._hosts[name] = ray.get_actor(name, namespace=NAMESPACE)
            except ValueError as exc:
                raise Unavailable(f"{name} does not run") from exc
        return self._hosts[name]

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """What each host answers, and each part of the store: shards, or a server's collections.

        Raises:
            RetryLater: one of them does not.
        """
        hosts = await asyncio.gather(*(self._ready(name, timeout_s) for name in self._hosts))
        parts = "collections" if self._settings.qdrant_url else "shards"
        return {
            "hosts": hosts,
            parts: await self.store.ping(timeout_s),
            "ring_version": self._ring.version,
            "supervisor": await self._supervised(timeout_s),
            "active_banks": sum(host["activations"] for host in hosts),
        }

    async def _ready(self, name: str, timeout_s: float) -> Any:
        await ask(self._hosts[name].recovered.remote(), timeout_s, f"{name} settling its banks")
        return await ask(self._hosts[name].ping.remote(), timeout_s, name)

    async def _supervised(self, timeout_s: float) -> str:
        """What the supervisor says; requests are answered without it."""
        try:
            return str(await ask(self._supervisor.report.remote(), min(timeout_s, SUPERVISOR_S), SUPERVISOR))
        except RetryLater as exc:
            return str(exc)


def start_cluster(settings: Settings) -> None:
    """Start the deployment's actors and wait until they work; blocking, for the process that starts a server.

    Raises:
        OperatorAction: a setting, the model or the data directory cannot be used; says what to do.
        RetryLater: an actor did not come up in time.
    """
    asyncio.run(_started(settings))


def stop_cluster(settings: Settings) -> None:
    """Close the storage shards' directories, so that the next start finds them clean; blocking.

    What does not answer in time is left as it is: nothing acknowledged depends on it.
    """
    asyncio.run(_stopped(settings))


async def _stopped(settings: Settings) -> None:
    for index in range(settings.storage_shards):
        name = shard_name(index)
        try:
            shard: Any = ray.get_actor(name, namespace=NAMESPACE)
            await ask(shard.close.remote(), CLOSE_TIMEOUT_S, name)
        except (ValueError, LorebankError) as exc:
            log.warning("%s was not closed: %s", name, exc)


async def _started(settings: Settings) -> None:
    warming = warm_up(settings)
    cluster = await connect_cluster(settings)
    try:
        await cluster.ready(START_TIMEOUT_S)
    finally:
        await cluster.store.close()  # its connections end with this loop
    for reference in warming:
        await ask(reference, START_TIMEOUT_S, "embedding worker")


async def connect_cluster(settings: Settings) -> Cluster:
    """Handles of the deployment's actors; whoever comes first starts them."""
    space = await asyncio.to_thread(embedding_space, settings)
    shards: list[Any] = []
    store: DeploymentStore
    if settings.qdrant_url:
        server = connect_server(settings, space)
        await server.open()  # without a deadline: to lay out a cluster takes its time
        store = server
    else:
        _refuse_many_nodes(settings)
        shards = await _start_shards(settings, space)
        store = shard_store(settings, shards)
    names = tuple(host_name(number) for number in range(settings.bank_hosts))
    ring = await ensure_ring(store, names)
    hosts = {name: _actor(BankHostActor, name, HOST_CALLS, name, settings, shards, space) for name in names}
    parts = {**hosts, **{shard_name(number): shard for number, shard in enumerate(shards)}}
    if settings.llm_base_url:
        parts[LANGUAGE_MODEL] = _actor(
            LanguageModelActor, LANGUAGE_MODEL, LANGUAGE_MODEL_CALLS, settings, shards, space
        )
    supervisor = _actor(SupervisorActor, SUPERVISOR, SUPERVISOR_CALLS, settings, parts, resources=ON_HEAD)
    return Cluster(settings, store, hosts, ring, supervisor)


async def _start_shards(settings: Settings, space: Any) -> list[Any]:
    space = await asyncio.to_thread(prepare_data, settings, space)  # as it was made, whatever is used now
    on_head = ON_HEAD if settings.embedded_on_head else None
    shards = [
        _actor(StorageShardActor, shard_name(index), READERS, settings, index, space, resources=on_head)
        for index in range(settings.storage_shards)
    ]
    try:
        opened = await asyncio.gather(*(ask(shard.open.remote(), OPEN_TIMEOUT_S, "storage shard") for shard in shards))
    except BaseException as exc:
        for shard in shards:
            ray.kill(shard)
        raise translate_ray(exc, "storage shard") from exc
    for number, losses in enumerate(opened):
        for sentence in losses:
            log.error("%s: %s", shard_name(number), sentence)
    return shards


async def running_settings() -> Settings:
    """Settings of the deployment that runs in the connected Ray cluster.

    Raises:
        Unavailable: none runs there.
    """
    try:
        host: Any = ray.get_actor(host_name(0), namespace=NAMESPACE)
    except ValueError as exc:
        raise Unavailable("no lorebank deployment runs in this Ray cluster; start one first") from exc
    settings: Settings = await ask(host.settings.remote(), START_TIMEOUT_S, host_name(0))
    return settings


def _refuse_many_nodes(settings: Settings) -> None:
    """An embedded directory lives on one machine's disk; an actor restarted on another would find it empty."""
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]  # the library's are not typed
    if nodes > 1 and not settings.embedded_on_head:
        raise BadSettings(
            f"this Ray cluster has {nodes} nodes, and the embedded store works on one only: start lorebank on a"
            " single node, or set LOREBANK_EMBEDDED_ON_HEAD=true to keep the store on the head node's disk"
        )


def _actor(actor: Any, name: str, concurrency: int, *args: Any, resources: dict[str, float] | None = None) -> Any:
    """The named actor, started where it does not run. No CPU is reserved and no call is ever repeated by Ray."""
    return actor.options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=0,
        max_concurrency=concurrency,
        resources=resources,
    ).remote(*args)
