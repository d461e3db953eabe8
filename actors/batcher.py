"""Micro-batcher: texts of many commands, grouped by size and age, sorted by length, one task per batch.

Which texts go first is start-time fair queueing: each slice of a command is stamped with the work its bank has had so
far, or with that of the texts that go now if its bank was away, and lower stamps go first. A bank that floods waits for
itself; the command of any other is next.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from memory.records import Embedding

Dispatch = Callable[[list[str]], Awaitable[Sequence[Embedding]]]

MIN_BATCH_TEXTS = 8
"""Smaller batches cost more in the hop than a second worker saves."""
SLICE_TEXTS = 32
"""Texts of one command that stay together where several banks want to go."""
SMALL_TEXTS = 8
"""Somebody waits for a command with so few texts."""
SMALL_SEEN_S = 1.0
"""For so long after one, batches stay short: it cannot overtake what a worker has begun."""
SHORT_BATCH_TEXTS = 16
SHORT_BATCH_CHARS = 6000
REMEMBERED_BANKS = 1024
BULK_BEHIND_TEXTS = 2048
"""So many texts that somebody waits for may overtake one that nobody does."""


@dataclass(order=True, slots=True)
class _Waiting:
    stamp: int
    number: int
    text: str = field(compare=False)
    answer: "asyncio.Future[Embedding]" = field(compare=False)
    bulk: bool = field(compare=False, default=False)


class MicroBatcher:
    """Collects texts for `wait_s`, and while all workers are busy; then sends the first, sorted by length.

    Each worker that has nothing to do gets a share of what waits, at least MIN_BATCH_TEXTS and at most `max_texts`; the
    rest waits for the next worker, together with what arrives until then.
    """

    def __init__(self, dispatch: Dispatch, *, max_texts: int, wait_s: float, workers: int) -> None:
        self._dispatch = dispatch
        self._max_texts = max_texts
        self._wait_s = wait_s
        self._workers = workers
        self._waiting: list[_Waiting] = []
        self._numbers = 0
        self._stamp = 0
        self._served: dict[str, int] = {}
        """Where each bank's next text would be stamped; of banks that have texts waiting, and some that had."""
        self._short_until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def embed(self, texts: Sequence[str], bank: str = "", *, bulk: bool = False) -> list[Embedding]:
        """What is made of each text, in the order given; raises what the dispatch raised.

        bulk: nobody waits for them; what others want goes first, within bounds.
        """
        if not texts:
            return []
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Embedding]] = [loop.create_future() for _ in texts]
        self._queue(texts, futures, bank, bulk=bulk)
        if len(self._waiting) >= self._max_texts:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._send)
        return list(await asyncio.gather(*futures))

    def _queue(
        self, texts: Sequence[str], answers: "Sequence[asyncio.Future[Embedding]]", bank: str, *, bulk: bool
    ) -> None:
        if not self._waiting:
            self._served.clear()
        elif len(self._served) > REMEMBERED_BANKS:
            self._served = {name: at for name, at in self._served.items() if at > self._stamp}
        if bulk:
            bank = f"{bank} in bulk"
        elif len(texts) <= SMALL_TEXTS:
            self._short_until_s = asyncio.get_running_loop().time() + SMALL_SEEN_S
        start = max(self._stamp, self._served.get(bank, 0))
        for place, (text, answer) in enumerate(zip(texts, answers, strict=True)):
            self._numbers += 1
            stamp = start + place // SLICE_TEXTS * SLICE_TEXTS + BULK_BEHIND_TEXTS * bulk
            heapq.heappush(self._waiting, _Waiting(stamp, self._numbers, text, answer, bulk))
        self._served[bank] = start + len(texts)

    def _send(self) -> None:
        """Give every free worker a batch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        free = self._workers - len(self._running)
        if free <= 0 or not self._waiting:
            return
        short = asyncio.get_running_loop().time() < self._short_until_s
        # A share of all workers, not of the free ones: the others come back soon and find as much (guided scheduling).
        share = max(MIN_BATCH_TEXTS, -(-len(self._waiting) // self._workers))
        size = min(SHORT_BATCH_TEXTS if short else self._max_texts, self._max_texts, share)
        going = self._take(size * free, SHORT_BATCH_CHARS * free if short else None)
        # Only those that go now are sorted, or a long text would wait for all short ones.
        going.sort(key=lambda one: len(one.text))
        for start in range(0, len(going), size):
            task = asyncio.get_running_loop().create_task(self._run(going[start : start + size]))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _take(self, most: int, most_chars: int | None) -> list[_Waiting]:
        """The next texts, at least one; what they say of the work done so far."""
        going: list[_Waiting] = []
        chars = 0
        while self._waiting and len(going) < most:
            chars += len(self._waiting[0].text)
            if going and most_chars is not None and chars > most_chars:
                break
            going.append(heapq.heappop(self._waiting))
        self._stamp = max(self._stamp, *(one.stamp for one in going if not one.bulk), 0)
        return going

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._timer is None:
            self._send()

    async def _run(self, batch: list[_Waiting]) -> None:
        try:
            vectors = await self._dispatch([one.text for one in batch])
        except Exception as exc:  # noqa: BLE001 - each waiting command gets it
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(exc)
            return
        for one, vector in zip(batch, vectors, strict=True):
            if not one.answer.done():
                one.answer.set_result(vector)
