"""One embedded store for the tests of audits; each bank in it is a test's own and has a history."""

import pytest

from storage.edge_store import EdgeStore
from tests.support.bank_process import perform_all
from tests.support.builders import DIM, fresh_scope
from tests.support.planting import HISTORY, Vandal


@pytest.fixture(scope="session")
def edge(tmp_path_factory):
    store = EdgeStore(tmp_path_factory.mktemp("edge"), DIM)
    yield store
    store.close()


@pytest.fixture
def vandal(edge) -> Vandal:
    scope = fresh_scope()
    perform_all(edge, scope, HISTORY, "h")
    return Vandal(edge, scope)
