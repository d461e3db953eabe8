"""Health, version and metrics: what operators and their machines ask."""

import time
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lorebank import __version__, wire
from serve_app.body import JsonRoute
from serve_app.metrics import Metrics
from serve_app.request_context import Client, json_response

router = APIRouter(route_class=JsonRoute, tags=["health"])

API_VERSION = "1.1.0"
"""Version of Hindsight's contract that is served."""
FEATURES = {
    "observations": True,
    "mcp": False,
    "worker": False,
    "bank_config_api": True,
    "bank_llm_health": False,
    "file_upload_api": False,
    "document_export_api": False,
    "document_import_api": False,
    "audit_log": False,
    "llm_trace": False,
    "store_document_text": True,
}

_started_s = time.monotonic()


@router.get("/health", response_model=wire.HealthResponse)
@router.get("/health/ready", response_model=wire.HealthResponse)
async def get_readiness(client: Client) -> Response:
    """200 where every part answers; else a 503 problem."""
    parts = await client.ready()
    checks = {name: _summary(answer) for name, answer in parts.items()}
    return json_response({"status": "healthy", "database": "connected", "checks": checks, "version": __version__})


@router.get("/health/live", response_model=wire.LivenessResponse)
async def get_liveness() -> Response:
    """200 while this replica's event loop turns."""
    uptime_s = time.monotonic() - _started_s
    return json_response({"status": "alive", "version": __version__, "uptime_seconds": round(uptime_s, 3)})


@router.get("/version", response_model=wire.VersionResponse)
async def get_version() -> Response:
    """Version of the contract and of the server, and which optional parts it has."""
    return json_response({"api_version": API_VERSION, "features": FEATURES, "version": __version__})


@router.get("/metrics", response_class=Response)
async def get_metrics(request: Request, client: Client) -> Response:
    """Prometheus metrics of the replica that answers, and what waits for the stages of the deployment."""
    metrics: Metrics = request.app.state.metrics
    if client.stages:
        metrics.backlog(await client.read_backlog())
    return metrics.exposition()


def _summary(answer: Any) -> str:
    """One word on a part: how many instances of it answered, or its value."""
    return f"{len(answer)} answered" if isinstance(answer, list) else str(answer)
