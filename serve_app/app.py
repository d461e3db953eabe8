"""MemoryApi, the Ray Serve deployment that carries the HTTP application, and its builder for `serve run`."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from actors.calls import ask
from actors.client import BankClient
from actors.settings import Settings, load_settings
from actors.worker_process import keep_collections_short
from memory.ids import Scope
from memory.recall import RecallQuery
from serve_app.api import build_api
from serve_app.reflect_app import bind_reflect, watch_over

MAX_ONGOING = 256
"""Requests Serve hands to one replica at once; more than Admission takes and holds back, so that refusals are ours."""
MAX_QUEUED = 1024
"""Requests that wait in Serve's proxy for a replica; beyond it Serve itself answers 503."""
DRAIN_POLL_S = 0.1
DRAIN_TIMEOUT_S = 5.0
"""How long a replica that stops may take for requests it has begun."""
READY_TIMEOUT_S = 120.0
_WARM_UP = Scope("", "warm-up")
"""A bank no caller can name: its tenant is empty."""


class MemoryApi:
    """One replica: a client of the actors, warmed up, under the HTTP application; `reflect` is a handle of Reflect."""

    def __init__(self, settings: Settings, reflect: Any = None) -> None:
        self._settings = settings
        self._reflect = reflect

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Connect, make the models answer once, and only then be ready.

        Raises:
            OperatorAction: a setting, the model or the data directory cannot be used.
        """
        client = await BankClient.connect(self._settings)
        await client.recall(_WARM_UP, RecallQuery("warm up the query embedder"))
        keep_collections_short()
        if self._reflect is None:
            return build_api(client, self._settings)
        await ask(self._reflect.ready.remote(), READY_TIMEOUT_S, "reflect")
        return build_api(client, self._settings, watch_over(self._reflect))


def build(args: Mapping[str, str]) -> Application:
    """The Serve application; `serve run serve_app.app:build port=8080 data=DIR` hands the settings over as text.

    Raises:
        BadSettings: a setting is out of range or contradicts another.
    """
    return build_for(load_settings(**args))


def build_for(settings: Settings) -> Application:
    """The Serve application of settings that are loaded already."""
    deploy = serve.deployment(
        name="MemoryApi",
        num_replicas=settings.replicas,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=MAX_ONGOING,
        max_queued_requests=MAX_QUEUED,
        graceful_shutdown_wait_loop_s=DRAIN_POLL_S,
        graceful_shutdown_timeout_s=DRAIN_TIMEOUT_S,
    )
    # Without a language model an answer is one recall, made where recalls are.
    reflect = bind_reflect(settings) if settings.llm_base_url else None
    application: Application = deploy(serve.ingress()(MemoryApi)).bind(settings, reflect)
    return application
