"""One server for the end-to-end tests of a run, started as users start it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorebank.own_server import OwnServer, free_port, up_command


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data: Path = tmp_path_factory.mktemp("e2e") / "data"
    with OwnServer(up_command(free_port(), data), on_line=print) as server:
        yield server.url
