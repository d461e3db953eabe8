"""Which store a deployment has: StorageShards on this machine, or a Qdrant server that every process talks to."""

from collections.abc import Sequence
from typing import Any

from actors.settings import Settings
from actors.shard_store import ShardStore
from actors.wiring import SharedStore, connect_server

DeploymentStore = ShardStore | SharedStore


def store_of(settings: Settings, shards: Sequence[Any], space: Any) -> DeploymentStore:
    """The store port of one process, over the shards' actors or over connections of its own to the server."""
    if settings.qdrant_url:
        return connect_server(settings, space)
    return ShardStore(shards, settings.request_timeout_s)
