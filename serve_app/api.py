"""The HTTP application: its routes and middlewares over a client; needs no Ray."""

from fastapi import FastAPI

from actors.client import BankClient
from actors.settings import Settings
from lorebank import __version__
from serve_app import (
    bank_routes,
    curation_routes,
    directive_routes,
    document_routes,
    entity_routes,
    health,
    memory_routes,
    model_routes,
    observation_routes,
    operation_routes,
    page_routes,
    progress_routes,
    recall_routes,
    reflect_routes,
    reflection_routes,
    session_routes,
    stub_routes,
)
from serve_app.admission import Admission
from serve_app.errors import AnswerErrors, add_handlers
from serve_app.ids_in_paths import IdsInPaths
from serve_app.metrics import Measured, Metrics
from serve_app.reflections import Reflections, Watch

ROUTERS = (
    health.router,
    recall_routes.router,
    curation_routes.router,
    memory_routes.router,
    reflect_routes.router,
    reflection_routes.router,
    directive_routes.router,
    model_routes.router,
    page_routes.router,
    document_routes.router,
    observation_routes.router,
    operation_routes.router,
    progress_routes.router,
    session_routes.router,
    entity_routes.router,
    bank_routes.router,
    stub_routes.router,
)


def build_api(client: BankClient, settings: Settings, watch: Watch | None = None) -> FastAPI:
    """The application; what it is made of is fixed, so that every replica serves the same.

    watch: who reflects; absent: this process.

    Raises:
        BadSettings: `api_keys` cannot be read.
    """
    app = FastAPI(
        title="lorebank",
        version=__version__,
        summary="Long-term memory for AI agents: retain, recall, reflect.",
        redirect_slashes=False,
    )
    app.state.client = client
    app.state.settings = settings
    app.state.reflections = Reflections(watch or client.reflecting.watch)
    app.state.metrics = Metrics()
    for router in ROUTERS:
        app.include_router(router)
    add_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(Admission, settings=settings)
    app.add_middleware(IdsInPaths)
    app.add_middleware(AnswerErrors)
    app.add_middleware(Measured, metrics=app.state.metrics)
    return app
