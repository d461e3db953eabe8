"""Reflect, a Serve deployment of its own: reflections never stand in recall's queue."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.exceptions import BackPressureError

from actors.calls import translate_ray
from actors.client import BankClient
from actors.reflecting import Progress
from actors.settings import Settings
from actors.worker_process import keep_collections_short
from memory.errors import Overloaded
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.reflecting.port import Answered, Question
from serve_app.reflections import Watch

_WARM_UP = Scope("", "warm-up")


class Reflect:
    """One replica: a client of the actors that reflects."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connecting: asyncio.Task[BankClient] | None = None

    async def ready(self) -> None:
        """Connect, and make the models answer once.

        Raises:
            OperatorAction: a setting, the model or the data directory cannot be used.
        """
        await self._client()

    async def watch(self, scope: Scope, question: Question) -> AsyncIterator[Progress | Answered]:
        """A reflection as it goes on; its answer comes last."""
        client = await self._client()
        async for event in client.reflecting.watch(scope, question):
            yield event

    async def _client(self) -> BankClient:
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(_connected(self._settings))
        try:
            return await asyncio.shield(self._connecting)
        except Exception:
            self._connecting = None
            raise


async def _connected(settings: Settings) -> BankClient:
    client = await BankClient.connect(settings)
    await client.recall(_WARM_UP, RecallQuery("warm up the query embedder"))
    keep_collections_short()
    return client


def bind_reflect(settings: Settings) -> Application:
    """The deployment, to be handed to those that call it."""
    deploy = serve.deployment(
        name="Reflect",
        num_replicas=settings.reflect_replicas,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=settings.reflect_at_once,
        max_queued_requests=settings.reflect_at_once,
    )
    application: Application = deploy(Reflect).bind(settings)
    return application


def watch_over(handle: Any) -> Watch:
    """Reflections made by the deployment behind a handle, its errors translated into ours."""

    async def watch(scope: Scope, question: Question) -> AsyncIterator[Progress | Answered]:
        try:
            async for event in handle.options(stream=True).watch.remote(scope, question):
                yield event
        except BackPressureError as exc:
            raise Overloaded("too many reflections are being worked on", 2.0) from exc
        except Exception as exc:
            raise translate_ray(exc, "reflect") from exc

    return watch
