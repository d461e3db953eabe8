"""The signals that stop a server: SIGINT (Ctrl-C) and SIGTERM."""

import signal
from collections.abc import Callable
from typing import Any, NoReturn


def on_signals(handler: Callable[..., Any]) -> None:
    """Have both signals call the handler, with whatever handled them before forgotten."""
    signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)


def interrupt(*_: object) -> NoReturn:
    """While starting: give up at once, so that what was started is stopped on the way out."""
    raise KeyboardInterrupt
