"""Prometheus metrics of one replica: requests by route and status, their durations, and how many are worked on."""

import os
import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
ROUTE = "route"
"""Under this name a route writes its template into the request's state, which all middlewares share."""
_NO_ROUTE = "none"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """A replica's registry. A scrape reaches one replica; the label `replica` keeps their series apart."""

    def __init__(self) -> None:
        replica = str(os.getpid())
        self._registry = CollectorRegistry()
        labels = ("replica", "method", "route", "status")
        self._requests = Counter("lorebank_http_requests", "Requests answered", labels, registry=self._registry)
        self._seconds = Histogram(
            "lorebank_http_request_seconds",
            "Time from request to answer",
            ("replica", "method", "route"),
            registry=self._registry,
            buckets=BUCKETS_S,
        )
        self._running = Gauge("lorebank_http_running", "Requests worked on", ("replica",), registry=self._registry)
        stage = ("replica", "stage")
        self._waiting = Gauge(
            "lorebank_stage_pending_documents", "Documents waiting for a stage", stage, registry=self._registry
        )
        self._lag = Gauge(
            "lorebank_stage_lag_seconds", "Age of the oldest document waiting for it", stage, registry=self._registry
        )
        self._replica = replica

    def backlog(self, stages: Mapping[str, tuple[int, float]]) -> None:
        """Note what waits for each stage, over all hosts: documents, and the age of the oldest in seconds."""
        for stage, (pending, age_s) in stages.items():
            self._waiting.labels(self._replica, stage).set(pending)
            self._lag.labels(self._replica, stage).set(age_s)

    def started(self) -> float:
        """Count a request as running; what to hand to `ended`."""
        self._running.labels(self._replica).inc()
        return time.perf_counter()

    def ended(self, started_s: float, method: str, route: str, status: int) -> None:
        """Count a request as answered."""
        self._running.labels(self._replica).dec()
        self._requests.labels(self._replica, method, route, str(status)).inc()
        self._seconds.labels(self._replica, method, route).observe(time.perf_counter() - started_s)

    def exposition(self) -> Response:
        """All series in Prometheus' text form."""
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})


class Measured:
    """ASGI middleware: counts and times requests by the route that took them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on and note its route and status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        state = {**scope.get("state", {}), ROUTE: _NO_ROUTE}
        started_s = self._metrics.started()
        try:
            await self._app({**scope, "state": state}, receive, send_noted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.ended(started_s, method, state[ROUTE], status)
