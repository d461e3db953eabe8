"""How fast a job goes: at most so many items in a second."""

import asyncio
import time


class Pace:
    """Lets at most so many items through in a second, on average over the time since the last pause."""

    def __init__(self, items_per_s: float | None) -> None:
        self._items_per_s = items_per_s
        self._free_at_s = 0.0

    async def wait(self, items: int) -> None:
        """Until these may go."""
        if not self._items_per_s:
            return
        now_s = time.monotonic()
        start_s = max(now_s, self._free_at_s)
        self._free_at_s = start_s + items / self._items_per_s
        await asyncio.sleep(start_s - now_s)
