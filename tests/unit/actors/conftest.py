"""One embedded store for all tests of banks; each bank in it is a test's own."""

import pytest

from storage.edge_store import EdgeStore
from tests.support.bank_owner import Owner
from tests.support.builders import DIM


@pytest.fixture(scope="session")
def edge(tmp_path_factory):
    store = EdgeStore(tmp_path_factory.mktemp("edge"), DIM)
    yield store
    store.close()


@pytest.fixture
def owner(edge) -> Owner:
    return Owner(edge)
