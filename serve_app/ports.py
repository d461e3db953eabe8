"""The port of a server: claimed early, so that a taken one is found before anything is started."""

import socket
from dataclasses import dataclass

from memory.errors import BadSettings

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - compared with, not bound to


@dataclass(slots=True)
class ReservedPort:
    """A bound socket that nobody else can bind until it is released to be listened on."""

    host: str
    number: int
    _socket: socket.socket

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = _ANYWHERE.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{host}:{self.number}"

    def release(self) -> None:
        """Let go of the port."""
        self._socket.close()


def reserve_port(host: str, port: int) -> ReservedPort:
    """Claim a port; 0 takes a free one.

    Raises:
        BadSettings: it is taken, or the host is no address of this machine.
    """
    claimed = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        claimed.bind((host, port))
    except OSError as exc:
        claimed.close()
        raise BadSettings(f"cannot listen on {host}:{port}: {exc.strerror or exc}; choose another --port") from exc
    return ReservedPort(host, int(claimed.getsockname()[1]), claimed)
