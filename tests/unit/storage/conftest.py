"""Both engines behind one fixture: what is tested over it holds for every engine. Tests use banks of their own."""

import pytest

from storage.edge_store import EdgeStore
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory):
    store = EdgeStore(tmp_path_factory.mktemp("edge"), DIM)
    yield store
    store.close()


@pytest.fixture(scope="session")
def reference() -> ReferenceStore:
    return ReferenceStore(DIM)


@pytest.fixture(scope="session", params=["reference", "edge"])
def engine(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)
