"""Micro-batcher: texts of many commands, grouped by size and age, sorted by length, one task per batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Dispatch = Callable[[list[str]], Awaitable[NDArray[np.float32]]]

MIN_BATCH_TEXTS = 8
"""Smaller batches cost more in the hop than a second worker saves."""


class MicroBatcher:
    """Collects texts for `wait_s`, and while all workers are busy; then sends the oldest, sorted by length.

    Each worker that has nothing to do gets a share of what waits, at least MIN_BATCH_TEXTS and at most `max_texts`; the
    rest waits for the next worker, together with what arrives until then.
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
        """Give every free worker a batch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        free = self._workers - len(self._running)
        if free <= 0 or not self._waiting:
            return
        # A share of all workers, not of the free ones: the others come back soon and find as much (guided scheduling).
        size = min(self._max_texts, max(MIN_BATCH_TEXTS, -(-len(self._waiting) // self._workers)))
        # First come, first served: only those that go now are sorted, or a long text would wait for all short ones.
        going, self._waiting = self._waiting[: size * free], self._waiting[size * free :]
        going.sort(key=lambda pair: len(pair[0]))
        for start in range(0, len(going), size):
            task = asyncio.get_running_loop().create_task(self._run(going[start : start + size]))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._timer is None:
            self._send()

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
