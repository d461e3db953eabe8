"""The server to load: one that runs already, or one of our own with a directory that is deleted afterwards."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from lorebank.own_server import OwnServer, free_port, up_command


@contextmanager
def own_server(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """`lorebank up` for the length of the block; gives its URL. Stopped by SIGTERM to its process id.

    `environment` has settings that differ from this process's own.

    Raises:
        ServerNotStartedError: it ended, or took too long, before it was ready; with what it printed last.
    """
    with tempfile.TemporaryDirectory(prefix="lorebank.load.") as folder:
        command = up_command(free_port(), Path(folder) / "data")
        with OwnServer(command, on_line=lambda _: None, environment=environment) as server:
            yield server.url


def server_at(url: str | None) -> AbstractContextManager[str]:
    """The running server at `url`, or one of our own if there is none."""
    return own_server() if url is None else nullcontext(url)
