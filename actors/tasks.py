"""Ray tasks: batches of texts to vectors, in warmed worker processes that keep the model."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray

from actors.calls import ask
from actors.settings import Settings
from actors.wiring import build_embedder, build_extractor
from memory.extraction.port import WindowOutcome, WindowRequest
from memory.ports import Embedder
from memory.records import Embedding

EXTRACT_TIMEOUT_S = 300.0
"""Time in which a task answers for its windows."""

log = logging.getLogger("lorebank.tasks")

WARM_UP_TEXTS = 32
LOADED = 2
"""Models that a process keeps: the deployment's, and one that is written beside it."""
BULK_NICENESS = 10
"""Of the threads that embed what is retained: a recall on the same cores goes first."""


def _stand_back() -> None:
    """On Linux each thread has a niceness; the process keeps its own, for Ray may use it for something else later."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(BULK_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


_loaded: dict[str, Embedder] = {}
embedding = ThreadPoolExecutor(1, thread_name_prefix="embedding", initializer=_stand_back)
"""Where batches of retained texts are embedded in this process."""


def embed_here(settings: Settings, texts: list[str]) -> list[Embedding]:
    """What this process, which keeps the model, makes of each text."""
    key = repr(settings)
    if key not in _loaded:
        while len(_loaded) >= LOADED:
            del _loaded[next(iter(_loaded))]
        _loaded[key] = build_embedder(settings)
    return embedding.submit(_loaded[key].embed_with_tokens, texts).result()


@ray.remote(num_cpus=1, max_retries=3)
def embed_batch(settings: Settings, texts: list[str]) -> list[Embedding]:
    """Vectors of a batch. Ray sends this function by value, so what a process keeps is behind another."""
    return embed_here(settings, texts)


async def embed_texts(settings: Settings, texts: list[str]) -> list[Embedding]:
    """What is made of each text of a batch, by the first worker that answers.

    Where none has answered after `embed_hedge_s`, a second worker is asked too: Ray notices a worker that died, but not
    one that is frozen. If the second is faster, the first one's process is ended, so that its CPU is free again.

    Raises:
        RetryLater: no worker answered before the request's deadline.
        LorebankError: whatever the embedder raised.
    """
    asked: list[Any] = []
    answers: list[asyncio.Task[list[Embedding]]] = []
    try:
        for _ in range(2):
            asked.append(embed_batch.remote(settings, texts))
            answers.append(asyncio.ensure_future(ask(asked[-1], settings.request_timeout_s, "embedding")))
            timeout_s = settings.embed_hedge_s if len(answers) == 1 else None
            await asyncio.wait(answers, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            first = next((answer for answer in answers if answer.done()), None)
            if first is not None:
                return first.result()
        raise AssertionError("waiting without a timeout ends with an answer")
    finally:
        for reference, answer in zip(asked, answers, strict=True):
            if not answer.done():
                log.warning("an embedding worker has not answered; its process is ended")
                answer.cancel()
                ray.cancel(reference, force=True)


def extract_here(requests: list[WindowRequest]) -> list[WindowOutcome]:
    """Outcomes of windows, one for each, in their order; in the thread that gives way to recalls."""
    extractor = build_extractor()
    return embedding.submit(lambda: asyncio.run(extractor.extract(requests))).result()


@ray.remote(num_cpus=1, max_retries=3)
def extract_batch(requests: list[WindowRequest]) -> list[WindowOutcome]:
    """Outcomes of windows. By value, as embed_batch is."""
    return extract_here(requests)


class TaskExtractor:
    """Implements memory.extraction.port.Extractor over Ray tasks, one at a time: embedding always finds a worker."""

    def __init__(self) -> None:
        self._one = asyncio.Semaphore(1)

    @property
    def name(self) -> str:
        """Who finds: the name of the extractor that the tasks run."""
        return build_extractor().name

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        """One outcome for each request, in their order.

        Raises:
            RetryLater: no worker answered in time.
        """
        async with self._one:
            pending = extract_batch.remote(list(requests))
            found: list[WindowOutcome] = await ask(pending, EXTRACT_TIMEOUT_S, "extraction")
            return found


def warm_up(settings: Settings) -> list[Any]:
    """Start as many tasks as there are workers, so that each loads the model; their references.

    The texts are of every length, so that the memory they need is there before the first request.
    """
    texts = [" ".join(["warming"] * words) for words in range(1, WARM_UP_TEXTS + 1)]
    return [embed_batch.remote(settings, texts) for _ in range(settings.embed_workers)]
