"""One Ray cluster on this machine for all tests of actors in a run, with two hosts and a deterministic embedder."""

import asyncio
import logging
import os
from collections.abc import Iterator

import pytest

from actors.settings import Settings, load_settings
from actors.spare_imports import CLAIM
from tests.support.engines import *  # noqa: F403 - its fixtures, whatever engines there are


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    from serve_app.main import set_ray_environment

    set_ray_environment()
    os.environ[CLAIM] = str(tmp_path_factory.mktemp("claim") / "spare")
    import ray

    from actors.cluster import start_cluster
    from actors.settings import NAMESPACE

    ray.init(
        address="local",
        namespace=NAMESPACE,
        include_dashboard=False,
        object_store_memory=200 << 20,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    settings = load_settings(
        data=tmp_path_factory.mktemp("deployment") / "data",
        embedder="hash",
        bank_hosts=2,
        storage_shards=2,
        embed_hedge_s=2.0,
        supervisor_ping_s=0.5,
    )
    start_cluster(settings)
    yield settings
    ray.shutdown()


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Ray's handles belong to the loop that first awaited them."""
    made = asyncio.new_event_loop()
    yield made
    made.close()
