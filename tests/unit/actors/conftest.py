"""Banks over the embedded store and over the server's; each bank in a store is a test's own."""

import pytest

from tests.support.bank_owner import Owner
from tests.support.engines import *  # noqa: F403 - its fixtures, whatever engines there are
from tests.support.engines import REAL
from tests.support.scripted_fixtures import llm, llm_server

__all__ = ["llm", "llm_server"]


@pytest.fixture(params=["edge", "local", *REAL])
def owner(request) -> Owner:
    return Owner(request.getfixturevalue(request.param))
