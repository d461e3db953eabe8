"""Every engine under one name each; suites over `engine` hold for all of them. Tests use banks of their own.

`local` is the server's store over the client's own engine; `wired` the same behind a stand-in for a sharded server's
HTTP interface; `server` over a real one, where there is one.
"""

import pytest

from storage.edge_store import EdgeStore
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.qdrant_wire import QdrantWire
from tests.support.server_engine import SERVER_URL, local_engine, real_engine, wired_engine

REAL = (pytest.param("server", marks=pytest.mark.server),) if SERVER_URL else ()
ENGINES = ("reference", "edge", "local", *REAL)
IN_SEVERAL_UPDATES = ("edge", "local", *REAL)
"""Those for which one call can be several updates of a collection, between which a process may end."""


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory):
    store = EdgeStore(tmp_path_factory.mktemp("edge"), DIM)
    yield store
    store.close()


@pytest.fixture
def reference() -> ReferenceStore:
    """Empty for every test, as it looks at all it holds."""
    return ReferenceStore(DIM)


@pytest.fixture
def local():
    """Empty for every test: it gets slower with all it holds."""
    with local_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def wired():
    with wired_engine(QdrantWire()) as engine:
        yield engine


@pytest.fixture(scope="session")
def server():
    with real_engine() as engine:
        yield engine


@pytest.fixture(params=(*ENGINES, "wired"))
def engine(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)
