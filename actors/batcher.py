"""Micro-batcher: texts of many commands, grouped by size and age, sorted by length, one task per batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Dispatch = Callable[[list[str]], Awaitable[NDArray[np.float32]]]

MIN_BATCH_TEXTS = 8
"""Smaller batches cost more in the hop than a second worker saves."""


class MicroBatcher:
    """Collects texts for at most `wait_s`, then sends them in length-sorted batches of at most `max_texts`.

    Batches are cut so that all workers get a share: few texts in one batch, many in equal parts.
    """

    def __init__(self, dispatch: Dispatch, *, max_texts: int, wait_s: float, workers: int) -> None:
        self._dispatch = dispatch
        self._max_texts = max_texts
        self._wait_s = wait_s
        self._workers = workers
        self._waiting: list[tuple[str, asyncio.Future[NDArray[np.float32]]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def embed(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """A vector per text, float32, (dim,), in the order given; raises what the dispatch raised."""
        if not texts:
            return []
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[NDArray[np.float32]]] = [loop.create_future() for _ in texts]
        self._waiting.extend(zip(texts, futures, strict=True))
        if len(self._waiting) >= self._max_texts:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._send)
        return list(await asyncio.gather(*futures))

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        waiting.sort(key=lambda pair: len(pair[0]))
        share = -(-len(waiting) // self._workers)
        size = max(MIN_BATCH_TEXTS, min(self._max_texts, share))
        for start in range(0, len(waiting), size):
            task = asyncio.get_running_loop().create_task(self._run(waiting[start : start + size]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[tuple[str, "asyncio.Future[NDArray[np.float32]]"]]) -> None:
        try:
            vectors = await self._dispatch([text for text, _ in batch])
        except Exception as exc:  # noqa: BLE001 - each waiting command gets it
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), vector in zip(batch, vectors, strict=True):
            if not future.done():
                future.set_result(vector)
