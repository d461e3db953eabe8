"""Work of a job's process on the deployment that runs: in its Ray cluster, or on this machine."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from actors.sessions import find_address
from actors.settings import NAMESPACE, load_settings
from memory.errors import Unavailable

if TYPE_CHECKING:
    from actors.client import BankClient

T = TypeVar("T")


def run_attached(work: "Callable[[BankClient], Awaitable[T]]") -> T:
    """What `work` returns, given the deployment's door.

    Raises:
        BadSettings: no server of this user runs on this machine, or several do (`actors.sessions.find_address`).
        Unavailable: its Ray does not answer, or no deployment runs there.
    """
    address = find_address(load_settings().data)
    # Ray reads its environment when it is imported; a server's own Ray asks for no token.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    import ray  # noqa: PLC0415 - not where the help is shown

    from actors.client import BankClient  # noqa: PLC0415 - not where the help is shown

    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as exc:
        raise Unavailable(f"no Ray answers at {address}: {exc}") from exc

    async def run() -> T:
        return await work(await BankClient.attach())

    return asyncio.run(run())
