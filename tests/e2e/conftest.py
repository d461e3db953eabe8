"""One server for the end-to-end tests of a run, started as users start it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorebank.own_server import OwnServer, free_port, up_command


@pytest.fixture(scope="session")
def server_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e") / "data"


@pytest.fixture(scope="session")
def server_url(server_data: Path) -> Iterator[str]:
    with OwnServer(up_command(free_port(), server_data), on_line=print) as server:
        yield server.url
