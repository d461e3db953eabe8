"""Embedding tasks on Ray: a worker that hangs holds up no command."""

import asyncio
from collections.abc import Iterator

import pytest

from actors.settings import Settings
from actors.tasks import embed_texts
from memory.errors import ModelUnusable
from tests.support.scripted_embeddings import ScriptedServer, status


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def settings(deployment: Settings, server: ScriptedServer) -> Settings:
    endpoint = {"embedding_base_url": server.url, "embedding_model": "m", "embedding_dim": 3}
    return deployment.model_copy(update={"embedder": "http", "embed_hedge_s": 0.5, **endpoint})


def test_a_worker_that_hangs_is_replaced_by_another(
    settings: Settings, server: ScriptedServer, loop: asyncio.AbstractEventLoop
) -> None:
    server.script = [server.hang]

    async def scenario() -> None:
        vectors = await embed_texts(settings, ["one", "three"])
        assert [vector.dense.shape for vector in vectors] == [(3,), (3,)]
        assert [request["input"] for request in server.requests] == [["one", "three"]] * 2
        # The one that hung is gone: as many workers as there are CPUs answer at once again.
        await asyncio.gather(*(embed_texts(settings, [str(n)]) for n in range(4)))

    loop.run_until_complete(asyncio.wait_for(scenario(), 60))


def test_an_error_is_not_asked_for_twice(
    settings: Settings, server: ScriptedServer, loop: asyncio.AbstractEventLoop
) -> None:
    server.script = [status(401)]
    with pytest.raises(ModelUnusable):
        loop.run_until_complete(embed_texts(settings, ["one"]))
    assert len(server.requests) == 1
